//! How, when and how safely the training runs.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::common::pattern;

/// How the work is divided: data x tensor x pipeline pods of one indexed Job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Parallelism {
    /// Copies of the model, each with its share of the data. Default: 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1024))]
    pub data: i32,
    /// Parts of each weight matrix. Default: 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 64))]
    pub tensor: i32,
    /// Groups of layers. Default: 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 64))]
    pub pipeline: i32,
}

fn one() -> i32 {
    1
}

/// How often the state is saved.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.everySteps) != has(self.everyMinutes)")
    .message("checkpoint needs exactly one of everySteps and everyMinutes"))]
pub struct Checkpoint {
    /// Steps between two checkpoints.
    #[schemars(range(min = 1))]
    pub every_steps: Option<i64>,
    /// Minutes between two checkpoints.
    #[schemars(range(min = 1, max = 1440))]
    pub every_minutes: Option<i32>,
    /// Checkpoints that are kept. Default: 2.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 100))]
    pub keep: i32,
}

fn two() -> i32 {
    2
}

/// Training again at set times.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// When: five fields (`0 3 * * 0`) or a nickname (`@weekly`).
    #[schemars(length(max = 100))]
    #[x_kube(validation = Rule::new(format!("self.matches('{}')", pattern::CRON))
        .message("schedule.cron must have five fields separated by spaces, such as '0 3 * * 0', or be a nickname such as @weekly"))]
    pub cron: String,
    /// Time zone of the IANA database: `Europe/Warsaw`. Default: UTC.
    #[serde(default = "utc")]
    #[schemars(length(max = 64), regex(pattern = "^[A-Za-z]+([-_+/A-Za-z0-9]*[A-Za-z0-9])?$"))]
    pub time_zone: String,
    /// Most time by which a run is put off at random: `10m`. Default: none.
    #[schemars(length(max = 32), regex(pattern = pattern::DURATION))]
    pub jitter: Option<String>,
    /// Start no further runs. Default: false.
    #[serde(default)]
    pub suspend: bool,
}

fn utc() -> String {
    "UTC".into()
}
