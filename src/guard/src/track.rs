//! The attempts of one rule that are under way in one text.

use std::collections::VecDeque;

use regex_automata::util::primitives::StateID;

use crate::{
    rule::{Candidate, OVERLAP, Rule},
    settle::Window,
    shape::Ends,
};

/// A span that a rule found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Find {
    pub start: usize,
    pub end: usize,
    pub score: f64,
}

/// The attempts of one rule, in the order of their beginnings: the first that succeeds wins, and takes along those
/// that began inside what it found.
#[derive(Clone, Debug, Default)]
pub struct Track {
    attempts: VecDeque<Attempt>,
}

#[derive(Clone, Debug)]
struct Attempt {
    start: usize,
    stand: Stand,
    /// The score of a part that was judged where it was cut: all of it is a find, wherever it ends.
    known: Option<f64>,
}

#[derive(Clone, Debug)]
enum Stand {
    /// With the ends of matches so far.
    Open(StateID, Vec<usize>),
    /// It waits for those that began before it.
    Found(Find),
    Failed,
}

impl Track {
    /// Where the first attempt began, if there is one.
    pub fn first(&self) -> Option<usize> {
        self.attempts.front().map(|attempt| attempt.start)
    }

    /// Begins an attempt at the byte at `position`, after which it stands in `state`.
    pub fn begin(&mut self, state: StateID, position: usize) {
        self.attempts.push_back(Attempt {
            start: position,
            stand: Stand::Open(state, Vec::new()),
            known: None,
        });
    }

    /// Takes `byte`, which is at `position`, and adds to `found` what is decided now. Less than `floor` is no find.
    pub fn advance(
        &mut self,
        rule: &Rule,
        byte: u8,
        position: usize,
        window: &Window,
        floor: f64,
        found: &mut Vec<Find>,
    ) {
        let mut is_decided = false;
        for attempt in &mut self.attempts {
            is_decided |= attempt.advance(rule, byte, position, window, floor);
        }
        if rule.judge.is_none() && self.attempts.len() > 1 {
            self.drop_doubles();
        }
        if is_decided {
            self.take_found(found);
        }
    }

    /// The text ends at `position`: everything is decided.
    pub fn finish(&mut self, rule: &Rule, position: usize, window: &Window, floor: f64, found: &mut Vec<Find>) {
        for attempt in &mut self.attempts {
            if let Stand::Open(state, ends) = &mut attempt.stand {
                if rule.shape.matches_at_end(*state) {
                    note(ends, position, rule.shape.ends);
                }
                let decided = decide(attempt.start, ends, rule, window, floor);
                let end = ends.last().copied();
                attempt.stand = attempt.whole(end).unwrap_or(decided);
            }
        }
        self.take_found(found);
    }

    fn take_found(&mut self, found: &mut Vec<Find>) {
        self.attempts.retain(|attempt| !matches!(attempt.stand, Stand::Failed));
        while let Some(Attempt {
            stand: Stand::Found(find),
            ..
        }) = self.attempts.front()
        {
            let end = find.end;
            found.push(*find);
            self.attempts.pop_front();
            self.attempts.retain(|attempt| attempt.start >= end);
        }
    }

    /// Of two attempts in the same state the later one can find nothing that the earlier one does not, so there are
    /// never more than the automaton has states.
    fn drop_doubles(&mut self) {
        let mut i = 1;
        while i < self.attempts.len() {
            let is_double = match &self.attempts[i].stand {
                Stand::Open(state, ends) if ends.is_empty() => {
                    let mut earlier = self.attempts.iter().take(i);
                    earlier.any(|it| matches!(&it.stand, Stand::Open(other, _) if other == state))
                }
                _ => false,
            };
            if is_double {
                self.attempts.remove(i);
            } else {
                i += 1;
            }
        }
    }
}

impl Attempt {
    /// Takes a byte, and says whether that decided it.
    fn advance(&mut self, rule: &Rule, byte: u8, position: usize, window: &Window, floor: f64) -> bool {
        let Stand::Open(state, ends) = &mut self.stand else {
            return false;
        };
        let step = rule.shape.step(*state, byte);
        if step.matched {
            note(ends, position, rule.shape.ends);
        }
        if step.dead {
            let decided = decide(self.start, ends, rule, window, floor);
            let end = ends.last().copied();
            self.stand = self.whole(end).unwrap_or(decided);
            return true;
        }
        *state = step.state;
        let is_cut = rule.cut.is_some_and(|length| position + 1 - self.start >= length);
        if is_cut && self.known.is_none() {
            match decide(self.start, &[position + 1], rule, window, floor) {
                Stand::Found(find) => self.known = Some(find.score),
                // The shape is a loop: its state says nothing about how often it has been through.
                _ => {
                    ends.clear();
                    self.start = position + 1 - OVERLAP;
                }
            }
        }
        false
    }

    /// What is known to be a find, up to the last `end` of a match.
    fn whole(&self, end: Option<usize>) -> Option<Stand> {
        let (score, end) = (self.known?, end?);
        let start = self.start;
        Some(Stand::Found(Find { start, end, score }))
    }
}

/// Notes that a match ends at `end`.
fn note(ends: &mut Vec<usize>, end: usize, kind: Ends) {
    if kind == Ends::Preferred {
        ends.clear();
    }
    ends.push(end);
}

/// The longest candidate that is good enough.
fn decide(start: usize, ends: &[usize], rule: &Rule, window: &Window, floor: f64) -> Stand {
    let find = ends.iter().rev().find_map(|end| {
        let candidate = Candidate {
            before: window.before(start),
            text: window.text(start, *end),
        };
        let score = rule.score(candidate).filter(|score| *score >= floor)?;
        Some(Find {
            start,
            end: *end,
            score,
        })
    });
    find.map_or(Stand::Failed, Stand::Found)
}
