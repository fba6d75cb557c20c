//! A text on its way through a guard.

use std::sync::Arc;

use crate::{
    check::{Action, Scoring},
    guard::Guard,
    json::Validator,
    report::Report,
    settle::{Finding, Settling, Window},
    shape,
    track::{Find, Track},
};

/// Why a text goes no further. What was found is not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The check that failed.
    pub check: String,
    /// What it found.
    pub kind: String,
}

/// A text on its way through a guard, or several one after the other.
#[derive(Debug)]
pub struct Stream {
    guard: Arc<Guard>,
    max_held: usize,
    window: Window,
    /// Bytes of the text so far.
    position: usize,
    char_start: usize,
    before: Option<u8>,
    /// For each rule.
    tracks: Vec<Track>,
    /// Rules with attempts under way.
    busy: Vec<usize>,
    /// For each check, what makes this text suspicious.
    evidence: Vec<f64>,
    settling: Settling,
    /// Of all texts.
    characters: u64,
    json: Validator,
    /// Whether who wrote the text may instruct the model.
    is_trusted: bool,
    refusal: Option<Refusal>,
}

/// What ends a text, and where it begins.
struct Stop {
    check: usize,
    kind: String,
    start: usize,
}

/// Bytes that are looked at before an attempt is begun. Of a text that never decides, each byte is looked at as often.
const LOOK_AHEAD: usize = 64;
const UNDECIDED: &str = "UNDECIDED";
const LENGTH: &str = "LENGTH";
const JSON: &str = "JSON";

impl Stream {
    pub(crate) fn new(guard: Arc<Guard>, max_held: usize) -> Self {
        let (rules, checks) = (guard.rules.len(), guard.checks.len());
        Self {
            guard,
            max_held,
            window: Window::default(),
            position: 0,
            char_start: 0,
            before: None,
            tracks: vec![Track::default(); rules],
            busy: Vec::new(),
            evidence: vec![0.0; checks],
            settling: Settling::new(checks),
            characters: 0,
            json: Validator::default(),
            is_trusted: false,
            refusal: None,
        }
    }

    /// Takes the next piece and adds to `out` what may leave.
    ///
    /// # Errors
    /// When the text goes no further, now and ever after. What was added to `out` may still leave.
    pub fn push(&mut self, piece: &str, out: &mut String) -> Result<(), Refusal> {
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone());
        }
        let guard = self.guard.clone();
        self.window.push(piece);
        let bytes = piece.as_bytes();
        for (place, byte) in bytes.iter().enumerate() {
            if let Some(stop) = self.take(&guard, *byte, &bytes[place + 1..]) {
                return Err(self.stop(stop, out));
            }
        }
        self.settle(self.frontier(), out);
        Ok(())
    }

    /// The text ends: adds to `out` what was held back. Another one may follow.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn finish(&mut self, out: &mut String) -> Result<(), Refusal> {
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone());
        }
        let guard = self.guard.clone();
        let mut stop = None;
        for place in std::mem::take(&mut self.busy) {
            let checked = &guard.rules[place];
            let mut found = Vec::new();
            self.tracks[place].finish(&checked.rule, self.position, &self.window, checked.floor, &mut found);
            first_of(&mut stop, self.note(place, &found));
        }
        if guard.reads_json && self.position > 0 && !self.json.is_complete() {
            first_of(&mut stop, self.no_json(self.position));
        }
        if let Some(stop) = stop {
            return Err(self.stop(stop, out));
        }
        self.settle(self.position, out);
        self.window.clear();
        self.settling.restart();
        self.evidence.fill(0.0);
        self.json = Validator::default();
        self.before = None;
        self.position = 0;
        Ok(())
    }

    /// Whether the next text is by somebody who may instruct the model: a system message may speak of instructions.
    pub fn trust(&mut self, is_trusted: bool) {
        self.is_trusted = is_trusted;
    }

    /// What was found so far.
    pub fn report(&self) -> &Report {
        &self.settling.report
    }

    /// Why nothing more passes, if that is so.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// What checks it.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Bytes that are held back.
    pub fn held(&self) -> usize {
        self.settling.held(self.position)
    }

    /// Takes a byte; `rest` is what follows as far as it is known.
    fn take(&mut self, guard: &Guard, byte: u8, rest: &[u8]) -> Option<Stop> {
        let position = self.position;
        let begins_char = byte & 0xC0 != 0x80;
        let mut stop = None;
        if begins_char {
            self.char_start = position;
            self.characters += 1;
            if guard.counts_length {
                first_of(&mut stop, self.too_long());
            }
        }
        let mut found = Vec::new();
        for i in 0..self.busy.len() {
            let place = self.busy[i];
            let checked = &guard.rules[place];
            self.tracks[place].advance(&checked.rule, byte, position, &self.window, checked.floor, &mut found);
            if !found.is_empty() {
                first_of(&mut stop, self.note(place, &found));
                found.clear();
            }
        }
        let tracks = &self.tracks;
        self.busy.retain(|place| tracks[*place].first().is_some());
        if begins_char {
            let ahead = &rest[..rest.len().min(LOOK_AHEAD).min(self.max_held)];
            for start in &guard.starts[shape::class(self.before)][usize::from(byte)] {
                let checked = &guard.rules[start.rule];
                if self.is_trusted && guard.checks[checked.check].scoring == Scoring::Summed {
                    continue;
                }
                if checked.rule.shape.fails_within(start.state, ahead) {
                    continue;
                }
                let track = &mut self.tracks[start.rule];
                if track.first().is_none() {
                    self.busy.push(start.rule);
                }
                track.begin(start.state, position);
            }
        }
        if guard.reads_json && !self.json.push(byte) {
            first_of(&mut stop, self.no_json(self.char_start));
        }
        self.position = position + 1;
        self.before = Some(byte);
        if stop.is_none() {
            stop = self.undecided();
        }
        stop
    }

    /// Notes finds of the rule at `place`, and says if one of them ends the text.
    fn note(&mut self, place: usize, found: &[Find]) -> Option<Stop> {
        let checked = &self.guard.rules[place];
        let check = &self.guard.checks[checked.check];
        let mut stop = None;
        for find in found {
            if !check.counts(find.score, &mut self.evidence[checked.check]) {
                continue;
            }
            if check.action == Action::Refuse {
                let kind = checked.rule.kind.clone();
                let stopped = Stop {
                    check: checked.check,
                    kind,
                    start: find.start,
                };
                first_of(&mut stop, Some(stopped));
                continue;
            }
            self.settling.add(Finding {
                check: checked.check,
                rule: place,
                start: find.start,
                end: find.end,
            });
        }
        stop
    }

    fn too_long(&mut self) -> Option<Stop> {
        let mut stop = None;
        for (i, check) in self.guard.checks.iter().enumerate() {
            if check.max_length.is_some_and(|limit| self.characters == limit + 1) {
                let start = self.position;
                first_of(
                    &mut stop,
                    violated(&self.guard, &mut self.settling.report, i, LENGTH, start),
                );
            }
        }
        stop
    }

    fn no_json(&mut self, start: usize) -> Option<Stop> {
        let mut stop = None;
        for (i, check) in self.guard.checks.iter().enumerate() {
            if check.is_json {
                first_of(
                    &mut stop,
                    violated(&self.guard, &mut self.settling.report, i, JSON, start),
                );
            }
        }
        stop
    }

    /// Fails closed where a rule cannot decide on what may be held back.
    fn undecided(&self) -> Option<Stop> {
        let firsts = self.busy.iter().map(|place| (self.tracks[*place].first(), place));
        let (start, place) = firsts.filter_map(|(first, place)| Some((first?, place))).min()?;
        (self.position - start > self.max_held).then(|| Stop {
            check: self.guard.rules[*place].check,
            kind: UNDECIDED.into(),
            start,
        })
    }

    /// Nothing that begins before can still be found.
    fn frontier(&self) -> usize {
        let firsts = self.busy.iter().filter_map(|place| self.tracks[*place].first());
        firsts.min().unwrap_or(self.position)
    }

    fn settle(&mut self, frontier: usize, out: &mut String) {
        self.settling.settle(frontier, &self.guard, &self.window, out);
        self.window.trim(frontier);
    }

    fn stop(&mut self, stop: Stop, out: &mut String) -> Refusal {
        self.settle(self.frontier().min(stop.start), out);
        self.settling.report.count(stop.check, &stop.kind);
        let refusal = Refusal {
            check: self.guard.checks[stop.check].name.clone(),
            kind: stop.kind,
        };
        self.window.clear();
        self.busy.clear();
        self.refusal = Some(refusal.clone());
        refusal
    }
}

/// Keeps the one that begins first; of those, the one that was there.
fn first_of(stop: &mut Option<Stop>, other: Option<Stop>) {
    if let Some(other) = other
        && stop.as_ref().is_none_or(|stop| other.start < stop.start)
    {
        *stop = Some(other);
    }
}

/// A check about the text as a whole fails at `start`.
fn violated(guard: &Guard, report: &mut Report, check: usize, kind: &str, start: usize) -> Option<Stop> {
    if guard.checks[check].action == Action::Refuse {
        return Some(Stop {
            check,
            kind: kind.into(),
            start,
        });
    }
    report.count(check, kind);
    None
}
