//! Texts as the network takes them: all tokens one after the other, without padding between them. Only attention
//! knows where a text begins, so it costs the same whether texts share rows or not, and sees no text but its own.

use tch::Tensor;

use crate::{Error, IGNORE, Sequence};

/// Rows are a multiple of this from [`SMALL`] on: libtorch prepares each new number of rows of a product for
/// milliseconds.
const MULTIPLE: usize = 32;
const SMALL: usize = 128;

/// Neighbouring texts of the same length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// The first row.
    pub first: i64,
    /// How many texts.
    pub texts: i64,
    /// Tokens of each.
    pub length: i64,
}

/// Some texts.
pub(crate) struct Batch {
    /// `[rows]`
    pub tokens: Tensor,
    /// `[rows]`: places in their texts.
    pub positions: Tensor,
    pub runs: Vec<Run>,
    /// Rows that have a target.
    pub places: Tensor,
    /// Their targets.
    pub targets: Tensor,
    /// How many there are in each text.
    pub counts: Vec<usize>,
}

impl Batch {
    /// Lays out the texts for a model of `vocabulary` tokens.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a Sequence>, vocabulary: i64) -> Result<Self, Error> {
        let (mut tokens, mut positions) = (Vec::new(), Vec::new());
        let (mut places, mut targets, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        let mut runs = Vec::new();
        for text in texts {
            check(text, vocabulary)?;
            let before = targets.len();
            for (place, target) in text.targets.iter().enumerate() {
                if *target != IGNORE {
                    places.push((tokens.len() + place) as i64);
                    targets.push(*target);
                }
            }
            counts.push(targets.len() - before);
            push(&mut runs, tokens.len(), text.tokens.len());
            tokens.extend(&text.tokens);
            positions.extend(0..text.tokens.len() as i64);
        }
        let length = tokens.len();
        if length >= SMALL && !length.is_multiple_of(MULTIPLE) {
            let more = MULTIPLE - length % MULTIPLE;
            push(&mut runs, length, more);
            tokens.extend(std::iter::repeat_n(0, more));
            positions.extend(0..more as i64);
        }
        Ok(Self {
            tokens: Tensor::f_from_slice(&tokens)?,
            positions: Tensor::f_from_slice(&positions)?,
            runs,
            places: Tensor::f_from_slice(&places)?,
            targets: Tensor::f_from_slice(&targets)?,
            counts,
        })
    }
}

/// Adds a text to the last run, or begins another.
fn push(runs: &mut Vec<Run>, first: usize, length: usize) {
    let (first, length) = (first as i64, length as i64);
    match runs.last_mut() {
        _ if length == 0 => {}
        Some(run) if run.length == length => run.texts += 1,
        _ => runs.push(Run {
            first,
            texts: 1,
            length,
        }),
    }
}

fn check(text: &Sequence, vocabulary: i64) -> Result<(), Error> {
    if text.tokens.len() != text.targets.len() {
        let why = format!("{} tokens have {} targets", text.tokens.len(), text.targets.len());
        return Err(Error::Work(why));
    }
    let known = |token: &i64| (0..vocabulary).contains(token);
    let targets = text.targets.iter().filter(|target| **target != IGNORE);
    match text.tokens.iter().chain(targets).find(|token| !known(token)) {
        Some(token) => Err(Error::Work(format!(
            "token {token} is outside the model's vocabulary of {vocabulary}: use the tokenizer of the base"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(length: usize) -> Sequence {
        Sequence {
            tokens: vec![1; length],
            targets: (0..length as i64).map(|i| if i == 0 { IGNORE } else { i }).collect(),
        }
    }

    #[test]
    fn neighbours_of_one_length_are_a_run() {
        let batch = Batch::new(&[text(3), text(3), text(2)], 10).unwrap();
        let run = |first, texts, length| Run { first, texts, length };
        assert_eq!(batch.runs, [run(0, 2, 3), run(6, 1, 2)]);
        assert_eq!(batch.counts, [2, 2, 1]);
        assert_eq!(Vec::<i64>::try_from(&batch.places).unwrap(), [1, 2, 4, 5, 7]);
        assert_eq!(Vec::<i64>::try_from(&batch.targets).unwrap(), [1, 2, 1, 2, 1]);
        let long = Batch::new(&[text(130)], 200).unwrap();
        assert_eq!(long.tokens.size(), [160]);
        assert_eq!(long.runs, [run(0, 1, 130), run(130, 1, 30)]);
    }

    #[test]
    fn what_is_not_of_the_model_is_named() {
        let message = |text: &Sequence| Batch::new([text], 4).err().unwrap().to_string();
        assert!(message(&text(9)).contains("token 4 is outside"));
        let uneven = Sequence {
            tokens: vec![1, 2],
            targets: vec![1],
        };
        assert!(message(&uneven).contains("2 tokens have 1 targets"));
    }
}
