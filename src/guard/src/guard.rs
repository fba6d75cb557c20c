//! Checks of one direction, ready to be used.

use std::sync::Arc;

use regex_automata::util::primitives::StateID;

use crate::{
    check::{Check, Scoring},
    rule::Rule,
    shape,
    stream::Stream,
};

/// Checks of one direction, ready to be used. One serves any number of texts at once.
#[derive(Debug)]
pub struct Guard {
    pub(crate) checks: Vec<Check>,
    pub(crate) rules: Vec<Checked>,
    /// For each class of the byte before, and each byte, the rules whose finds can begin there.
    pub(crate) starts: [Vec<Vec<Start>>; shape::CLASSES],
    /// Whether a check asks how long texts are.
    pub(crate) counts_length: bool,
    /// Whether a check asks if texts are JSON.
    pub(crate) reads_json: bool,
}

/// Where an attempt of a rule stands after its first byte.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    pub rule: usize,
    pub state: StateID,
}

/// A rule and the check that it belongs to.
#[derive(Debug)]
pub struct Checked {
    pub check: usize,
    pub rule: Arc<Rule>,
    /// Scores below are no finds.
    pub floor: f64,
}

impl Guard {
    pub(crate) fn new(checks: Vec<(Check, Vec<Arc<Rule>>)>) -> Self {
        let mut guard = Self {
            checks: Vec::new(),
            rules: Vec::new(),
            starts: std::array::from_fn(|_| vec![Vec::new(); 256]),
            counts_length: checks.iter().any(|(check, _)| check.max_length.is_some()),
            reads_json: checks.iter().any(|(check, _)| check.is_json),
        };
        for (check, rules) in checks {
            let floor = match check.scoring {
                Scoring::Single => check.threshold,
                Scoring::Summed => 0.0,
            };
            for rule in rules {
                let place = guard.rules.len();
                for (starts, firsts) in guard.starts.iter_mut().zip(&rule.shape.firsts) {
                    for (byte, state) in firsts {
                        starts[usize::from(*byte)].push(Start {
                            rule: place,
                            state: *state,
                        });
                    }
                }
                guard.rules.push(Checked {
                    check: guard.checks.len(),
                    rule,
                    floor,
                });
            }
            guard.checks.push(check);
        }
        guard
    }

    /// Whether there is nothing to check.
    pub fn is_empty(&self) -> bool {
        self.checks.is_empty()
    }

    /// Looks at a text that comes in pieces, holding back up to [`MAX_HELD`](crate::MAX_HELD) bytes.
    pub fn stream(self: &Arc<Self>) -> Stream {
        Stream::new(self.clone(), crate::MAX_HELD)
    }

    /// Looks at texts that are there as a whole: what a rule needs for a decision has no bound.
    pub fn whole(self: &Arc<Self>) -> Stream {
        Stream::new(self.clone(), usize::MAX)
    }
}
