//! Which lines are headings: what the outline says, or how they look.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::lines::Line;
use super::xml::Layout;

/// How much larger than the text around it a heading is.
const LARGER: f32 = 1.14;
/// Characters of the longest one.
const LONGEST: usize = 160;
/// Its lines.
const LINES: usize = 5;
/// Levels that sizes make.
const LEVELS: usize = 5;

/// What tells headings from text in a document.
#[derive(Debug)]
pub(super) struct Headings {
    /// Levels of the outline's entries, by page and text.
    outline: HashMap<(u32, String), u8>,
    /// Pages of its entries.
    pages: HashSet<u32>,
    /// Size of most text.
    body: f32,
    /// Sizes of headings in tenths of points, the largest first.
    sizes: Vec<i32>,
}

impl Headings {
    pub(super) fn of(lines: &[Line], layout: &Layout) -> Self {
        let mut letters: HashMap<i32, usize> = HashMap::new();
        for line in lines {
            *letters.entry(tenths(line.size)).or_default() += line.text().len();
        }
        // Of sizes that are as frequent, the smaller one is that of text.
        let body = letters
            .iter()
            .max_by_key(|(size, count)| (**count, -**size))
            .map_or(0, |(size, _)| *size);
        let body = body as f32 / 10.0;
        let larger: BTreeSet<i32> = lines
            .iter()
            .filter(|line| is_larger(line, body))
            .map(|line| tenths(line.size))
            .collect();
        let outline = layout
            .outline
            .iter()
            .map(|entry| ((entry.page, plain(&entry.text)), entry.level));
        Self {
            pages: layout.outline.iter().map(|entry| entry.page).collect(),
            outline: outline.filter(|((_, text), _)| !text.is_empty()).collect(),
            body,
            sizes: larger.into_iter().rev().take(LEVELS).collect(),
        }
    }

    /// The level of some lines that stand together, if they are a heading.
    pub(super) fn level(&self, lines: &[Line]) -> Option<u8> {
        let first = lines.first().filter(|_| lines.len() <= LINES)?;
        let page = first.page as u32 + 1;
        // Most lines are nothing but text.
        let may_be = first.is_bold || is_larger(first, self.body) || self.pages.contains(&page);
        let bytes: usize = lines.iter().flat_map(|line| &line.cells).map(String::len).sum();
        if !may_be || bytes > 4 * LONGEST {
            return None;
        }
        let text: String = lines.iter().map(Line::text).collect::<Vec<_>>().join(" ");
        if text.chars().count() > LONGEST || !text.chars().any(char::is_alphabetic) {
            return None;
        }
        if let Some(level) = self.outline.get(&(page, plain(&text))) {
            return Some((*level).clamp(1, 9));
        }
        if lines.iter().any(|line| line.cells.len() > 2 || line.has_leader) {
            return None;
        }
        if lines.iter().all(|line| is_larger(line, self.body)) {
            let size = tenths(first.size);
            let place = self.sizes.iter().position(|other| *other <= size).unwrap_or(LEVELS);
            return Some(place as u8 + 1);
        }
        let ends = text.trim_end().ends_with(['.', ',', ';']);
        let is_bold = lines.len() == 1 && first.is_bold && !ends;
        is_bold.then_some(self.sizes.len() as u8 + 1)
    }
}

fn is_larger(line: &Line, body: f32) -> bool {
    line.size >= body * LARGER && body > 0.0
}

fn tenths(size: f32) -> i32 {
    (size.clamp(0.0, 10_000.0) * 10.0).round() as i32
}

/// Letters and digits alone: numbers of sections have spaces of their own.
fn plain(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}
