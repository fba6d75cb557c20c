//! What a canary is to do, with texts made into numbers.

use std::time::Duration;

use api::{
    LlmModelSpec,
    llmmodel::{CanaryStep, Gate, RolloutStrategy},
};

use super::super::{duration, quantity};

/// The steps by which a new version gets traffic, and what stops it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Canary {
    /// In order.
    pub steps: Vec<Step>,
    /// What it must hold.
    pub slo: Slo,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Share of the traffic, in percent.
    pub weight: i32,
    /// Least time before the next step.
    pub pause: Duration,
    /// What must hold before it.
    pub gate: Option<Gate>,
}

/// Service level objectives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slo {
    /// Milliseconds to the first token that 95 of 100 requests must meet.
    pub ttft_p95: Option<f64>,
    /// Share of requests that may fail.
    pub error_rate: Option<f64>,
}

impl Canary {
    /// The canary of a spec; `None` with another strategy.
    pub fn of(spec: &LlmModelSpec) -> Option<Self> {
        let rollout = spec.rollout.as_ref()?;
        if rollout.strategy != RolloutStrategy::Canary {
            return None;
        }
        let steps = rollout.canary.iter().flat_map(|canary| &canary.steps);
        let slo = spec.monitoring.as_ref().and_then(|monitoring| monitoring.slo.as_ref());
        Some(Self {
            steps: steps.map(step).collect(),
            slo: Slo {
                ttft_p95: slo
                    .and_then(|slo| duration::parse(slo.ttft_p95.as_deref()?))
                    .map(|limit| limit.as_secs_f64() * 1e3),
                error_rate: slo.and_then(|slo| share(slo.error_rate.as_deref()?)),
            },
        })
    }
}

fn step(step: &CanaryStep) -> Step {
    Step {
        weight: step.weight,
        pause: step.pause.as_deref().and_then(duration::parse).unwrap_or_default(),
        gate: step.gate,
    }
}

/// `0.1%` is one in a thousand.
fn share(percent: &str) -> Option<f64> {
    let nanos = quantity::nanos(percent.strip_suffix('%')?)?;
    Some(nanos as f64 / 1e11)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controllers::llmmodel::testing::wanted;

    #[test]
    fn texts_become_numbers() {
        let spec = json!({
            "rollout": {"strategy": "Canary", "canary": {"steps": [{"weight": 5, "pause": "1m30s"}, {"weight": 50, "gate": "Slo"}]}},
            "monitoring": {"slo": {"ttftP95": "800ms", "errorRate": "0.1%"}},
        });
        let canary = wanted(spec).canary.unwrap();
        assert_eq!(canary.steps[0].pause, Duration::from_secs(90));
        assert_eq!((canary.steps[1].weight, canary.steps[1].gate), (50, Some(Gate::Slo)));
        assert_eq!(canary.slo.ttft_p95, Some(800.0));
        assert!((canary.slo.error_rate.unwrap() - 0.001).abs() < 1e-12);
        assert_eq!(wanted(json!({})).canary, None);
    }
}
