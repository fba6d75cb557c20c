//! What becomes of text about which everything is decided.

use std::cmp::Reverse;

use crate::{check::Action, guard::Guard, report::Report, rule::CONTEXT};

/// The part of a text that may still be needed. Positions count from the beginning of the text.
#[derive(Clone, Debug, Default)]
pub struct Window {
    base: usize,
    text: String,
}

impl Window {
    pub fn push(&mut self, piece: &str) {
        self.text.push_str(piece);
    }

    pub fn clear(&mut self) {
        self.base = 0;
        self.text.clear();
    }

    /// Text between two positions; empty if they are none of its.
    pub fn text(&self, start: usize, end: usize) -> &str {
        let start = start.checked_sub(self.base);
        let range = start.and_then(|start| Some(start..end.checked_sub(self.base)?));
        range.and_then(|range| self.text.get(range)).unwrap_or_default()
    }

    /// What a judge may see before `start`.
    pub fn before(&self, start: usize) -> &str {
        let mut from = start.saturating_sub(CONTEXT).max(self.base);
        while from < start && !self.text.is_char_boundary(from - self.base) {
            from += 1;
        }
        self.text(from, start)
    }

    /// Forgets what nobody asks for when everything before `position` is decided.
    pub fn trim(&mut self, position: usize) {
        let mut cut = position.saturating_sub(CONTEXT).saturating_sub(self.base);
        while !self.text.is_char_boundary(cut) {
            cut -= 1;
        }
        self.text.drain(..cut);
        self.base += cut;
    }
}

/// A find that counts.
#[derive(Clone, Copy, Debug)]
pub struct Finding {
    pub check: usize,
    /// The place of its rule among all.
    pub rule: usize,
    pub start: usize,
    pub end: usize,
}

/// Lets text out, without what is to be redacted.
#[derive(Clone, Debug)]
pub struct Settling {
    pending: Vec<Finding>,
    /// Everything before is out, or gone.
    out_to: usize,
    /// For each check, the end of what it has found.
    found_to: Vec<usize>,
    pub report: Report,
}

impl Settling {
    pub fn new(checks: usize) -> Self {
        Self {
            pending: Vec::new(),
            out_to: 0,
            found_to: vec![0; checks],
            report: Report::new(checks),
        }
    }

    pub fn add(&mut self, finding: Finding) {
        self.pending.push(finding);
    }

    /// Another text begins.
    pub fn restart(&mut self) {
        self.pending.clear();
        self.out_to = 0;
        self.found_to.fill(0);
    }

    /// Bytes that are held back of a text of which `position` bytes are known.
    pub fn held(&self, position: usize) -> usize {
        position.saturating_sub(self.out_to)
    }

    /// Nothing that begins before `frontier` will be found any more.
    pub fn settle(&mut self, frontier: usize, guard: &Guard, window: &Window, out: &mut String) {
        if !self.pending.is_empty() {
            let (mut ready, later): (Vec<_>, _) = self.pending.drain(..).partition(|it| it.start < frontier);
            self.pending = later;
            ready.sort_by_key(|it| (it.start, Reverse(it.end), it.rule));
            for finding in ready {
                self.treat(finding, guard, window, out);
            }
        }
        if frontier > self.out_to {
            out.push_str(window.text(self.out_to, frontier));
            self.out_to = frontier;
        }
    }

    fn treat(&mut self, finding: Finding, guard: &Guard, window: &Window, out: &mut String) {
        let Finding {
            check,
            rule,
            start,
            end,
        } = finding;
        let kind = &guard.rules[rule].rule.kind;
        // A phone number in an IBAN is none.
        let found_to = &mut self.found_to[check];
        if start >= *found_to {
            self.report.count(check, kind);
        }
        *found_to = end.max(*found_to);
        if guard.checks[check].action != Action::Redact {
            return;
        }
        // Else it overlaps with what has just been replaced.
        if start >= self.out_to {
            out.push_str(window.text(self.out_to, start));
            if kind != crate::detect::INVISIBLE {
                out.push('[');
                out.push_str(kind);
                out.push(']');
            }
        }
        self.out_to = end.max(self.out_to);
    }
}
