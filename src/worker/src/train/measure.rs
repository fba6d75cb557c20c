//! Losses without learning: on parts that are held back, and on general text.

use engine::text::Tokenizer;
use protocol::tune::TrainFailure;
use train::{Sequence, Trainer, Weights, Work, collective::Group};

use super::{
    data::{self, Batching, Lengths as _, Tokens},
    failure::{of_lost, of_train, permanent, reasons, temporary},
};

/// Some paragraphs of plain English on general knowledge, with empty lines between them: a model that has learned
/// something at the price of its language finds them less likely than before.
const GENERAL: &str = include_str!("general.txt");
/// Longest piece of one of them, in tokens.
const PIECE: usize = 256;

/// Mean loss on a part, over all processes. `None` if it was stopped, which only a training in one process can be.
///
/// # Errors
/// When the data cannot be read, or computed with, or the loss is no number.
pub fn mean(
    trainer: &Trainer,
    (part, tokens): (&str, &Tokens),
    batching: &Batching,
    weights: Weights,
    group: &mut dyn Group,
    stopped: &dyn Fn() -> bool,
) -> Result<Option<f64>, TrainFailure> {
    let unreadable = |error: std::io::Error| {
        temporary(
            reasons::INTERNAL,
            format!("failed to read the tokens of the {part} part: {error}"),
        )
    };
    let (rank, size) = (group.rank(), group.size());
    let mut sums = [0.0, 0.0];
    let mut number = 0;
    for window in 0..data::windows(tokens.count()) {
        for batch in data::window(tokens, batching, 0, window).map_err(unreadable)? {
            if number % size == rank {
                let work = data::work(tokens, &batch).map_err(unreadable)?;
                let measured = trainer.measure(&work, weights).map_err(of_train)?;
                sums[0] += measured.loss;
                sums[1] += measured.weight;
            }
            number += 1;
            if size == 1 && stopped() {
                return Ok(None);
            }
        }
    }
    let [loss, weight] = summed(group, sums).map_err(of_lost)?;
    let place = format!("the loss on the {part} part ({part}.jsonl)");
    finite(&place, loss / weight).map(Some)
}

/// What is no number is told at once: it would win or lose against any other, and cannot be written down.
///
/// # Errors
/// When it is none.
pub fn finite(what: &str, value: f64) -> Result<f64, TrainFailure> {
    match value.is_finite() {
        true => Ok(value),
        false => {
            let message = format!(
                "{what} is {value}: lower hyperparameters.learningRate or warm up for longer; if the base itself is so \
                 before the first step, use another one"
            );
            Err(permanent(reasons::LOSS_NOT_FINITE, message))
        }
    }
}

/// Sums over all processes in double precision: everybody puts its numbers, in pieces that single precision holds
/// exactly, at places of its own.
fn summed(group: &mut dyn Group, own: [f64; 2]) -> Result<[f64; 2], train::collective::Lost> {
    const PIECES: usize = 4;
    if group.size() == 1 {
        return Ok(own);
    }
    let each = own.len() * PIECES;
    let mut values = vec![0.0; group.size() * each];
    for (number, value) in own.iter().enumerate() {
        for piece in 0..PIECES {
            let bits = (value.to_bits() >> (16 * piece)) as u16;
            values[group.rank() * each + number * PIECES + piece] = f32::from(bits);
        }
    }
    group.all_reduce(&mut values)?;
    let mut sums = [0.0, 0.0];
    for of_one in values.chunks_exact(each) {
        for (sum, pieces) in sums.iter_mut().zip(of_one.chunks_exact(PIECES)) {
            let bits = pieces
                .iter()
                .rev()
                .fold(0, |bits: u64, piece| bits << 16 | u64::from(*piece as u16));
            *sum += f64::from_bits(bits);
        }
    }
    Ok(sums)
}

/// Perplexity on general text.
///
/// # Errors
/// When it cannot be computed.
pub fn general(
    trainer: &Trainer,
    tokenizer: &Tokenizer,
    batching: &Batching,
    length: usize,
    weights: Weights,
) -> Result<f64, TrainFailure> {
    let mut texts = Vec::new();
    for paragraph in paragraphs() {
        let encoded = tokenizer.encode(paragraph, true);
        let encoded = encoded.map_err(|why| temporary(reasons::INTERNAL, format!("the general text: {why}")))?;
        let tokens: Vec<i64> = encoded.into_iter().map(i64::from).collect();
        let mut at = 0;
        while at + 1 < tokens.len() {
            let end = tokens.len().min(at + length.min(PIECE) + 1);
            texts.push(Sequence {
                tokens: tokens[at..end - 1].to_vec(),
                targets: tokens[at + 1..end].to_vec(),
            });
            at = end - 1;
        }
    }
    // Alike in length, so that little is padded.
    texts.sort_by_key(|text| std::cmp::Reverse(text.tokens.len()));
    let (mut loss, mut weight) = (0.0, 0.0);
    let mut rest = &texts[..];
    while let Some(longest) = rest.first() {
        let rows = (batching.batch_tokens / longest.tokens.len()).clamp(1, rest.len());
        let (now, later) = rest.split_at(rows);
        rest = later;
        let work = Work::Texts(now.iter().map(|text| vec![text.clone()]).collect());
        let measured = trainer.measure(&work, weights).map_err(of_train)?;
        loss += measured.loss;
        weight += measured.weight;
    }
    Ok((loss / weight).exp())
}

fn paragraphs() -> impl Iterator<Item = &'static str> {
    GENERAL.split("\n\n").map(str::trim).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_general_text_is_varied() {
        let all: Vec<&str> = paragraphs().collect();
        assert!(all.len() >= 40, "{}", all.len());
        for text in &all {
            let words = text.split_whitespace().count();
            assert!(
                (30..140).contains(&words) && text.ends_with('.'),
                "{words} words: {text}"
            );
        }
        let mut starts: Vec<&str> = all.iter().map(|text| &text[..12]).collect();
        starts.sort_unstable();
        starts.dedup();
        assert_eq!(starts.len(), all.len());
    }

    #[test]
    fn what_is_no_number_is_told() {
        assert_eq!(finite("the loss", 1.5).unwrap(), 1.5);
        for value in [f64::NAN, f64::INFINITY, f64::exp(800.0)] {
            let failure = finite("the loss", value).unwrap_err();
            assert!(
                failure.reason == reasons::LOSS_NOT_FINITE && !failure.retryable,
                "{failure}"
            );
            assert!(failure.message.starts_with("the loss is "), "{failure}");
        }
    }

    #[test]
    fn sums_of_several_are_exact() {
        // What each of three processes would get from the others.
        struct Others;
        impl Group for Others {
            fn rank(&self) -> usize {
                1
            }
            fn size(&self) -> usize {
                3
            }
            fn all_reduce(&mut self, values: &mut [f32]) -> Result<(), train::collective::Lost> {
                let own: Vec<f32> = values[8..16].to_vec();
                values[..8].copy_from_slice(&own);
                values[16..].copy_from_slice(&own);
                Ok(())
            }
            fn broadcast(&mut self, _bytes: &mut Vec<u8>) -> Result<(), train::collective::Lost> {
                Ok(())
            }
        }
        let value = 123_456_789.123_456_78;
        assert_eq!(
            summed(&mut Others, [value, -0.1]).unwrap(),
            [value + value + value, -0.1 - 0.1 - 0.1]
        );
    }
}
