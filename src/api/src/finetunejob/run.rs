//! How, when and how safely the training runs.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::common::pattern;

/// How the work is divided: data x tensor x pipeline pods of one indexed Job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.tensor == 1 && self.pipeline == 1")
    .message("parallelism.tensor and parallelism.pipeline come with a later release: leave them at 1"))]
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

/// The volume of a training, which holds its data, its checkpoints and everything it publishes.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TuneStorage {
    /// Its size; it can be raised where the StorageClass lets volumes grow. Default: `10Gi`.
    #[schemars(length(max = 20), regex(pattern = pattern::QUANTITY))]
    pub size: Option<String>,
    /// StorageClass of the claim, when it is made. Default: that of the installation.
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::DNS_SUBDOMAIN))]
    pub class_name: Option<String>,
    /// How it may be mounted, when the claim is made: ReadWriteOnce keeps all pods of the training on one node.
    /// Default: those of the installation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2), extend("x-kubernetes-list-type" = "set"))]
    pub access_modes: Vec<VolumeAccess>,
}

/// How a volume may be mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VolumeAccess {
    /// By the pods of one node.
    ReadWriteOnce,
    /// By pods on all nodes.
    ReadWriteMany,
}

impl VolumeAccess {
    /// As claims spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadWriteOnce => "ReadWriteOnce",
            Self::ReadWriteMany => "ReadWriteMany",
        }
    }
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
    /// How late a missed run may start: of those that were missed, the latest one is started if it is not older
    /// than this. Default: `1h`.
    #[schemars(length(max = 32), regex(pattern = pattern::DURATION))]
    pub starting_deadline: Option<String>,
    /// What happens when a run is due while another one is under way. Default: Forbid.
    #[serde(default)]
    pub concurrency_policy: ConcurrencyPolicy,
    /// Start no further runs. Default: false.
    #[serde(default)]
    pub suspend: bool,
}

/// What happens when a run is due while another one is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConcurrencyPolicy {
    /// It is missed, unless the other one ends within `startingDeadline`.
    #[default]
    Forbid,
    /// The other one is deleted with all that it has learned. A schedule that is faster than its runs never publishes.
    Replace,
    /// Both are under way, up to ten at a time. The one that was due last counts as the latest.
    Allow,
}

fn utc() -> String {
    "UTC".into()
}
