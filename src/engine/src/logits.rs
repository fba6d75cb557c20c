//! The logits of a pass, where they were computed.

use tch::{Device, Kind, TchError, Tensor};

use crate::{
    Failure,
    draw::{self, Draw},
    logprobs::{doubles, floats, log_sum_exp},
};

/// The logits that a pass was asked for, `[rows, vocabulary]` in single precision.
pub(crate) struct Logits {
    rows: Tensor,
    /// What most requests need of each row, where the rows are in a GPU's memory: a row is large, and the
    /// way to the processor narrow.
    summaries: Vec<Summary>,
}

/// What there is to know of a row without its numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    /// The token that was chosen by it.
    pub token: u32,
    /// ln of that token's probability; not finite if a logit is infinite or undefined.
    pub logprob: f32,
    /// ln of the sum of e to the logits; not finite if a logit is infinite or undefined.
    pub log_sum_exp: f32,
}

impl Summary {
    /// The token, and how unlikely the model itself found it, as `Sampler::choose` gives them.
    ///
    /// # Errors
    /// When the logits are no numbers.
    pub fn chosen(&self) -> Result<(u32, f32), Failure> {
        match self.log_sum_exp.is_finite() {
            true => Ok((self.token, (-self.logprob).max(0.0))),
            false => Err(Failure::NotFinite),
        }
    }
}

/// Neighbouring rows: those of one request.
#[derive(Clone, Copy)]
pub(crate) struct LogitsOf<'a> {
    logits: &'a Logits,
    first: i64,
    count: i64,
}

impl Logits {
    /// On a GPU, tokens are chosen at once: by chance in the rows of `draws`, the likeliest in the others. On
    /// the processor, whoever needs them looks at the numbers.
    pub fn new(rows: Tensor, draws: &[(i64, Draw)]) -> Result<Self, TchError> {
        let summaries = match rows.device() {
            Device::Cpu => Vec::new(),
            _ => summaries(&rows, draws)?,
        };
        Ok(Self { rows, summaries })
    }

    pub fn rows(&self, first: i64, count: i64) -> LogitsOf<'_> {
        LogitsOf {
            logits: self,
            first,
            count,
        }
    }
}

impl LogitsOf<'_> {
    /// The first `count` of them, where they were computed.
    pub fn beginning(&self, count: i64) -> Result<Tensor, TchError> {
        self.logits.rows.f_narrow(0, self.first, count.min(self.count))
    }

    /// The last of them, where it was computed, `[1, vocabulary]`.
    pub fn last(&self) -> Result<Tensor, TchError> {
        self.logits.rows.f_narrow(0, self.first + self.count - 1, 1)
    }

    /// What is known of the last one without its numbers.
    pub fn summary(&self) -> Option<Summary> {
        let last = usize::try_from(self.first + self.count - 1).ok()?;
        self.logits.summaries.get(last).copied()
    }

    /// The numbers of the last one, and the logarithm of the sum of e to them.
    pub fn numbers(&self) -> Result<(Vec<f32>, f32), TchError> {
        let last = self.last()?;
        let sum = match self.summary() {
            Some(summary) => summary.log_sum_exp,
            None => log_sum_exp(&last)?,
        };
        Ok((floats(&last)?, sum))
    }
}

fn summaries(rows: &Tensor, draws: &[(i64, Draw)]) -> Result<Vec<Summary>, TchError> {
    let tokens = draw::choose(rows, draws)?;
    let chosen = rows.f_gather(1, &tokens.f_unsqueeze(1)?, false)?.f_squeeze_dim(1)?;
    let sums = rows.f_logsumexp([1], false)?;
    let logprobs = chosen.f_sub(&sums)?;
    let [tokens, logprobs, sums] = [tokens, logprobs, sums].map(|column| column.f_to_kind(Kind::Double));
    let numbers = doubles(&Tensor::f_stack(&[tokens?, logprobs?, sums?], 1)?)?;
    let (rows, _) = numbers.as_chunks::<3>();
    let summary = |[token, logprob, log_sum_exp]: &[f64; 3]| Summary {
        token: *token as u32,
        logprob: *logprob as f32,
        log_sum_exp: *log_sum_exp as f32,
    };
    Ok(rows.iter().map(summary).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_say_what_the_numbers_do() {
        let rows = Tensor::from_slice(&[0.5f32, 2.0, 2.0, -1.0, 7.0, f32::NAN, 0.0, 1.0]).view([2, 4]);
        let summaries = summaries(&rows, &[]).unwrap();
        let logits = Logits::new(rows, &[]).unwrap();
        let (numbers, sum) = logits.rows(0, 1).numbers().unwrap();
        assert_eq!(summaries[0].token, 1);
        assert!((summaries[0].log_sum_exp - sum).abs() < 1e-6);
        assert!((summaries[0].logprob - (numbers[1] - sum)).abs() < 1e-6);
        assert!(!summaries[1].log_sum_exp.is_finite());
        assert_eq!(logits.rows(0, 2).last().unwrap().size(), [1, 4]);
        assert_eq!(logits.rows(0, 2).summary(), None);
    }
}
