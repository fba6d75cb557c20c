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
    /// For each class of the byte before: bytes that a match can begin with, and where an attempt stands after them.
    pub firsts: [Vec<(u8, StateID)>; CLASSES],
}

/// What the byte before a match may be, as far as assertions can tell: see [`class`].
pub const CLASSES: usize = 5;
/// One of each class, in order.
const REPRESENTATIVES: [Option<u8>; CLASSES] = [None, Some(b'a'), Some(b' '), Some(b'\n'), Some(b'\r')];

/// Which of [`Shape::firsts`] counts after that byte.
pub fn class(before: Option<u8>) -> usize {
    match before {
        None => 0,
        Some(byte) if byte.is_ascii_alphanumeric() || byte == b'_' => 1,
        Some(b'\n') => 3,
        Some(b'\r') => 4,
        Some(_) => 2,
    }
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
            firsts: Default::default(),
        };
        shape.firsts = REPRESENTATIVES.map(|before| {
            let begin = |byte| Some((byte, shape.begin(before, byte)?));
            (0..=u8::MAX).filter_map(begin).collect()
        });
        Ok(shape)
    }

    /// An attempt at `byte`, which follows `before`, unless nothing can come of it.
    fn begin(&self, before: Option<u8>, byte: u8) -> Option<StateID> {
        let config = start::Config::new().anchored(Anchored::Yes).look_behind(before);
        let step = self.step(self.dfa.start_state(&config).ok()?, byte);
        (!step.dead).then_some(step.state)
    }

    /// Whether `rest`, which follows, shows that nothing comes of an attempt. Most end after a few bytes, and it costs
    /// less to look ahead than to keep account of them.
    pub fn fails_within(&self, mut state: StateID, rest: &[u8]) -> bool {
        for byte in rest {
            let step = self.step(state, *byte);
            if step.dead || step.matched {
                return step.dead && !step.matched;
            }
            state = step.state;
        }
        false
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
        let mut state = shape.begin(None, text.as_bytes()[0]).unwrap();
        for (i, byte) in text.bytes().enumerate().skip(1) {
            let step = shape.step(state, byte);
            ends.extend(step.matched.then_some(i));
            if step.dead {
                return ends;
            }
            state = step.state;
        }
        ends.extend(shape.matches_at_end(state).then_some(text.len()));
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
        let firsts = |before| {
            let firsts = &shape.firsts[class(before)];
            firsts.iter().map(|(byte, _)| *byte).collect::<Vec<_>>()
        };
        for before in [None, Some(b' '), Some(0xA9), Some(b'\n'), Some(b'\r')] {
            assert_eq!(firsts(before), (b'0'..=b'9').collect::<Vec<_>>());
        }
        assert!(firsts(Some(b'_')).is_empty());
    }

    #[rstest]
    #[case("ab", "c", true)]
    #[case("ab", "", false)]
    #[case("abc", "b", false)]
    #[case("ab", "bx", false)]
    #[case(r"a\b", "é", false)]
    #[case(r"a+b", "aaac", true)]
    fn looking_ahead_finds_failures_only(#[case] pattern: &str, #[case] rest: &str, #[case] fails: bool) {
        let shape = Shape::new(pattern, Ends::Preferred).unwrap();
        let state = shape.begin(None, b'a').unwrap();
        assert_eq!(shape.fails_within(state, rest.as_bytes()), fails);
    }
}
