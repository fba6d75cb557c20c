//! Lines put together as blocks.

use rooms::chunking::Kind;

use super::headings::Headings;
use super::lines::Line;
use super::xml::Layout;
use crate::documents::{Block, csv};

/// Shares of the font's size: what is farther below is another paragraph, and what is farther to the right begins one.
const GAP: f32 = 0.75;
const INDENT: f32 = 0.8;
/// Share of the size that two lines of a paragraph may differ by.
const SAME: f32 = 0.12;

/// What items of lists begin with.
const BULLETS: [char; 12] = ['•', '◦', '▪', '‣', '●', '○', '■', '–', '—', '*', '·', '\u{f0b7}'];

/// The blocks of a document.
pub(super) fn blocks(mut lines: Vec<Line>, layout: &Layout) -> Vec<Block> {
    without_contents(&mut lines, layout.pages.len());
    let headings = Headings::of(&lines, layout);
    let mut blocks = Vec::new();
    let mut group: Vec<Line> = Vec::new();
    for line in lines {
        if group
            .last()
            .is_some_and(|last| !goes_on(&group, last, &line, &headings))
        {
            blocks.extend(block(std::mem::take(&mut group), &headings, layout));
        }
        group.push(line);
    }
    blocks.extend(block(group, &headings, layout));
    blocks
}

/// Takes away tables of contents, which say what headings say: on pages where dots lead to numbers in most lines, those
/// that end with one.
fn without_contents(lines: &mut Vec<Line>, pages: usize) {
    let mut counts = vec![(0_usize, 0_usize); pages];
    for line in lines.iter() {
        if let Some((all, leading)) = counts.get_mut(line.page) {
            *all += 1;
            *leading += usize::from(line.has_leader);
        }
    }
    let ends_with_number = |line: &Line| {
        let last = line.cells.last().and_then(|cell| cell.split_whitespace().next_back());
        last.is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit()))
    };
    lines.retain(|line| {
        let is_contents = counts.get(line.page).is_some_and(|(all, leading)| leading * 2 >= *all);
        !(line.has_leader || is_contents && ends_with_number(line))
    });
}

/// Whether a line belongs to those before.
fn goes_on(group: &[Line], last: &Line, line: &Line, headings: &Headings) -> bool {
    let size = last.size.max(1.0);
    let gap = line.top - last.bottom;
    let is_near = line.page == last.page && gap < GAP * size.max(line.size) && line.top >= last.top - size;
    if !is_near {
        return false;
    }
    if is_row(last) || is_row(line) {
        return is_row(last) && is_row(line);
    }
    if (line.size - last.size).abs() > SAME * size || line.is_fixed != last.is_fixed || is_item(line) {
        return false;
    }
    // A heading in bold stands before text that is not, and the other way round.
    let is_heading = headings.level(group).is_some();
    if is_heading && (line.is_bold != last.is_bold || headings.level(std::slice::from_ref(last)).is_none()) {
        return false;
    }
    if line.is_bold && !last.is_bold && headings.level(std::slice::from_ref(line)).is_some() {
        return false;
    }
    // Whatever its lines begin with, an item of a list hangs from its first one, and code is as it is.
    let Some(first) = group.first() else { return true };
    let body = group.get(1).map_or(last.left, |second| second.left);
    let is_indented = line.left > body + INDENT * size && !last.text().ends_with('-');
    let is_short = last.right < line.right - 2.0 * size;
    line.is_fixed || is_item(first) || !(is_indented && (is_short || group.len() > 1))
}

fn block(lines: Vec<Line>, headings: &Headings, layout: &Layout) -> Option<Block> {
    let first = lines.first()?;
    let page = layout.pages.get(first.page)?;
    let kind = kind(&lines, headings);
    let text = match kind {
        Kind::Table => lines
            .iter()
            .map(|line| csv::line(&line.cells))
            .collect::<Vec<_>>()
            .join("\n"),
        Kind::Code => code(&lines),
        Kind::ListItem => joined(&lines).trim_start_matches(BULLETS).trim_start().to_owned(),
        _ => joined(&lines),
    };
    let area = lines.iter().fold([f32::MAX, f32::MAX, 0.0_f32, 0.0_f32], |area, line| {
        [
            area[0].min(line.left),
            area[1].min(line.top),
            area[2].max(line.right),
            area[3].max(line.bottom),
        ]
    });
    let (width, height) = (page.width.max(1.0), page.height.max(1.0));
    let area =
        [area[0] / width, area[1] / height, area[2] / width, area[3] / height].map(|share| share.clamp(0.0, 1.0));
    Some(Block {
        kind,
        text,
        page: Some(first.page as u32 + 1),
        area: Some(area),
    })
}

fn kind(lines: &[Line], headings: &Headings) -> Kind {
    if lines.len() > 1 && lines.iter().all(is_row) {
        return Kind::Table;
    }
    if let Some(level) = headings.level(lines) {
        return Kind::Heading { level };
    }
    match lines.first() {
        Some(first) if is_item(first) => Kind::ListItem,
        Some(_) if lines.len() > 1 && lines.iter().all(|line| line.is_fixed) => Kind::Code,
        _ => Kind::Paragraph,
    }
}

/// Whether it has several cells, and the first one is no bullet or number.
fn is_row(line: &Line) -> bool {
    line.cells.len() > 1 && !is_item(line) && !(line.cells.len() == 2 && is_label(&line.cells[0]))
}

/// Whether it is an item of a list.
fn is_item(line: &Line) -> bool {
    let Some(first) = line.cells.first() else { return false };
    let mut chars = first.chars();
    let is_bullet = chars.next().is_some_and(|c| BULLETS.contains(&c)) && chars.next().is_none_or(char::is_whitespace);
    is_bullet || numbered(first)
}

/// `1. x`, `(a) x`, `iv) x`: what ends in a bracket or a point, with text or a gap behind it.
fn numbered(text: &str) -> bool {
    let word = text.split_whitespace().next().unwrap_or_default();
    let core = word.trim_start_matches('(');
    let core = core.strip_suffix(')').or_else(|| core.strip_suffix('.'));
    core.is_some_and(|core| {
        let is_number = core.len() <= 3 && core.bytes().all(|byte| byte.is_ascii_digit());
        let is_letter = core.len() == 1 && core.bytes().all(|byte| byte.is_ascii_lowercase());
        !core.is_empty() && (is_number || is_letter)
    })
}

/// `3.2`: the number of a section, with a gap behind it.
fn is_label(text: &str) -> bool {
    text.len() <= 12
        && text.chars().any(|c| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
}

/// Lines as running text; words that were cut at the end of a line are whole again.
fn joined(lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines {
        let next = line.text();
        let is_cut = text
            .strip_suffix('-')
            .is_some_and(|before| before.ends_with(char::is_alphabetic))
            && next.starts_with(char::is_lowercase);
        if is_cut || text.ends_with('\u{ad}') {
            text.pop();
        } else if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&next);
    }
    text
}

/// Lines as they are, with how far they are indented.
fn code(lines: &[Line]) -> String {
    let left = lines.iter().map(|line| line.left).fold(f32::MAX, f32::min);
    let indented = |line: &Line| {
        let wide = line.size.max(1.0) * 0.6;
        let spaces = ((line.left - left) / wide).round().clamp(0.0, 80.0) as usize;
        format!("{}{}", " ".repeat(spaces), line.text())
    };
    lines.iter().map(indented).collect::<Vec<_>>().join("\n")
}
