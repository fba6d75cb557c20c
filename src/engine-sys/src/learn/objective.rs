//! The two ends of a step: losses with their gradients, and the change of the weights.

use std::ptr;

use tch::{Kind, TchError, Tensor};

use crate::{
    arguments::{dense, kind_code, refuse},
    ffi,
};

/// What some rows of logits say about their targets.
#[derive(Clone, Debug, PartialEq)]
pub struct Losses {
    /// Negative log-probability of each target.
    pub losses: Vec<f32>,
    /// Rows whose likeliest token is the target.
    pub correct: u64,
}

/// The losses of `targets`, `[rows]`, by `logits`, `[rows, vocabulary]`, which stay as they are or, with `gradient`, become
/// the gradient of the sum of all losses, each times the factor of its row, `[rows]`; one if there is none.
///
/// # Errors
/// When an argument has another type or shape, or a target is not in the vocabulary.
pub fn cross_entropy(
    logits: &mut Tensor,
    targets: &Tensor,
    gradient: bool,
    factors: Option<&Tensor>,
) -> Result<Losses, TchError> {
    let (rows, width) = logits.size2()?;
    let kind = logits.f_kind()?;
    let code = kind_code("the logits", kind)?;
    dense("the logits", logits, kind, &[rows, width])?;
    dense("the targets", targets, Kind::Int64, &[rows])?;
    if let Some(factors) = factors {
        dense("the factors", factors, Kind::Float, &[rows])?;
    }
    let mut found = vec![0i64; rows as usize];
    targets.f_copy_data(&mut found, rows as usize)?;
    if let Some(target) = found.iter().find(|target| !(0..width).contains(*target)) {
        return refuse(format!("target {target} of {width}"));
    }
    let mut losses = vec![0f32; found.len()];
    let mut correct = vec![false; found.len()];
    let call = ffi::CrossEntropy {
        logits: logits.data_ptr().cast(),
        kind: code,
        gradient,
        targets: found.as_ptr(),
        factors: factors.map_or(ptr::null(), |factors| factors.data_ptr().cast_const().cast()),
        rows,
        width,
        losses: losses.as_mut_ptr(),
        correct: correct.as_mut_ptr(),
    };
    // SAFETY: every shape, type and target is checked above, and there is room for a result of each row.
    unsafe { ffi::atelier_cross_entropy(&call) }
    Ok(Losses {
        losses,
        correct: correct.into_iter().filter(|it| *it).count() as u64,
    })
}

/// Settings of [`adamw`].
#[derive(Clone, Copy, Debug)]
pub struct AdamW {
    /// The learning rate.
    pub rate: f64,
    /// What the weights lose of themselves, times the rate.
    pub decay: f64,
    /// Decays of the mean and of the mean square of gradients.
    pub betas: (f64, f64),
    /// What is added to the root.
    pub epsilon: f64,
    /// How many times the weights have changed, this time included.
    pub count: i32,
    /// What the gradient is multiplied with.
    pub scale: f64,
}

/// Changes `value` by its gradient (Loshchilov and Hutter 2017, <https://arxiv.org/abs/1711.05101>), and `mean` and
/// `square`, which it remembers. All of them are in single precision and of one shape.
///
/// # Errors
/// When an argument has another type or shape.
pub fn adamw([value, mean, square]: [&mut Tensor; 3], gradient: &Tensor, settings: AdamW) -> Result<(), TchError> {
    let shape = value.size();
    let gradient = gradient.f_contiguous()?;
    let all: [(&str, &Tensor); 4] = [
        ("the value", value),
        ("the mean", mean),
        ("the mean square", square),
        ("the gradient", &gradient),
    ];
    for (name, tensor) in all {
        dense(name, tensor, Kind::Float, &shape)?;
    }
    let corrections = (
        1.0 - settings.betas.0.powi(settings.count),
        1.0 - settings.betas.1.powi(settings.count),
    );
    let call = ffi::AdamW {
        value: value.data_ptr().cast(),
        mean: mean.data_ptr().cast(),
        square: square.data_ptr().cast(),
        gradient: gradient.data_ptr().cast_const().cast(),
        count: value.numel() as i64,
        scale: settings.scale as f32,
        keep: (1.0 - settings.rate * settings.decay) as f32,
        rate: (settings.rate / corrections.0) as f32,
        // Subtracted here: in single precision little of it would be right.
        mean_fresh: (1.0 - settings.betas.0) as f32,
        square_decay: settings.betas.1 as f32,
        square_fresh: (1.0 - settings.betas.1) as f32,
        root_correction: corrections.1.sqrt() as f32,
        epsilon: settings.epsilon as f32,
    };
    // SAFETY: all four are dense and of one size; the three that change are borrowed as such.
    unsafe { ffi::atelier_adamw(&call) }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        testing::{largest_difference, numbers, tensor},
        threads::on_every_processor,
    };

    fn check_losses(kind: Kind, near: f64, rows: i64, width: i64) {
        let logits = tensor(&[rows, width], kind, 1) * 8.0;
        let targets: Vec<i64> = (0..rows).map(|row| row * 7 % width).collect();
        let targets = Tensor::from_slice(&targets);
        let factors = tensor(&[rows], Kind::Float, 2);
        let exact = logits.to_kind(Kind::Double).set_requires_grad(true);
        let losses = exact.cross_entropy_loss::<Tensor>(&targets, None, tch::Reduction::None, -100, 0.0);
        (&losses * &factors).sum(Kind::Double).backward();
        let wanted = |it: &Tensor| Vec::<f64>::try_from(it.contiguous().view([-1])).unwrap();

        let mut ours = logits.copy();
        let found = cross_entropy(&mut ours, &targets, true, Some(&factors)).unwrap();
        let off = largest_difference(&Tensor::from_slice(&found.losses), &wanted(&losses.detach()));
        assert!(off < 2e-5, "{kind:?} {rows}x{width}: losses are off by {off}");
        let off = largest_difference(&ours, &wanted(&exact.grad()));
        assert!(off < near, "{kind:?} {rows}x{width}: gradients are off by {off}");
        let likeliest = logits.argmax(-1, false).eq_tensor(&targets).sum(Kind::Int64);
        assert_eq!(found.correct, likeliest.int64_value(&[]) as u64);
        let again = cross_entropy(&mut logits.copy(), &targets, false, None).unwrap();
        assert_eq!(again, found);
    }

    #[test]
    fn losses_and_their_gradients() {
        on_every_processor(|| {
            for (rows, width) in [(1, 5), (9, 64), (40, 1003)] {
                check_losses(Kind::Float, 2e-6, rows, width);
                check_losses(Kind::BFloat16, 4e-3, rows, width);
            }
        });
    }

    #[test]
    fn of_equals_the_first_is_likeliest_and_what_is_no_number_stays_none() {
        let of = |numbers: &[f32], target: i64| {
            let mut logits = Tensor::from_slice(numbers).view([1, -1]);
            cross_entropy(&mut logits, &Tensor::from_slice(&[target]), true, None).unwrap()
        };
        assert_eq!([0, 1, 2].map(|target| of(&[3.0, 3.0, 1.0], target).correct), [1, 0, 0]);
        let mut wide = [0f32; 40];
        assert!((of(&wide, 7).losses[0] - 40f32.ln()).abs() < 1e-5);
        wide[3] = f32::NAN;
        assert!(of(&wide, 7).losses[0].is_nan() && of(&wide, 3).losses[0].is_nan());
        wide[3] = f32::INFINITY;
        assert!(!of(&wide, 7).losses[0].is_finite() && !of(&wide, 3).losses[0].is_finite());
        wide[3] = f32::NEG_INFINITY;
        assert!((of(&wide, 7).losses[0] - 39f32.ln()).abs() < 1e-5);
    }

    #[test]
    fn weights_move_as_by_the_definition() {
        on_every_processor(|| {
            for width in [7, 1000] {
                let mut state = [1, 2, 3].map(|seed| tensor(&[3, width], Kind::Float, seed));
                state[2] = state[2].abs();
                let gradient = tensor(&[3, width], Kind::Float, 4);
                let (rate, decay, scale) = (0.1, 0.01, 0.5);
                let number = |it: &Tensor| it.to_kind(Kind::Double);
                let scaled = number(&gradient) * scale;
                let mean = number(&state[1]) * 0.9 + &scaled * 0.1;
                let square = number(&state[2]) * 0.999 + &scaled * &scaled * 0.001;
                let root = (&square / (1.0 - 0.999f64.powi(3))).sqrt() + 1e-8;
                let value = number(&state[0]) * (1.0 - rate * decay) - &mean / (1.0 - 0.9f64.powi(3)) / root * rate;
                let settings = AdamW {
                    rate,
                    decay,
                    betas: (0.9, 0.999),
                    epsilon: 1e-8,
                    count: 3,
                    scale,
                };
                adamw(state.each_mut(), &gradient, settings).unwrap();
                for (found, expected) in state.iter().zip([value, mean, square]) {
                    let expected: Vec<f64> = Vec::try_from(expected.view([-1])).unwrap();
                    let off = largest_difference(found, &expected);
                    assert!(off < 1e-6, "off by {off}");
                }
            }
        });
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let targets = Tensor::from_slice(&[0i64, 1]);
        let mut logits = tensor(&[2, 8], Kind::Float, 1);
        let short = tensor(&[1], Kind::Float, 1);
        assert!(cross_entropy(&mut logits, &targets, true, Some(&short)).is_err());
        assert!(cross_entropy(&mut logits, &(&targets + 7), false, None).is_err());
        assert!(cross_entropy(&mut logits, &(&targets - 1), false, None).is_err());
        assert!(cross_entropy(&mut logits.tr(), &targets, false, None).is_err());
        let before = numbers(&logits);
        let [mut mean, mut square] = [1, 2].map(|seed| tensor(&[2, 7], Kind::Float, seed));
        let settings = AdamW {
            rate: 1.0,
            decay: 0.0,
            betas: (0.9, 0.999),
            epsilon: 1e-8,
            count: 1,
            scale: 1.0,
        };
        let gradient = tensor(&[2, 8], Kind::Float, 1);
        assert!(adamw([&mut logits, &mut mean, &mut square], &gradient, settings).is_err());
        assert_eq!(numbers(&logits), before);
    }
}
