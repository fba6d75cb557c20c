//! The last norm and the head, for the probability of a text: a few rows of the vocabulary at a time,
//! because all logits of a long text do not fit in memory.

use tch::{Kind, TchError, Tensor};

use super::rms_norm;
use crate::ModelConfig;

/// The input of the head: the residual stream after the last block, normed.
///
/// # Errors
/// When the norm does not fit or libtorch fails.
pub fn normed(config: &ModelConfig, hidden: &Tensor, norm: &Tensor) -> Result<Tensor, TchError> {
    rms_norm(hidden, norm, config.norm_epsilon)
}

/// Sums up the logits of known tokens, as the rows of the head come by.
pub struct HeadLoss {
    /// `[tokens, hidden]`
    hidden: Tensor,
    /// `[tokens]`: what follows each.
    targets: Tensor,
    /// `[tokens]`: logarithm of the sum of the exponentials of the logits so far.
    total: Option<Tensor>,
    /// `[tokens]`: logit of the target, once its row has come by.
    target: Tensor,
}

impl HeadLoss {
    /// For normed hidden states, `[tokens, hidden]`, and the token that follows each of them.
    ///
    /// # Errors
    /// When there are not as many targets as hidden states.
    pub fn new(hidden: Tensor, targets: &[i64]) -> Result<Self, TchError> {
        let targets = Tensor::f_from_slice(targets)?;
        if hidden.size()[0] != targets.size()[0] {
            let message = format!("{:?} hidden states for {:?} targets", hidden.size(), targets.size());
            return Err(TchError::Shape(message));
        }
        Ok(Self {
            target: targets.f_to_kind(Kind::Float)?.f_full_like(f64::NAN)?,
            hidden,
            targets,
            total: None,
        })
    }

    /// Takes the rows of the head from `first` on, `[rows, hidden]`.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn add(&mut self, first: i64, rows: &Tensor) -> Result<(), TchError> {
        let logits = self.hidden.f_linear::<Tensor>(rows, None)?;
        let sum = logits.f_logsumexp([-1i64].as_slice(), false)?;
        self.total = Some(match &self.total {
            Some(total) => total.f_logaddexp(&sum)?,
            None => sum,
        });
        let count = rows.size()[0];
        let place = self.targets.f_sub_scalar(first)?;
        let here = place.f_ge(0)?.f_logical_and(&place.f_lt(count)?)?;
        let found = logits.f_gather(1, &place.f_clamp(0, count - 1)?.f_unsqueeze(1)?, false)?;
        self.target = found.f_squeeze_dim(1)?.f_where_self(&here, &self.target)?;
        Ok(())
    }

    /// The sum of the targets' negative log-probabilities; not a number if a target's row is missing.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn negative_log_likelihood(&self) -> Result<f64, TchError> {
        match &self.total {
            Some(total) => total.f_sub(&self.target)?.f_sum(Kind::Double)?.f_double_value(&[]),
            None => Ok(f64::NAN),
        }
    }
}
