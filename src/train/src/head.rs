//! The head and its cross entropy a few rows at a time: all logits of a batch take more memory than everything else.
//! The gradient is known in closed form, so nothing is kept for automatic differentiation.

use engine_sys::learn;
use tch::{Kind, TchError, Tensor};

/// Logits that there are at once, unless one row has more.
const VALUES: i64 = 1 << 25;
/// Rows that are computed at once at most.
const ROWS: i64 = 1024;
/// Rows are a multiple of this where that is possible: products of other numbers are slower.
const MULTIPLE: u64 = 32;

/// What is asked of the head.
#[derive(Clone, Copy, Default)]
pub(crate) struct Wanted<'a> {
    /// Gradients of the sum of losses, each of them times the factor of its row, `[rows]`; ones if there is none.
    pub gradients: Option<Option<&'a Tensor>>,
    /// The gradient of the head, too.
    pub weight: bool,
}

/// What the head makes of some rows.
pub(crate) struct Losses {
    /// Negative log-probability of each target.
    pub losses: Vec<f32>,
    /// Rows whose likeliest token is the target.
    pub correct: u64,
    /// `[rows, hidden]`, if it was asked.
    pub states: Option<Tensor>,
    /// `[vocabulary, hidden]` in single precision, if it was asked.
    pub weight: Option<Tensor>,
}

/// Computes the loss of `targets`, `[rows]`, from `states`, `[rows, hidden]`, and the head, `[vocabulary, hidden]`.
pub(crate) fn losses(
    states: &Tensor,
    weight: &Tensor,
    targets: &Tensor,
    wanted: Wanted<'_>,
) -> Result<Losses, TchError> {
    let at_once = at_once(states.size()[0], weight.size()[0]);
    in_pieces(states, weight, targets, wanted, at_once)
}

/// How many of `rows` to compute at once: about equal parts, for each reads the whole head.
fn at_once(rows: i64, vocabulary: i64) -> i64 {
    let most = (VALUES / vocabulary.max(1)).clamp(1, ROWS) as u64;
    let rows = rows.max(1) as u64;
    let equal = rows.div_ceil(rows.div_ceil(most));
    let even = equal.next_multiple_of(MULTIPLE);
    (if even <= most { even } else { equal }) as i64
}

fn in_pieces(
    states: &Tensor,
    weight: &Tensor,
    targets: &Tensor,
    wanted: Wanted<'_>,
    at_once: i64,
) -> Result<Losses, TchError> {
    let _guard = tch::no_grad_guard();
    let states = states.f_detach()?;
    let rows = states.size()[0];
    let mut losses = Losses {
        losses: Vec::with_capacity(rows as usize),
        correct: 0,
        states: None,
        weight: None,
    };
    let mut gradients = Vec::new();
    let mut first = 0;
    while first < rows {
        let count = at_once.min(rows - first);
        let piece = states.f_narrow(0, first, count)?;
        let targets = targets.f_narrow(0, first, count)?;
        let mut logits = piece.f_linear::<Tensor>(weight, None)?;
        let factors = match wanted.gradients {
            Some(Some(factors)) => Some(factors.f_narrow(0, first, count)?),
            _ => None,
        };
        let found = learn::cross_entropy(&mut logits, &targets, wanted.gradients.is_some(), factors.as_ref())?;
        losses.losses.extend(found.losses);
        losses.correct += found.correct;
        if wanted.gradients.is_some() {
            // What the model says less what is right.
            let by_logits = logits;
            gradients.push(by_logits.f_matmul(weight)?);
            if wanted.weight {
                let more = by_logits.f_transpose(0, 1)?.f_matmul(&piece)?;
                losses.weight = Some(match losses.weight.take() {
                    Some(mut sum) => sum.f_add_(&more)?,
                    None => more.f_to_kind(Kind::Float)?,
                });
            }
        }
        first += count;
    }
    losses.states = match &gradients[..] {
        [] => None,
        [one] => Some(one.shallow_clone()),
        several => Some(Tensor::f_cat(several, 0)?),
    };
    Ok(losses)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::random::Random;

    #[rstest]
    #[case(1024, 49_152, 512)]
    #[case(1000, 49_152, 512)]
    #[case(1024, 151_936, 205)]
    #[case(5000, 1000, 1024)]
    #[case(7, 1000, 32)]
    #[case(0, 10, 32)]
    #[case(9, 1 << 40, 1)]
    fn no_piece_is_much_smaller_than_others(#[case] rows: i64, #[case] vocabulary: i64, #[case] expected: i64) {
        assert_eq!(at_once(rows, vocabulary), expected);
    }

    #[rstest]
    #[case(1)]
    #[case(3)]
    #[case(100)]
    fn in_pieces_it_is_what_libtorch_differentiates(#[case] at_once: i64) {
        let random = |seed, shape: &[i64]| Random::new(&[seed]).normal(shape, 1.0).unwrap();
        let states = random(1, &[7, 5]).set_requires_grad(true);
        let weight = random(2, &[11, 5]).set_requires_grad(true);
        let factors = random(3, &[7]);
        let targets = Tensor::from_slice(&[0i64, 10, 3, 3, 7, 1, 9]);
        let logits = states.matmul(&weight.tr());
        let plain = logits.cross_entropy_loss::<Tensor>(&targets, None, tch::Reduction::None, -100, 0.0);
        (&plain * &factors).sum(Kind::Float).backward();

        let wanted = Wanted {
            gradients: Some(Some(&factors)),
            weight: true,
        };
        let ours = in_pieces(&states, &weight, &targets, wanted, at_once).unwrap();
        let far = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
        assert!(far(&Tensor::from_slice(&ours.losses), &plain.detach()) < 1e-5);
        assert!(far(&ours.states.unwrap(), &states.grad()) < 1e-5);
        assert!(far(&ours.weight.unwrap(), &weight.grad()) < 1e-5);
        let right = logits
            .argmax(-1, false)
            .eq_tensor(&targets)
            .sum(Kind::Int64)
            .int64_value(&[]);
        assert_eq!(ours.correct, right as u64);
        let bare = in_pieces(&states, &weight, &targets, Wanted::default(), at_once).unwrap();
        assert_eq!((bare.losses, bare.correct), (ours.losses, ours.correct));
        assert!(bare.states.is_none());
    }
}
