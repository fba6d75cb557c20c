//! What one pass computes: whole texts, one after the other, without padding between them.

use super::Encoded;

/// Texts of one pass, sorted by length.
pub(super) struct Batch<'a> {
    texts: Vec<&'a Encoded>,
}

/// Texts of equal length, which attention computes together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// First row of the pass.
    pub first: i64,
    pub texts: i64,
    /// Tokens of each.
    pub length: i64,
}

impl<'a> Batch<'a> {
    /// A batch of `texts` with their places in the order of the batch's rows.
    pub fn new(texts: &[&'a Encoded]) -> (Self, Vec<usize>) {
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|index| texts[*index].tokens.len());
        let texts = order.iter().map(|index| texts[*index]).collect();
        (Self { texts }, order)
    }

    /// Runs of equal length, in order.
    pub fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let mut first = 0;
        for text in &self.texts {
            let length = text.tokens.len() as i64;
            match runs.last_mut() {
                Some(run) if run.length == length => run.texts += 1,
                _ => runs.push(Run {
                    first,
                    texts: 1,
                    length,
                }),
            }
            first += length;
        }
        runs
    }

    /// Tokens, positions and types of all rows, padded to a number of rows that comes again.
    pub fn inputs(&self) -> [Vec<i64>; 3] {
        let numbers = |of: &dyn Fn(&Encoded) -> Vec<i64>| -> Vec<i64> {
            let mut all: Vec<i64> = self.texts.iter().flat_map(|text| of(text)).collect();
            all.resize(padded(all.len()), 0);
            all
        };
        let widened = |values: &[u32]| values.iter().map(|value| i64::from(*value)).collect();
        [
            numbers(&|text| widened(&text.tokens)),
            numbers(&|text| (0..text.tokens.len() as i64).collect()),
            numbers(&|text| widened(&text.types)),
        ]
    }
}

/// Rows that a pass of `tokens` tokens has: the matrix library prepares its kernels for each number
/// of rows anew, so there should not be many.
fn padded(tokens: usize) -> usize {
    let step = match tokens {
        0..=64 => 8,
        65..=512 => 32,
        _ => 128,
    };
    tokens.next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_equal_length_are_neighbours() {
        let texts = [3, 1, 3, 2].map(|length| Encoded::of_tokens(vec![length; length as usize]));
        let texts: Vec<&Encoded> = texts.iter().collect();
        let (batch, order) = Batch::new(&texts);
        assert_eq!(order, [1, 3, 0, 2]);
        let run = |first, texts, length| Run { first, texts, length };
        assert_eq!(batch.runs(), [run(0, 1, 1), run(1, 1, 2), run(3, 2, 3)]);
        let [tokens, positions, types] = batch.inputs();
        assert_eq!(tokens[..9], [1, 2, 2, 3, 3, 3, 3, 3, 3]);
        assert_eq!(positions[..9], [0, 0, 1, 0, 1, 2, 0, 1, 2]);
        assert_eq!((tokens.len(), types), (16, vec![0; 16]));
    }

    #[test]
    fn padding_is_little() {
        assert_eq!([1, 64, 65, 513].map(padded), [8, 64, 96, 640]);
    }
}
