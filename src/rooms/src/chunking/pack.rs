//! Units put together as chunks.

use super::{
    Block, Kind, Piece, Settings, Span,
    region::Region,
    unit::{Unit, units},
};
use crate::document::Place;

/// What stands before a text takes at most this share of a chunk's tokens.
const SHARE_BEFORE: usize = 4;
/// Tokens that what stands between units may take.
const JOINT: usize = 1;

/// The chunks of a region.
pub fn pack(
    blocks: &[Block],
    region: &Region,
    description: &str,
    settings: Settings,
    count: &dyn Fn(&str) -> usize,
) -> Vec<Piece> {
    let (before, has_headings) = before(region, description, settings.tokens / SHARE_BEFORE, count);
    let packer = Packer {
        blocks,
        region,
        before,
        has_headings,
        settings,
        count,
    };
    packer.pack()
}

struct Packer<'a> {
    blocks: &'a [Block],
    region: &'a Region,
    /// What stands before each text.
    before: String,
    /// Whether all headings are in that.
    has_headings: bool,
    settings: Settings,
    count: &'a dyn Fn(&str) -> usize,
}

impl Packer<'_> {
    fn pack(&self) -> Vec<Piece> {
        let room = self.settings.tokens.saturating_sub((self.count)(&self.before)).max(1);
        let units = units(self.blocks, self.region, room, self.count);
        let mut pieces = Vec::new();
        // Those of the next chunk: first what it shares with the one before, then what is new.
        let (mut start, mut fresh) = (0, 0);
        while fresh < units.len() {
            let end = self.end(&units, start, fresh, room);
            pieces.push(self.piece(&units[start..end]));
            fresh = end;
            start = self.shared_from(&units, start, end);
        }
        pieces
    }

    /// Where the chunk that begins at `start` ends, with one new unit at least.
    fn end(&self, units: &[Unit], start: usize, fresh: usize, room: usize) -> usize {
        let mut tokens: usize = units[start..fresh].iter().map(|unit| unit.tokens + JOINT).sum();
        let mut end = fresh;
        while let Some(unit) = units.get(end) {
            if end > fresh && tokens + unit.tokens > room {
                break;
            }
            tokens += unit.tokens + JOINT;
            end += 1;
        }
        // Tokens of parts are not those of the whole: what was put together is counted as it is.
        while end > fresh + 1 && (self.count)(&self.embedded(&units[start..end])) > self.settings.tokens {
            end -= 1;
        }
        end
    }

    /// Where the next chunk begins: at units of this one that it shares, if there is room for them beside something
    /// new.
    fn shared_from(&self, units: &[Unit], start: usize, end: usize) -> usize {
        let mut from = end;
        let mut tokens = 0;
        while from > start + 1 {
            let unit = &units[from - 1];
            let kind = self.blocks[unit.block].kind;
            tokens += unit.tokens + JOINT;
            if tokens > self.settings.overlap || !matches!(kind, Kind::Paragraph | Kind::ListItem) {
                break;
            }
            from -= 1;
        }
        let with_next = units.get(end).map(|_| self.embedded(&units[from..=end]));
        match with_next {
            Some(text) if (self.count)(&text) <= self.settings.tokens => from,
            _ => end,
        }
    }

    fn piece(&self, units: &[Unit]) -> Piece {
        let spans = spans(units);
        let first = &self.blocks[units[0].block];
        let areas = spans.iter().map(|span| self.blocks[span.block].area);
        Piece {
            text: self.text(&spans),
            embedded: self.embedded(units),
            place: Place {
                page: first.page,
                headings: self.region.headings.clone(),
                area: areas.reduce(around).flatten(),
                offsets: None,
            },
            spans,
            clearance: first.clearance,
            acl: first.acl.clone(),
        }
    }

    fn text(&self, spans: &[Span]) -> String {
        let mut text = String::new();
        let mut before: Option<&Block> = None;
        for span in spans {
            let block = &self.blocks[span.block];
            if let Some(before) = before {
                let is_list = before.kind == Kind::ListItem && block.kind == Kind::ListItem;
                text.push_str(if is_list { "\n" } else { "\n\n" });
            }
            text.push_str(&block.text[span.start..span.end]);
            before = Some(block);
        }
        text
    }

    /// What stands before the text, the names of a table's columns if they are not in it, and the text, in which
    /// headings need not stand once more.
    fn embedded(&self, units: &[Unit]) -> String {
        let spans = spans(units);
        let is_heading = |span: &Span| matches!(self.blocks[span.block].kind, Kind::Heading { .. });
        let said: Vec<Span> = spans.iter().filter(|span| !is_heading(span)).copied().collect();
        let body = match said.is_empty() || !self.has_headings {
            true => self.text(&spans),
            false => self.text(&said),
        };
        let columns = self.columns(&spans).unwrap_or_default();
        let parts = [self.before.as_str(), columns, body.as_str()];
        let embedded = parts
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("\n");
        match units.len() > 1 || (self.count)(&embedded) <= self.settings.tokens {
            true => embedded,
            // A unit that hardly fits has no room for more.
            false => body,
        }
    }

    /// The first row of the table that a chunk goes on with.
    fn columns(&self, spans: &[Span]) -> Option<&str> {
        let first = spans.first().filter(|span| span.start > 0)?;
        let block = &self.blocks[first.block];
        let row = block.text.lines().next().filter(|_| block.kind == Kind::Table)?.trim();
        ((self.count)(row) <= self.settings.tokens / SHARE_BEFORE).then_some(row)
    }
}

/// Units that follow each other in a block as one span.
fn spans(units: &[Unit]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for unit in units {
        match spans.last_mut().filter(|span| span.block == unit.block) {
            Some(span) => span.end = unit.range.end,
            None => spans.push(Span {
                block: unit.block,
                start: unit.range.start,
                end: unit.range.end,
            }),
        }
    }
    spans
}

/// Description and headings, as far as they fit, and whether all headings do: the innermost one says most.
fn before(region: &Region, description: &str, room: usize, count: &dyn Fn(&str) -> usize) -> (String, bool) {
    let fits = |text: &str| !text.is_empty() && count(text) <= room;
    let path = region.headings.join(" > ");
    let inner = region.headings.last().cloned().unwrap_or_default();
    let has_headings = fits(&path);
    let headings = [path, inner].into_iter().find(|text| fits(text)).unwrap_or_default();
    let both = format!("{}\n{headings}", description.trim());
    let text = if fits(both.trim()) {
        both.trim().to_owned()
    } else {
        headings
    };
    (text, has_headings)
}

/// The area around both.
fn around(one: Option<[f32; 4]>, other: Option<[f32; 4]>) -> Option<[f32; 4]> {
    match (one, other) {
        (Some(a), Some(b)) => Some([a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]),
        (one, other) => one.or(other),
    }
}
