//! What is learned in one forward and backward pass, as token ids.

/// Target of a place from which nothing is learned.
pub const IGNORE: i64 = -100;

/// A text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequence {
    /// Its tokens.
    pub tokens: Vec<i64>,
    /// What follows each of them, or [`IGNORE`]; as long as `tokens`.
    pub targets: Vec<i64>,
}

impl Sequence {
    /// Places that are learned from.
    pub fn targets(&self) -> usize {
        self.targets.iter().filter(|target| **target != IGNORE).count()
    }
}

/// Two answers to one prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// The prompt with the better answer; targets are those of the answer.
    pub chosen: Sequence,
    /// The prompt with the worse one.
    pub rejected: Sequence,
}

/// One pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Rows of texts. Texts of one row see only themselves, and their positions begin at 0.
    Texts(Vec<Vec<Sequence>>),
    /// Pairs of answers.
    Pairs(Vec<Pair>),
}

impl Work {
    /// Tokens of input.
    pub fn tokens(&self) -> usize {
        match self {
            Self::Texts(rows) => rows.iter().flatten().map(|it| it.tokens.len()).sum(),
            Self::Pairs(pairs) => pairs
                .iter()
                .map(|it| it.chosen.tokens.len() + it.rejected.tokens.len())
                .sum(),
        }
    }

    /// What the loss is averaged over: places that are learned from, or pairs.
    pub fn weight(&self) -> usize {
        match self {
            Self::Texts(rows) => rows.iter().flatten().map(Sequence::targets).sum(),
            Self::Pairs(pairs) => pairs.len(),
        }
    }
}
