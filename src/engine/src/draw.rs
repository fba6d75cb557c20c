//! Draws tokens of many requests at once, where their logits are: on a GPU, that is a hundred times faster
//! than to bring the logits to the processor.
//!
//! Tokens are drawn as `Sampler::choose` draws them; `tests` holds the two together.

use tch::{Kind, TchError, Tensor};

/// How a token is chosen by nothing but the logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Choice {
    /// The likeliest.
    Likeliest,
    /// One by chance.
    Drawn(Draw),
}

/// The settings of one draw, as in [`Sampling`](crate::Sampling).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Draw {
    pub temperature: f32,
    pub top_p: f32,
    pub top_k: usize,
    pub min_p: f32,
    /// At least 0 and less than 1.
    pub random: f32,
}

impl Draw {
    /// Whether all tokens may be drawn, in whatever order they are.
    fn is_plain(&self, vocabulary: usize) -> bool {
        self.top_p >= 1.0 && (self.top_k == 0 || self.top_k >= vocabulary)
    }
}

/// Settings of some rows, `[rows, 1]` each, on the device.
struct Settings {
    temperature: Tensor,
    top_p: Tensor,
    top_k: Tensor,
    min_p: Tensor,
    random: Tensor,
}

impl Settings {
    fn new(draws: &[Draw], vocabulary: usize, device: tch::Device) -> Result<Self, TchError> {
        let row = |draw: &Draw| {
            let most = match draw.top_k {
                0 => vocabulary,
                top_k => top_k.min(vocabulary),
            };
            [draw.temperature, draw.top_p, most as f32, draw.min_p, draw.random]
        };
        let numbers: Vec<f32> = draws.iter().flat_map(row).collect();
        let numbers = Tensor::f_from_slice(&numbers)?.f_to_device(device)?.f_view([-1, 5])?;
        let column = |index| numbers.f_narrow(1, index, 1);
        Ok(Self {
            temperature: column(0)?,
            top_p: column(1)?,
            top_k: column(2)?,
            min_p: column(3)?,
            random: column(4)?,
        })
    }
}

/// The token of each row of `logits`, `[rows, vocabulary]`: drawn in the rows of `draws`, the likeliest in the
/// others. `[rows]`.
pub(crate) fn choose(logits: &Tensor, draws: &[(i64, Draw)]) -> Result<Tensor, TchError> {
    let vocabulary = logits.size2()?.1 as usize;
    let (_, mut tokens) = logits.f_max_dim(1, false)?;
    let (plain, cut): (Vec<_>, Vec<_>) = draws.iter().partition(|(_, draw)| draw.is_plain(vocabulary));
    for (draws, is_cut) in [(plain, false), (cut, true)] {
        if draws.is_empty() {
            continue;
        }
        let (rows, draws): (Vec<i64>, Vec<Draw>) = draws.into_iter().unzip();
        let settings = Settings::new(&draws, vocabulary, logits.device())?;
        let rows = Tensor::f_from_slice(&rows)?.f_to_device(logits.device())?;
        let logits = logits.f_index_select(0, &rows)?;
        let drawn = match is_cut {
            true => settings.of_the_best(&logits)?,
            false => settings.of_all(&logits)?,
        };
        let _ = tokens.f_index_copy_(0, &rows, &drawn.f_view([-1])?)?;
    }
    Ok(tokens)
}

impl Settings {
    /// Draws in the order of tokens.
    fn of_all(&self, logits: &Tensor) -> Result<Tensor, TchError> {
        let highest = logits.f_amax([1], true)?;
        self.place(&self.weights(logits, &highest)?)
    }

    /// Draws in falling order, from as many as `top_k` and `top_p` leave.
    fn of_the_best(&self, logits: &Tensor) -> Result<Tensor, TchError> {
        let (sorted, tokens) = logits.f_sort_stable(true, 1, true)?;
        let vocabulary = sorted.size2()?.1;
        let weights = self.weights(&sorted, &sorted.f_narrow(1, 0, 1)?)?;
        let ranks = Tensor::f_arange(vocabulary, (Kind::Float, logits.device()))?;
        let weights = weights.f_masked_fill(&ranks.f_ge_tensor(&self.top_k)?, 0.0)?;
        let sums = weights.f_cumsum(1, Kind::Float)?;
        let mass = sums.f_narrow(1, vocabulary - 1, 1)?.f_mul(&self.top_p)?;
        // The first token is kept in any case: nothing comes before it.
        let rest = sums.f_sub(&weights)?.f_ge_tensor(&mass)?;
        let _ = rest.f_narrow(1, 0, 1)?.f_fill_(0)?;
        let place = self.place(&weights.f_masked_fill(&rest, 0.0)?)?;
        tokens.f_gather(1, &place, false)
    }

    /// How likely tokens are, compared with the likeliest.
    fn weights(&self, logits: &Tensor, highest: &Tensor) -> Result<Tensor, TchError> {
        let weights = logits.f_sub(highest)?.f_div(&self.temperature)?.f_exp()?;
        weights.f_masked_fill(&weights.f_lt_tensor(&self.min_p)?, 0.0)
    }

    /// Where the random number falls: the first place whose sum is above its share of all.
    fn place(&self, weights: &Tensor) -> Result<Tensor, TchError> {
        let last = weights.size2()?.1 - 1;
        let sums = weights.f_cumsum(1, Kind::Float)?;
        // Below the sum of all in spite of rounding: what comes after that weighs nothing.
        let share = self.random.f_clamp_max(1.0 - 1e-6)?;
        let share = sums.f_narrow(1, last, 1)?.f_mul(&share)?;
        share
            .f_searchsorted(&sums, false, true, "right", None::<&Tensor>)?
            .f_clamp_max(last)
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::{Sampling, sampler::Sampler};

    /// The same request's sampler twice: one chooses here, one as processors do.
    #[test]
    fn tokens_are_drawn_as_the_sampler_draws_them() {
        let rows = 40;
        let wave = |i: i64| ((i * 7919 % 613) as f32 / 100.0).sin() * 4.0 - (i % 37) as f32 / 20.0;
        let numbers: Vec<f32> = (0..rows * 300).map(wave).collect();
        let logits = Tensor::from_slice(&numbers).view([rows, 300]);
        let settings = [
            (1.0, 1.0, 0, 0.0),
            (0.7, 1.0, 0, 0.05),
            (1.0, 0.9, 0, 0.0),
            (1.5, 0.3, 0, 0.0),
            (0.8, 1.0, 5, 0.0),
            (1.0, 0.8, 20, 0.02),
            (0.5, 0.0001, 0, 0.0),
            (0.0, 1.0, 0, 0.0),
        ];
        let (mut same, mut other_than_likeliest) = (0, 0);
        for (seed, (temperature, top_p, top_k, min_p)) in settings.into_iter().enumerate() {
            let sampling = Sampling {
                temperature,
                top_p,
                top_k,
                min_p,
                seed: Some(seed as u64),
                ..Sampling::default()
            };
            let [mut here, mut there] = [(); 2].map(|()| Sampler::new(sampling.clone(), None, &[]));
            let draws: Vec<_> = (0..rows)
                .filter_map(|row| match here.plan() {
                    Some(Choice::Drawn(draw)) => Some((row, draw)),
                    _ => None,
                })
                .collect();
            assert_eq!(draws.is_empty(), temperature == 0.0);
            let tokens = Vec::<i64>::try_from(choose(&logits, &draws).unwrap()).unwrap();
            let likeliest = Vec::<i64>::try_from(choose(&logits, &[]).unwrap()).unwrap();
            for (row, token) in tokens.iter().enumerate() {
                let (expected, _) = there.choose(&numbers[row * 300..][..300], 1.0).unwrap();
                same += usize::from(i64::from(expected) == *token);
                other_than_likeliest += usize::from(likeliest[row] != *token);
            }
        }
        // Sums are rounded in other places: a draw at the very border may fall on the other side.
        assert!(same >= 318, "{same} of 320");
        assert!(other_than_likeliest > 100, "{other_than_likeliest}");
    }

    #[test]
    fn rows_that_are_no_numbers_give_some_token() {
        let logits = Tensor::full([2, 9], f64::NAN, (Kind::Float, Device::Cpu));
        let draw = |top_p| Draw {
            temperature: 1.0,
            top_p,
            top_k: 0,
            min_p: 0.0,
            random: 0.5,
        };
        let tokens = Vec::<i64>::try_from(choose(&logits, &[(0, draw(1.0)), (1, draw(0.5))]).unwrap()).unwrap();
        assert!(tokens.iter().all(|token| (0..9).contains(token)), "{tokens:?}");
    }
}
