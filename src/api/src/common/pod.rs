//! Where pods run and what people may change about them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::pattern;

/// Where pods may run.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// Zones to use (`topology.kubernetes.io/zone`). Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    pub zones: Vec<String>,
    /// Labels a node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    pub node_selector: BTreeMap<String, String>,
    /// Taints the pods tolerate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub tolerations: Vec<Toleration>,
    /// PriorityClass of the pods. Default: the cluster's.
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::DNS_SUBDOMAIN))]
    pub priority_class_name: Option<String>,
    /// RuntimeClass of the pods. Default: the node's own runtime.
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::DNS_SUBDOMAIN))]
    pub runtime_class_name: Option<String>,
    /// Spread replicas evenly over zones, as far as there is room. Default: true.
    #[serde(default = "yes")]
    pub spread_over_zones: bool,
    /// Share fetched weights with the other pods of this namespace on a node: what one of them has fetched, the next
    /// one finds, and so does a rollback. It takes an installation with the chart's value `nodeCache.hostPath` and a
    /// namespace whose Pod Security allows `privileged`: `restricted` and `baseline` refuse volumes of type hostPath,
    /// and the directory is handed over by a container that runs as root for a moment. It says nothing of weights
    /// that are mounted or compressed. Default: false.
    pub node_cache: Option<bool>,
}

fn yes() -> bool {
    true
}

/// A taint that pods tolerate.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.operator != 'Exists' || !has(self.value)")
    .message("toleration value must be left out when operator is Exists"))]
#[x_kube(validation = Rule::new("self.operator != 'Equal' || has(self.key)")
    .message("toleration key is required when operator is Equal"))]
pub struct Toleration {
    /// Key of the taint. Without it every taint is tolerated (operator must be Exists).
    #[schemars(length(min = 1, max = 253))]
    pub key: Option<String>,
    /// How the taint's value is compared. Default: Equal.
    #[serde(default)]
    pub operator: TolerationOperator,
    /// Value of the taint.
    #[schemars(length(max = 63))]
    pub value: Option<String>,
    /// Effect of the taint. Default: all effects.
    pub effect: Option<TolerationEffect>,
    /// Seconds that a NoExecute taint is tolerated. Default: for ever.
    #[schemars(range(min = 0))]
    pub toleration_seconds: Option<i64>,
}

/// How a toleration compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TolerationOperator {
    /// The taint has this value.
    #[default]
    Equal,
    /// The taint exists.
    Exists,
}

/// Effects of a taint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TolerationEffect {
    /// Pods are not placed on the node.
    NoSchedule,
    /// Pods are placed on the node only when there is no other.
    PreferNoSchedule,
    /// Pods are removed from the node.
    NoExecute,
}

impl From<&Toleration> for v1::Toleration {
    fn from(from: &Toleration) -> Self {
        let operator = match from.operator {
            TolerationOperator::Equal => "Equal",
            TolerationOperator::Exists => "Exists",
        };
        let effect = from.effect.map(|effect| match effect {
            TolerationEffect::NoSchedule => "NoSchedule",
            TolerationEffect::PreferNoSchedule => "PreferNoSchedule",
            TolerationEffect::NoExecute => "NoExecute",
        });
        Self {
            key: from.key.clone(),
            operator: Some(operator.into()),
            value: from.value.clone(),
            effect: effect.map(Into::into),
            toleration_seconds: from.toleration_seconds,
        }
    }
}

/// What is added to the pods that the operator creates. Where the two disagree, the operator wins:
/// nothing here can change selectors, security settings or probes.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.labels) || self.labels.all(key, !key.startsWith('atelier.dev/') && !key.startsWith('app.kubernetes.io/'))")
    .message("podOverrides.labels may not use the prefixes atelier.dev/ and app.kubernetes.io/: the operator sets them"))]
pub struct PodOverrides {
    /// Labels to add.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    pub labels: BTreeMap<String, String>,
    /// Annotations to add.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = {"type": "string", "maxLength": 4096}))]
    pub annotations: BTreeMap<String, String>,
    /// Environment variables to add to the main container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub env: Vec<EnvVar>,
    /// ServiceAccount of the pods, for workload identity. Default: the namespace's `default`; no token
    /// is mounted either way.
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::DNS_SUBDOMAIN))]
    pub service_account_name: Option<String>,
    /// Seconds that a pod may take to finish its requests when it is stopped. Default: 60.
    #[schemars(range(min = 1, max = 3600))]
    pub termination_grace_period_seconds: Option<i64>,
}

/// An environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!self.name.startsWith('ATELIER_')")
    .message("podOverrides.env may not set ATELIER_ variables: use the field of the spec that governs the setting"))]
pub struct EnvVar {
    /// Name of the variable.
    #[schemars(length(min = 1, max = 128), regex(pattern = pattern::ENV_NAME))]
    pub name: String,
    /// Its value.
    #[schemars(length(max = 4096))]
    pub value: String,
}
