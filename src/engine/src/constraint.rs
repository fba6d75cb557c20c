//! Answers that must have a form: a request brings a constraint, the sampler asks it before every
//! token. Which forms there are is the caller's business; the engine knows token ids only.

use std::fmt;

/// What an answer must look like, token by token. It lives on the engine thread, so it must be
/// quick and must never wait.
pub trait TokenConstraint: Send {
    /// Sets in `allowed`, which comes empty, the tokens that may come next. The token that ends the
    /// answer is one of them where the answer may end.
    ///
    /// # Errors
    /// Why it cannot go on; only the request that brought it fails.
    fn mask(&mut self, allowed: &mut TokenMask) -> Result<(), String>;

    /// Takes note of the token that was chosen, unless it ended the answer.
    ///
    /// # Errors
    /// Why it cannot go on; only the request that brought it fails.
    fn accept(&mut self, token: u32) -> Result<(), String>;

    /// Whether nothing may follow but the end.
    fn is_complete(&self) -> bool;

    /// The same constraint in the same state, for another answer to the same prompt.
    fn duplicate(&self) -> Box<dyn TokenConstraint>;
}

impl Clone for Box<dyn TokenConstraint> {
    fn clone(&self) -> Self {
        self.as_ref().duplicate()
    }
}

impl fmt::Debug for dyn TokenConstraint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenConstraint")
    }
}

/// A set of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenMask {
    words: Vec<u32>,
}

impl TokenMask {
    /// The empty set, of a vocabulary of so many tokens.
    pub fn new(tokens: usize) -> Self {
        Self {
            words: vec![0; tokens.div_ceil(32)],
        }
    }

    /// Adds a token; those outside the vocabulary do not count.
    pub fn allow(&mut self, token: u32) {
        if let Some(word) = self.words.get_mut(token as usize / 32) {
            *word |= 1 << (token % 32);
        }
    }

    /// Adds tokens 32 at a time: bit i of word j is token 32 j + i.
    pub fn allow_words(&mut self, words: &[u32]) {
        for (own, more) in self.words.iter_mut().zip(words) {
            *own |= more;
        }
    }

    /// Whether a token is in the set.
    pub fn allows(&self, token: u32) -> bool {
        let word = self.words.get(token as usize / 32);
        word.is_some_and(|word| word >> (token % 32) & 1 == 1)
    }

    /// Makes all other tokens impossible. False if that leaves none.
    pub(crate) fn apply(&self, logits: &mut [f32]) -> bool {
        let mut any = false;
        for (chunk, word) in logits.chunks_mut(32).zip(&self.words) {
            match *word {
                0 => chunk.fill(f32::NEG_INFINITY),
                word => {
                    any |= (word << (32 - chunk.len())) != 0;
                    for (bit, logit) in chunk.iter_mut().enumerate() {
                        if word >> bit & 1 == 0 {
                            *logit = f32::NEG_INFINITY;
                        }
                    }
                }
            }
        }
        any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_in_the_set_becomes_impossible() {
        let mut mask = TokenMask::new(40);
        let mut logits = vec![1.0; 40];
        assert!(!mask.apply(&mut logits.clone()));
        mask.allow(3);
        mask.allow(1000);
        mask.allow_words(&[0, 1 << 7 | 1 << 20, u32::MAX]);
        assert!(mask.apply(&mut logits));
        let left: Vec<usize> = (0..40).filter(|token| logits[*token] == 1.0).collect();
        assert_eq!(left, [3, 39]);
        assert!(mask.allows(39) && !mask.allows(38) && !mask.allows(999));

        // Bits beyond the vocabulary are no tokens.
        let mut mask = TokenMask::new(40);
        mask.allow_words(&[0, 1 << 20]);
        assert!(!mask.apply(&mut [1.0; 40]));
    }
}
