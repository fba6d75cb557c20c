//! A text as tokens, with a mark at each that is learned.

use train::{IGNORE, Sequence};

/// Tokens, and which of them are to be predicted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Masked {
    /// All tokens.
    pub tokens: Vec<u32>,
    /// Whether each is learned; as long as `tokens`.
    pub learned: Vec<bool>,
}

impl Masked {
    /// Adds tokens at the end.
    pub fn push(&mut self, tokens: &[u32], learned: bool) {
        self.tokens.extend_from_slice(tokens);
        self.learned.resize(self.tokens.len(), learned);
    }

    /// Tokens of input: the last one is a target only.
    pub fn inputs(&self) -> usize {
        self.tokens.len().saturating_sub(1)
    }

    /// Where the first token is that is learned. The very first of a text is nobody's target.
    pub fn first_learned(&self) -> Option<usize> {
        let first = self.learned.iter().skip(1).position(|learned| *learned);
        first.map(|at| at + 1)
    }

    /// Drops what follows the last token that is learned, and what does not fit `inputs` tokens of input. Returns
    /// whether something that is learned was dropped.
    pub fn cut(&mut self, inputs: usize) -> bool {
        let end = self.learned.iter().rposition(|learned| *learned).map_or(0, |at| at + 1);
        let kept = end.min(inputs + 1);
        self.tokens.truncate(kept);
        self.learned.truncate(kept);
        kept < end
    }
}

impl From<&Masked> for Sequence {
    fn from(masked: &Masked) -> Self {
        let inputs = masked.inputs();
        let targets = masked.tokens.iter().zip(&masked.learned).skip(1);
        Self {
            tokens: masked.tokens[..inputs].iter().map(|token| i64::from(*token)).collect(),
            targets: targets
                .map(|(token, learned)| if *learned { i64::from(*token) } else { IGNORE })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_what_follows() {
        let mut masked = Masked::default();
        masked.push(&[1, 2], false);
        masked.push(&[3, 4], true);
        masked.push(&[5], false);
        assert_eq!(masked.first_learned(), Some(2));
        assert!(!masked.cut(9));
        let sequence = Sequence::from(&masked);
        assert_eq!(sequence.tokens, [1, 2, 3]);
        assert_eq!(sequence.targets, [IGNORE, 3, 4]);
        assert!(masked.cut(2));
        assert_eq!(Sequence::from(&masked).targets, [IGNORE, 3]);
        let empty = Masked::default();
        assert_eq!((empty.inputs(), empty.first_learned()), (0, None));
        assert_eq!(Sequence::from(&empty), Sequence::default());
    }

    #[test]
    fn the_first_token_is_nobodys_target() {
        let mut masked = Masked::default();
        masked.push(&[1], true);
        assert_eq!(masked.first_learned(), None);
    }
}
