//! Service levels, drift and feedback.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::common::pattern;

/// What is watched beside the metrics that are always there.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Monitoring {
    /// Service level objectives. Default: none.
    pub slo: Option<Slo>,
    /// Watch for requests and answers that move away from the reference. Default: off.
    pub drift: Option<Drift>,
    /// What becomes of users' feedback.
    pub feedback: Option<Feedback>,
}

/// Service level objectives.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Slo {
    /// Time to the first token that 95 of 100 requests must meet: `800ms`.
    #[serde(rename = "ttftP95")]
    #[schemars(length(max = 32), regex(pattern = pattern::DURATION))]
    pub ttft_p95: Option<String>,
    /// Share of requests that may fail: `0.1%`.
    #[schemars(length(max = 12), regex(pattern = pattern::PERCENT))]
    pub error_rate: Option<String>,
}

/// How drift is looked for.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    /// Stretch of time that is compared with the reference. Default: `1d`.
    #[serde(default = "one_day")]
    #[schemars(length(max = 32), regex(pattern = pattern::DURATION))]
    pub window: String,
    /// What is compared with. Default: FirstWindow.
    #[serde(default)]
    pub reference: DriftReference,
    /// False alarms that are acceptable in a month: sets how sure an alarm must be. Default: 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100))]
    pub alarms_per_month: i32,
}

fn one_day() -> String {
    "1d".into()
}

fn one() -> i32 {
    1
}

/// What drift is measured from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DriftReference {
    /// The first window in which the version served.
    #[default]
    FirstWindow,
    /// The window before.
    PreviousWindow,
    /// What the previous version saw and answered.
    PreviousVersion,
}

/// What becomes of users' feedback.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Feedback {
    /// Whether FineTuneJobs may learn from it. Default: false.
    #[serde(default)]
    pub use_for_training: bool,
}
