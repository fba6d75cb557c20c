//! What a training computes with. Other sums come of another number of threads or another width of products, so that
//! all attempts and all processes of a training keep to those of the first one, whatever node they come to.

use protocol::tune::{TrainFailure, TrainPlan};
use serde::{Deserialize, Serialize};

use super::failure::of_train;

/// What a training computes with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Compute {
    /// What products are computed in: `bf16` or `fp32`.
    pub dtype: String,
    /// Threads.
    pub threads: usize,
    /// What the processor can do: kernels are chosen by it.
    pub processor: String,
}

impl Compute {
    /// What this node would choose.
    ///
    /// # Errors
    /// When the plan asks for what is not known.
    pub fn here(plan: &TrainPlan, threads: usize) -> Result<Self, TrainFailure> {
        Ok(Self {
            dtype: train::dtype(plan).map_err(of_train)?.into(),
            threads: threads.max(1),
            processor: train::processor(),
        })
    }

    /// That of a training which has begun with `self`, on the node of `here`. `threads` is what somebody asked for.
    #[must_use]
    pub fn on(&self, here: &Self, threads: Option<usize>) -> Self {
        if self.processor != here.processor {
            tracing::warn!(
                "the training began on a processor with {:?}, and this one has {:?}: sums may differ in their last digits",
                self.processor,
                here.processor
            );
        }
        let kept = Self {
            threads: threads.unwrap_or(self.threads),
            ..self.clone()
        };
        if kept != *here {
            tracing::info!(
                dtype = kept.dtype,
                threads = kept.threads,
                "computing as the training began; this node would take {} and {} threads",
                here.dtype,
                here.threads
            );
        }
        kept
    }

    /// A plan that says so.
    pub fn plan(&self, plan: &TrainPlan) -> TrainPlan {
        let mut plan = plan.clone();
        plan.hyperparameters.dtype = Some(self.dtype.clone());
        plan
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::train::plan::tests::plan;

    #[test]
    fn another_node_computes_as_the_first_one() {
        let compute = |dtype: &str, threads, processor: &str| Compute {
            dtype: dtype.into(),
            threads,
            processor: processor.into(),
        };
        let (first, here) = (compute("bf16", 8, "avx512_bf16"), compute("fp32", 2, "avx2"));
        assert_eq!(first.on(&here, None), first);
        assert_eq!(first.on(&here, Some(3)).threads, 3);
        let planned = first.plan(&plan(&[]));
        assert_eq!(planned.hyperparameters.dtype.as_deref(), Some("bf16"));
    }

    #[test]
    fn the_plan_has_the_first_word() {
        let wanted = plan(&[("hyperparameters.dtype", json!("fp32"))]);
        let found = Compute::here(&wanted, 0).unwrap();
        assert_eq!((found.dtype.as_str(), found.threads), ("fp32", 1));
        let failure = Compute::here(&plan(&[("hyperparameters.dtype", json!("fp8"))]), 1).unwrap_err();
        assert!(failure.message.contains("dtype") && !failure.retryable, "{failure}");
    }
}
