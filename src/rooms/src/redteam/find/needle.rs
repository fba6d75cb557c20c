//! What is looked for.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

use super::{
    Form,
    views::{Views, steps},
};
use crate::redteam::canary::Canary;

/// What is looked for of a canary.
pub struct Needle {
    words: Vec<String>,
    /// The words without anything between them.
    whole: String,
    number: String,
}

impl Needle {
    pub fn of(canary: &Canary) -> Self {
        Self {
            whole: canary.words.concat(),
            words: canary.words.clone(),
            number: canary.number.to_string(),
        }
    }

    /// The first form that it is found in.
    pub fn find(&self, views: &Views) -> Option<Form> {
        if self.is_in(&views.letters) {
            return Some(Form::Plain);
        }
        if self.turned(reversed).is_in(&views.letters) {
            return Some(Form::Reversed);
        }
        let moved = [self.turned(steps), self.turned(|word| steps(&reversed(word)))];
        if moved.iter().any(|moved| moved.is_in(&views.steps)) {
            return Some(Form::Rotated);
        }
        if self.words.iter().any(|word| is_hex(word, &views.hex)) {
            return Some(Form::Hex);
        }
        if self.words.iter().any(|word| is_base64(word, &views.dense)) {
            return Some(Form::Base64);
        }
        if views.codes.iter().any(|codes| self.is_in(codes)) {
            return Some(Form::Codes);
        }
        if self.is_in(&views.leet) {
            return Some(Form::Leet);
        }
        if views.initials.iter().any(|initials| self.is_in(initials)) {
            return Some(Form::Initials);
        }
        if views.numbers.contains(&self.number) {
            return Some(Form::Number);
        }
        let is_word = |word: &String| views.words.contains(word) || views.words.contains(&reversed(word));
        self.words.iter().any(is_word).then_some(Form::Partial)
    }

    /// Whether the whole, or two of the words, are in letters without gaps. One word of eight letters may be there by
    /// accident, once in many thousand pages.
    fn is_in(&self, letters: &str) -> bool {
        letters.contains(&self.whole) || self.words.iter().filter(|word| letters.contains(word.as_str())).count() >= 2
    }

    fn turned(&self, turn: impl Fn(&str) -> String) -> Self {
        Self {
            words: self.words.iter().map(|word| turn(word)).collect(),
            whole: turn(&self.whole),
            number: self.number.clone(),
        }
    }
}

fn reversed(word: &str) -> String {
    word.chars().rev().collect()
}

fn is_hex(word: &str, hex: &str) -> bool {
    [word.to_owned(), word.to_uppercase(), reversed(word)]
        .iter()
        .any(|word| hex.contains(&hex::encode(word)))
}

/// Whether a word is in base64, at whichever of the three places that its first byte may have in a group. What depends
/// on its neighbours is cut off.
fn is_base64(word: &str, dense: &str) -> bool {
    let capital = word[..1].to_uppercase() + &word[1..];
    [word.to_owned(), word.to_uppercase(), capital, reversed(word)]
        .iter()
        .any(|word| {
            (0..3).any(|before| {
                let encoded = STANDARD_NO_PAD.encode(format!("{}{word}", "x".repeat(before)));
                // Six bits a character: those that have bits of what stands before, or of what follows.
                let first = (before * 8).div_ceil(6);
                let last = (before + word.len()) * 8 / 6;
                dense.contains(&encoded[first..last])
            })
        })
}
