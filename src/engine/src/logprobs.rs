//! Logarithmic probabilities of tokens, as OpenAI's API reports them: of the model itself, before
//! temperature and penalties.

use tch::{Device, Kind, TchError, Tensor, kind::Element};

/// A token and the logarithm (base e) of its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenLogprob {
    /// The token.
    pub token: u32,
    /// At most 0.
    pub logprob: f32,
}

/// A token of a sequence, with those that were likelier or nearly so.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprobs {
    /// The token itself.
    pub chosen: TokenLogprob,
    /// The most likely ones, in falling order.
    pub top: Vec<TokenLogprob>,
}

/// Rows whose softmax is computed at a time: a whole prompt's would take gigabytes.
const ROWS: i64 = 64;

/// Logprobs of `tokens`, the tokens that follow each row of `logits`, `[tokens, vocabulary]`, with
/// the `top` most likely ones of each row.
pub(crate) fn logprobs(logits: &Tensor, tokens: &[u32], top: usize) -> Result<Vec<TokenLogprobs>, TchError> {
    let mut all = Vec::with_capacity(tokens.len());
    for (chunk, tokens) in logits.f_split(ROWS, 0)?.iter().zip(tokens.chunks(ROWS as usize)) {
        let logprobs = chunk.f_log_softmax(-1, Kind::Float)?;
        let index: Vec<i64> = tokens.iter().map(|token| i64::from(*token)).collect();
        let index = Tensor::f_from_slice(&index)?
            .f_to_device(logits.device())?
            .f_unsqueeze(1)?;
        let chosen = floats(&logprobs.f_gather(1, &index, false)?)?;
        let (top_values, top_tokens) = logprobs.f_topk(top as i64, -1, true, true)?;
        let (top_values, top_tokens) = (floats(&top_values)?, numbers::<i64>(&top_tokens)?);
        for (row, (token, logprob)) in tokens.iter().zip(chosen).enumerate() {
            let of_row = row * top..(row + 1) * top;
            let values = &top_values[of_row.clone()];
            all.push(TokenLogprobs {
                chosen: TokenLogprob { token: *token, logprob },
                top: top_tokens[of_row]
                    .iter()
                    .zip(values)
                    .map(|(token, logprob)| TokenLogprob {
                        token: *token as u32,
                        logprob: *logprob,
                    })
                    .collect(),
            });
        }
    }
    Ok(all)
}

/// ln of the sum of e to the logits of one row: not finite if a logit is infinite or undefined.
pub(crate) fn log_sum_exp(row: &Tensor) -> Result<f32, TchError> {
    let sum = floats(&row.f_logsumexp([-1], false)?)?;
    Ok(sum.first().copied().unwrap_or(f32::NAN))
}

/// The numbers of a tensor of single precision, row by row.
pub(crate) fn floats(tensor: &Tensor) -> Result<Vec<f32>, TchError> {
    numbers(tensor)
}

/// The numbers of a tensor of double precision, row by row.
pub(crate) fn doubles(tensor: &Tensor) -> Result<Vec<f64>, TchError> {
    numbers(tensor)
}

fn numbers<T: Element + Copy + Default>(tensor: &Tensor) -> Result<Vec<T>, TchError> {
    let mut values = vec![T::default(); tensor.numel()];
    let tensor = tensor.f_to_device(Device::Cpu)?.f_contiguous()?;
    tensor.f_copy_data(&mut values, tensor.numel())?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_add_up_and_the_likeliest_come_first() {
        let logits = Tensor::from_slice(&[0.0f32, 1.0, 2.0]).repeat([70, 1]);
        let tokens: Vec<u32> = (0..70).map(|i| i % 3).collect();
        let all = logprobs(&logits, &tokens, 3).unwrap();
        assert_eq!(all.len(), 70);
        let row = &all[65];
        assert_eq!(row.chosen.token, 2);
        assert_eq!(row.top.iter().map(|top| top.token).collect::<Vec<_>>(), [2, 1, 0]);
        assert_eq!(row.chosen.logprob, row.top[0].logprob);
        let sum: f32 = row.top.iter().map(|top| top.logprob.exp()).sum();
        assert!((sum - 1.0).abs() < 1e-5);
        assert!(logprobs(&logits, &tokens, 0).unwrap()[0].top.is_empty());
    }
}
