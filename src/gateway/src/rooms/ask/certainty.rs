//! How certain a model was of what it wrote, sentence by sentence.
//!
//! Models that are asked for it give the probability of each token. Tokens are found again in the text by what they spell, in
//! their order: they may come before their text, which engines hold back while it may be the beginning of something else;
//! some have none, such as the one that ends the answer; and engines leave out spaces at the beginning, or tell half of a
//! character as a replacement for it. What is not found so counts for nothing, and a sentence of which too little is found
//! has no number.

use std::{collections::VecDeque, ops::Range};

use serde_json::Value;

use crate::error::Error;

/// What requests call it.
pub const FIELD: &str = "logprobs";
/// Share of a sentence's bytes, without spaces, that must be of tokens that are known.
const COVERED: f64 = 0.9;
/// How far ahead a token is looked for that is not where it should be, in bytes: behind a character that was not told.
const NEAR: usize = 16;

/// A token of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// What it spells.
    pub bytes: Vec<u8>,
    /// The logarithm of its probability, in nats.
    pub logprob: f64,
}

impl Token {
    /// The tokens of a choice's `logprobs`, as chats have them. What is none is left out.
    pub fn read(logprobs: &Value) -> Vec<Self> {
        let entries = logprobs["content"].as_array().into_iter().flatten();
        entries.filter_map(Self::of).collect()
    }

    fn of(entry: &Value) -> Option<Self> {
        let byte = |byte: &Value| byte.as_u64().and_then(|byte| u8::try_from(byte).ok());
        Some(Self {
            bytes: match entry["bytes"].as_array() {
                Some(bytes) => bytes.iter().map(byte).collect::<Option<_>>()?,
                None => entry["token"].as_str()?.into(),
            },
            logprob: entry["logprob"].as_f64()?,
        })
    }
}

/// Whether an error says that a model gives no probabilities.
pub fn is_lacking(error: &Error) -> bool {
    match error {
        Error::ProviderLacks { fields, .. } => fields.iter().any(|field| field == FIELD),
        Error::NotWithGuardrails { field, .. } => *field == FIELD,
        Error::ProviderInvalid { message } => message.contains(FIELD),
        _ => false,
    }
}

/// An answer and its tokens, as they come.
#[derive(Debug, Default)]
pub struct Certainty {
    /// All that the model wrote.
    text: Vec<u8>,
    /// How much of it is done.
    at: usize,
    /// Tokens whose text is still to come.
    waiting: VecDeque<Token>,
    /// Tokens by their places in the text, with the negative logarithms of their probabilities.
    placed: Vec<(Range<usize>, f64)>,
    has_tokens: bool,
}

impl Certainty {
    /// Takes the next piece of the answer, and the tokens that came with it.
    pub fn add(&mut self, text: &str, tokens: Vec<Token>) {
        self.has_tokens |= !tokens.is_empty();
        self.text.extend_from_slice(text.as_bytes());
        self.waiting.extend(tokens);
        while let Some(token) = self.waiting.front() {
            match find(&self.text[self.at..], &token.bytes) {
                Found::Here(place) => {
                    self.placed
                        .push((self.at + place.start..self.at + place.end, -token.logprob));
                    self.at += place.end;
                }
                Found::ToCome => return,
                Found::Nowhere => {}
            }
            self.waiting.pop_front();
        }
    }

    /// Whether the model tells probabilities at all.
    pub fn has_tokens(&self) -> bool {
        self.has_tokens
    }

    /// The mean negative log-likelihood of the tokens of a sentence, in nats, by its place in what the model wrote. None where
    /// its tokens are not known.
    pub fn uncertainty(&self, place: &Range<usize>) -> Option<f64> {
        let text = self.text.get(place.clone())?;
        let begins = |token: &Range<usize>| token.start + spaces(&self.text[token.clone()]);
        // A token has the spaces before its word.
        let own = self.placed.iter().filter(|(token, _)| place.contains(&begins(token)));
        let (mut sum, mut count, mut covered) = (0.0, 0, 0);
        for (token, surprise) in own {
            sum += surprise;
            count += 1;
            covered += seen(&self.text[token.start..token.end.min(place.end)]);
        }
        let is_covered = covered > 0 && covered as f64 >= COVERED * seen(text) as f64;
        is_covered.then(|| sum / f64::from(count))
    }
}

enum Found {
    Here(Range<usize>),
    ToCome,
    Nowhere,
}

/// Where a token stands in the rest of a text.
fn find(rest: &[u8], token: &[u8]) -> Found {
    if token.is_empty() {
        return Found::Nowhere;
    }
    if rest.starts_with(token) {
        return Found::Here(0..token.len());
    }
    let (left, word) = (spaces(rest), &token[spaces(token)..]);
    let behind = &rest[left..];
    if !word.is_empty() && behind.starts_with(word) {
        return Found::Here(left..left + word.len());
    }
    if word.starts_with(behind) || token.starts_with(rest) {
        return Found::ToCome;
    }
    let near = &behind[..behind.len().min(NEAR + word.len())];
    match near.windows(word.len().max(1)).position(|window| window == word) {
        Some(at) => Found::Here(left + at..left + at + word.len()),
        None => Found::Nowhere,
    }
}

/// Spaces that a text begins with.
fn spaces(text: &[u8]) -> usize {
    text.len() - text.trim_ascii_start().len()
}

/// Bytes that are no spaces.
fn seen(text: &[u8]) -> usize {
    text.iter().filter(|byte| !byte.is_ascii_whitespace()).count()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn token(text: &str, logprob: f64) -> Token {
        Token {
            bytes: text.into(),
            logprob,
        }
    }

    /// One piece of text for each token.
    fn certainty(tokens: &[(&str, f64)]) -> Certainty {
        let mut certainty = Certainty::default();
        for (text, logprob) in tokens {
            certainty.add(text, vec![token(text, *logprob)]);
        }
        certainty
    }

    #[test]
    fn a_sentence_has_the_mean_of_its_tokens() {
        let told = certainty(&[
            ("Fees", -0.5),
            (" are", -0.1),
            (" 5.", -0.3),
            (" Pets", -4.0),
            (" stay.", -2.0),
        ]);
        // The space behind a sentence belongs to it, and the token that begins with it to the next one.
        assert_eq!(told.uncertainty(&(0..12)).map(|it| (it * 10.0).round()), Some(3.0));
        assert_eq!(told.uncertainty(&(12..22)), Some(3.0));
        assert!(told.has_tokens() && !Certainty::default().has_tokens());
        assert_eq!(told.uncertainty(&(12..99)), None);
        assert_eq!(told.uncertainty(&(5..5)), None);
    }

    #[rstest]
    // A token without text, and one whose text a stop string has cut.
    #[case::end(&[("Fees are 5.", "Fees are 5."), ("", ""), ("", "<|end|>")])]
    // Text is held back, and comes with a later token.
    #[case::late(&[("", "Fees"), ("Fees", " are"), (" are 5.", " 5.")])]
    #[case::early(&[("Fees are 5.", "Fees"), ("", " are"), ("", " 5.")])]
    // Spaces at the beginning are left out, or differ.
    #[case::spaces(&[("Fees", " Fees"), (" are", " are"), (" 5.", "\u{20}\u{20}5.")])]
    #[case::space_tokens(&[("", "\n"), ("Fees", "Fees"), (" are", " are"), (" ", " "), ("5.", "5.")])]
    // A letter in pieces, as some tell it.
    #[case::letters(&[("Fe", "Fe"), ("", "\u{FFFD}"), ("es are", "es are"), (" 5.", " 5.")])]
    fn tokens_are_found_however_they_come(#[case] events: &[(&str, &str)]) {
        let mut certainty = Certainty::default();
        for (text, spelled) in events {
            certainty.add(text, vec![token(spelled, -0.25)]);
        }
        assert_eq!(certainty.uncertainty(&(0..11)), Some(0.25));
    }

    #[test]
    fn a_letter_that_was_not_told_is_passed_over_and_a_word_is_not() {
        let mut certainty = Certainty::default();
        certainty.add("Opłata wynosi", vec![token("Op", -0.5), token("\u{FFFD}", -9.0)]);
        certainty.add(" pięć euro.", vec![token("ata", -0.5), token(" wynosi", -0.5)]);
        certainty.add("", vec![token(" pięć", -0.5), token(" euro.", -0.5)]);
        assert_eq!(certainty.uncertainty(&(0.."Opłata wynosi pięć euro.".len())), Some(0.5));
        let mut other = Certainty::default();
        other.add("Fees are high.", vec![token("Fees", -0.1), token(" high.", -0.1)]);
        assert_eq!(other.uncertainty(&(0..14)), None);
        // What was thought before, and is not in the answer.
        let mut other = Certainty::default();
        other.add("Fees are high.", vec![token("Nonsense", -0.1), token("quartz", -0.1)]);
        assert_eq!(other.uncertainty(&(0..14)), None);
    }

    #[test]
    fn tokens_are_read_as_chats_have_them() {
        let read = Token::read(&json!({"content": [
            {"token": "ó", "bytes": [195, 179], "logprob": -0.5, "top_logprobs": []},
            {"token": " a", "bytes": null, "logprob": -1},
            {"token": "<|end|>", "bytes": [], "logprob": 0},
            {"token": "x", "logprob": null},
            {"token": "y", "bytes": [300], "logprob": -1.0},
            {"logprob": -1.0},
            7,
        ]}));
        assert_eq!(read, [token("ó", -0.5), token(" a", -1.0), token("", 0.0)]);
        for none in [json!(null), json!({}), json!({"content": null}), json!([1])] {
            assert_eq!(Token::read(&none), []);
        }
    }

    #[test]
    fn whoever_cannot_tell_says_so_in_many_ways() {
        for error in [
            Error::ProviderLacks {
                service: "x",
                fields: vec!["n".into(), "logprobs".into()],
            },
            Error::NotWithGuardrails {
                field: "logprobs",
                instead: "leave it out",
            },
            Error::ProviderInvalid {
                message: "this model has no logprobs".into(),
            },
        ] {
            assert!(is_lacking(&error), "{error:?}");
        }
        assert!(!is_lacking(&Error::ProviderInvalid { message: "x".into() }));
        assert!(!is_lacking(&Error::RoomEmpty));
    }
}
