//! Number of replicas by load.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::common::pattern;

/// Number of replicas by load.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.minReplicas <= self.maxReplicas")
    .message("autoscaling.minReplicas must not be greater than autoscaling.maxReplicas"))]
#[x_kube(validation = Rule::new("self.minReplicas > 0 || has(self.scaleToZero)")
    .message("autoscaling.minReplicas 0 needs autoscaling.scaleToZero: set it, or set minReplicas to at least 1"))]
pub struct Autoscaling {
    /// Fewest replicas of a model that is asked; 0 counts as 1. The last one stops by scaleToZero only.
    /// Default: 1.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 1000))]
    pub min_replicas: i32,
    /// Most replicas.
    #[schemars(range(min = 1, max = 1000))]
    pub max_replicas: i32,
    /// What to scale by; the target that wants most replicas wins. CPU needs a metrics server in the
    /// cluster, the others come from the operator. Default: 4 requests in flight for each replica.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 5),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["metric"])
    )]
    pub targets: Vec<AutoscalingTarget>,
    /// Stop all replicas while nobody asks; the next request, which the gateway holds, starts one.
    /// Default: never.
    pub scale_to_zero: Option<ScaleToZero>,
    /// How fast the number changes. Default: as the HorizontalPodAutoscaler does it.
    pub behavior: Option<ScalingBehavior>,
}

fn one() -> i32 {
    1
}

/// A measure and the value to keep it at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutoscalingTarget {
    /// What is measured.
    pub metric: AutoscalingMetric,
    /// Value for each replica, as a quantity: requests, seconds (`500m` is half a second), tokens, or
    /// percent of the KV cache or CPU request.
    #[schemars(length(max = 20), regex(pattern = pattern::QUANTITY))]
    pub value: String,
}

/// What load is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AutoscalingMetric {
    /// Requests being answered or held, for each replica.
    InFlight,
    /// How long requests wait before they are computed, in seconds.
    QueueSeconds,
    /// Tokens produced each second, for each replica.
    TokensPerSecond,
    /// Share of the KV cache in use, in percent.
    KvCacheUsage,
    /// Share of the CPU request in use, in percent.
    CPU,
}

/// When all replicas stop.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScaleToZero {
    /// Seconds without a request after which all replicas stop. Default: 300.
    #[serde(default = "five_minutes")]
    #[schemars(range(min = 10, max = 604_800))]
    pub idle_seconds: i32,
    /// Seconds that the gateway holds a request while the first replica starts. Default: 60.
    #[serde(default = "one_minute")]
    #[schemars(range(min = 1, max = 600))]
    pub hold_seconds: i32,
}

fn five_minutes() -> i32 {
    300
}

fn one_minute() -> i32 {
    60
}

/// How fast the number of replicas changes.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingBehavior {
    /// Seconds that load must stay high before replicas are added. Default: 0.
    #[schemars(range(min = 0, max = 3600))]
    pub scale_up_stabilization_seconds: Option<i32>,
    /// Seconds that load must stay low before replicas are removed. Default: 300.
    #[schemars(range(min = 0, max = 3600))]
    pub scale_down_stabilization_seconds: Option<i32>,
    /// Most replicas added in a minute. Default: twice as many, or four more, in 15 seconds.
    #[schemars(range(min = 1, max = 1000))]
    pub max_added_per_minute: Option<i32>,
    /// Most replicas removed in a minute. Default: no limit.
    #[schemars(range(min = 1, max = 1000))]
    pub max_removed_per_minute: Option<i32>,
}
