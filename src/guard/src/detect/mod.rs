//! What the detectors look for.

pub mod injection;
pub mod invisible;
pub mod personal;
pub mod secrets;

pub use invisible::INVISIBLE;

use crate::rule::Candidate;

impl Candidate<'_> {
    /// Its digits and ASCII letters, the letters in upper case.
    pub(crate) fn compact(&self) -> Vec<u8> {
        let bytes = self.text.bytes().filter(u8::is_ascii_alphanumeric);
        bytes.map(|byte| byte.to_ascii_uppercase()).collect()
    }

    /// The values of its digits.
    pub(crate) fn digits(&self) -> Vec<u32> {
        let digits = self.text.bytes().filter(u8::is_ascii_digit);
        digits.map(|byte| u32::from(byte - b'0')).collect()
    }

    /// Whether a word that begins as one of `words`, in lower case, is shortly before it.
    pub(crate) fn follows(&self, words: &[&str]) -> bool {
        let before = self.before.to_lowercase();
        let begins = |at: usize| !before[..at].ends_with(char::is_alphabetic);
        let mut words = words.iter();
        words.any(|word| before.match_indices(word).any(|(at, _)| begins(at)))
    }
}
