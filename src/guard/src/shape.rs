//! What a find looks like: a regular expression as an automaton that is stepped byte by byte.
//!
//! A dense automaton needs no memory while it runs, so any number of attempts can be under way at once.

use regex_automata::{
    Anchored, MatchKind,
    dfa::{Automaton, StartKind, dense},
    nfa::thompson,
    util::{primitives::StateID, start},
};
use regex_syntax::{
    ParserBuilder,
    hir::{Hir, HirKind, Look},
};

/// Largest automaton, and what it may take to build it.
const MAX_SIZE: usize = 4 << 20;
const MAX_WORK: usize = 32 << 20;

/// Which ends of a match are of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// The one that the regular expression prefers.
    Preferred,
    /// All: a checksum tells which is right.
    All,
}

/// A regular expression, ready to be used.
#[derive(Debug)]
pub struct Shape {
    dfa: dense::DFA<Vec<u32>>,
    pub ends: Ends,
    /// Bytes that a match can begin with, after a byte of a word and after any other.
    pub firsts: [[bool; 256]; 2],
}

/// Which of [`Shape::firsts`] counts after that byte.
pub fn class(before: Option<u8>) -> usize {
    let is_word = before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    usize::from(!is_word)
}

/// Where an attempt stands after a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub state: StateID,
    /// A match ends before the byte.
    pub matched: bool,
    /// Nothing more can come of it.
    pub dead: bool,
}

impl Shape {
    /// Of `pattern`. `\b` knows ASCII only, as in RE2.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(pattern: &str, ends: Ends) -> Result<Self, String> {
        let mut parser = ParserBuilder::new().nest_limit(64).build();
        let hir = parser.parse(pattern).map_err(|error| last_line(&error.to_string()))?;
        if hir.properties().minimum_len() == Some(0) {
            return Err("it matches the empty text".into());
        }
        let nfa = thompson::Compiler::new()
            .configure(thompson::Config::new().nfa_size_limit(Some(MAX_SIZE)))
            .build_from_hir(&ascii_boundaries(hir));
        let nfa = nfa.map_err(|_| TOO_LARGE)?;
        let kind = match ends {
            Ends::Preferred => MatchKind::LeftmostFirst,
            Ends::All => MatchKind::All,
        };
        let config = dense::Config::new()
            .start_kind(StartKind::Anchored)
            .match_kind(kind)
            .accelerate(false)
            .dfa_size_limit(Some(MAX_SIZE))
            .determinize_size_limit(Some(MAX_WORK));
        let dfa = dense::Builder::new().configure(config).build_from_nfa(&nfa);
        let mut shape = Self {
            dfa: dfa.map_err(|_| TOO_LARGE)?,
            ends,
            firsts: [[false; 256]; 2],
        };
        // `None`, a letter and a blank are all that an assertion at the beginning can tell apart, but for newlines.
        for before in [None, Some(b'a'), Some(b' '), Some(b'\n'), Some(b'\r')] {
            for byte in 0..=u8::MAX {
                let begins = shape.begin(before, byte).is_some_and(|step| !step.dead);
                shape.firsts[class(before)][usize::from(byte)] |= begins;
            }
        }
        Ok(shape)
    }

    /// An attempt at `byte`, which follows `before`.
    pub fn begin(&self, before: Option<u8>, byte: u8) -> Option<Step> {
        let config = start::Config::new().anchored(Anchored::Yes).look_behind(before);
        let state = self.dfa.start_state(&config).ok()?;
        Some(self.step(state, byte))
    }

    /// One byte further.
    pub fn step(&self, state: StateID, byte: u8) -> Step {
        self.look(self.dfa.next_state(state, byte))
    }

    /// Whether a match ends where the text does.
    pub fn matches_at_end(&self, state: StateID) -> bool {
        self.look(self.dfa.next_eoi_state(state)).matched
    }

    fn look(&self, state: StateID) -> Step {
        let is_special = self.dfa.is_special_state(state);
        Step {
            state,
            matched: is_special && self.dfa.is_match_state(state),
            // A state to quit in is there for Unicode boundaries, which are none of ours.
            dead: is_special && (self.dfa.is_dead_state(state) || self.dfa.is_quit_state(state)),
        }
    }
}

const TOO_LARGE: &str = "it is too large: use fewer or smaller repetitions and classes";

/// The parser draws a picture above what it has to say.
fn last_line(text: &str) -> String {
    let line = text.lines().last().unwrap_or(text);
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// Word boundaries of ASCII instead of Unicode's, which no automaton can see.
fn ascii_boundaries(hir: Hir) -> Hir {
    match hir.into_kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) => Hir::literal(literal.0),
        HirKind::Class(class) => Hir::class(class),
        HirKind::Look(look) => Hir::look(match look {
            Look::WordUnicode => Look::WordAscii,
            Look::WordUnicodeNegate => Look::WordAsciiNegate,
            Look::WordStartUnicode => Look::WordStartAscii,
            Look::WordEndUnicode => Look::WordEndAscii,
            Look::WordStartHalfUnicode => Look::WordStartHalfAscii,
            Look::WordEndHalfUnicode => Look::WordEndHalfAscii,
            other => other,
        }),
        HirKind::Repetition(mut repetition) => {
            repetition.sub = Box::new(ascii_boundaries(*repetition.sub));
            Hir::repetition(repetition)
        }
        HirKind::Capture(capture) => ascii_boundaries(*capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.into_iter().map(ascii_boundaries).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.into_iter().map(ascii_boundaries).collect()),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// All ends of matches that begin at the start of `text`.
    fn ends(shape: &Shape, text: &str) -> Vec<usize> {
        let mut ends = Vec::new();
        let mut state = None;
        for (i, byte) in text.bytes().enumerate() {
            let step = match state {
                None => shape.begin(None, byte).unwrap(),
                Some(state) => shape.step(state, byte),
            };
            ends.extend(step.matched.then_some(i));
            if step.dead {
                return ends;
            }
            state = Some(step.state);
        }
        ends.extend(state.is_some_and(|it| shape.matches_at_end(it)).then_some(text.len()));
        ends
    }

    #[rstest]
    #[case("a{2,4}", Ends::All, "aaaaa", &[2, 3, 4])]
    #[case("a{2,4}", Ends::Preferred, "aaab", &[2, 3])]
    #[case(r"[0-9]+\b", Ends::All, "123a", &[])]
    #[case(r"[0-9]+\b", Ends::All, "123 ", &[3])]
    #[case(r"[0-9]+\b", Ends::All, "12é", &[2])]
    #[case("(?i)é", Ends::Preferred, "É", &[2])]
    fn ends_are_found(#[case] pattern: &str, #[case] kind: Ends, #[case] text: &str, #[case] expected: &[usize]) {
        assert_eq!(ends(&Shape::new(pattern, kind).unwrap(), text), expected);
    }

    #[rstest]
    #[case("a*", "empty")]
    #[case("(", "unclosed group")]
    #[case(r"(a)\1", "backreferences")]
    #[case(r"\pL{900}", "too large")]
    #[case("(((a{99}){99}){99}){99}", "too large")]
    fn what_is_wrong_is_said(#[case] pattern: &str, #[case] text: &str) {
        let fault = Shape::new(pattern, Ends::Preferred).unwrap_err();
        assert!(fault.contains(text), "{fault}");
    }

    #[test]
    fn bytes_that_no_match_begins_with_are_known() {
        let shape = Shape::new(r"\b[0-9]é", Ends::All).unwrap();
        let firsts = |before: u8| {
            let firsts = shape.firsts[class(Some(before))];
            (0..=u8::MAX)
                .filter(|byte| firsts[usize::from(*byte)])
                .collect::<Vec<_>>()
        };
        assert_eq!(firsts(b' '), (b'0'..=b'9').collect::<Vec<_>>());
        assert_eq!(firsts(0xA9), firsts(b' '));
        assert!(firsts(b'_').is_empty());
    }
}
