//! Runs put together as lines.

use std::borrow::Cow;

use super::xml::{Layout, Run};

/// Share of the smaller one's height that two runs on a line have in common.
const COMMON: f32 = 0.5;
/// Shares of the font's size: what is farther away is another word, or another column.
const WORD: f32 = 0.12;
const CELL: f32 = 1.4;
/// Dots that lead from a title to the number of its page.
const LEADER: usize = 4;

/// A line.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Line {
    /// Its page, from 0.
    pub page: usize,
    pub left: f32,
    pub top: f32,
    pub right: f32,
    pub bottom: f32,
    /// Size of most of its letters.
    pub size: f32,
    pub is_bold: bool,
    pub is_fixed: bool,
    /// Whether dots lead to a number, as in tables of contents.
    pub has_leader: bool,
    /// What stands apart in it; one in most lines.
    pub cells: Vec<String>,
    pub letters: usize,
    /// Letters of the size.
    pub of_size: usize,
}

impl Line {
    /// All of it.
    pub(super) fn text(&self) -> String {
        self.cells.join(" ")
    }

    fn begin(page: usize, run: &Run) -> Self {
        Self {
            page,
            left: run.left,
            top: run.top,
            right: run.left,
            bottom: run.bottom,
            size: run.size,
            is_bold: true,
            is_fixed: true,
            ..Self::default()
        }
    }

    fn takes(&self, run: &Run) -> bool {
        let common = self.bottom.min(run.bottom) - self.top.max(run.top);
        let smaller = (self.bottom - self.top).min(run.bottom - run.top).max(0.1);
        common >= COMMON * smaller && run.left >= self.right - self.size
    }

    fn push(&mut self, run: &Run) {
        let text = match run.text.contains(char::is_control) {
            true => Cow::Owned(run.text.split_whitespace().collect::<Vec<_>>().join(" ")),
            false => Cow::Borrowed(run.text.trim()),
        };
        let text = &*text;
        let letters = text.chars().filter(|c| c.is_alphanumeric()).count();
        let gap = run.left - self.right;
        if is_leader(text) {
            self.has_leader = true;
        } else if !text.is_empty() {
            let size = self.size.max(1.0);
            match self.cells.last_mut().filter(|_| !self.has_leader && gap < CELL * size) {
                Some(cell) => {
                    let is_apart = gap > WORD * size || run.text.starts_with(char::is_whitespace);
                    let is_open = cell.ends_with(char::is_whitespace);
                    if is_apart && !is_open {
                        cell.push(' ');
                    }
                    cell.push_str(text);
                }
                None => self.cells.push(text.to_owned()),
            }
            if run.text.ends_with(char::is_whitespace)
                && let Some(cell) = self.cells.last_mut()
            {
                cell.push(' ');
            }
        }
        self.left = self.left.min(run.left);
        self.right = self.right.max(run.right);
        self.top = self.top.min(run.top);
        self.bottom = self.bottom.max(run.bottom);
        if letters > 0 {
            self.is_bold &= run.is_bold;
            self.is_fixed &= run.is_fixed;
        }
        self.letters += letters;
        if letters > self.of_size {
            (self.size, self.of_size) = (run.size, letters);
        }
    }

    fn finish(mut self) -> Option<Self> {
        for cell in &mut self.cells {
            if let Some(rest) = without_leader(cell) {
                *cell = rest;
                self.has_leader = true;
            }
            cell.truncate(cell.trim_end().len());
        }
        self.is_bold &= self.letters > 0;
        self.is_fixed &= self.letters > 0;
        (!self.cells.is_empty()).then_some(self)
    }
}

/// The lines of all pages, in the order in which they are drawn.
pub(super) fn lines(layout: &Layout) -> Vec<Line> {
    let mut lines = Vec::new();
    for (number, page) in layout.pages.iter().enumerate() {
        let mut line: Option<Line> = None;
        for run in page.runs.iter().filter(|run| !run.text.trim().is_empty()) {
            match &mut line {
                Some(line) if line.takes(run) => line.push(run),
                _ => {
                    lines.extend(line.take().and_then(Line::finish));
                    let mut begun = Line::begin(number, run);
                    begun.push(run);
                    line = Some(begun);
                }
            }
        }
        lines.extend(line.and_then(Line::finish));
    }
    lines
}

/// A cell without the dots in it that lead to a number.
fn without_leader(cell: &str) -> Option<String> {
    // Few cells have as many.
    if !cell.contains(". . .") && !cell.contains("....") {
        return None;
    }
    let is_dots = |word: &&str| word.chars().all(|c| matches!(c, '.' | '\u{2026}' | '\u{b7}'));
    let dots: usize = cell.split_whitespace().filter(is_dots).map(str::len).sum();
    let rest: Vec<&str> = cell.split_whitespace().filter(|word| !is_dots(word)).collect();
    (dots >= LEADER).then(|| rest.join(" "))
}

fn is_leader(text: &str) -> bool {
    let dots = text
        .chars()
        .filter(|c| matches!(c, '.' | '\u{2026}' | '\u{b7}' | '_'))
        .count();
    dots >= LEADER
        && text
            .chars()
            .all(|c| matches!(c, '.' | '\u{2026}' | '\u{b7}' | '_' | ' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_that_lead_to_a_number_are_no_text() {
        assert_eq!(
            without_leader("1.1 Scope . . . . . . 3").as_deref(),
            Some("1.1 Scope 3")
        );
        assert_eq!(without_leader("1.1 Scope ........ 3").as_deref(), Some("1.1 Scope 3"));
        assert_eq!(without_leader("wait ... and see ..."), None);
        assert!(is_leader(". . . . .") && !is_leader("...") && !is_leader("a . . . ."));
    }
}
