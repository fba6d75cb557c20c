//! What the gateway reads of an LlmModel, as the API server has it.

use api::llmmodel::Fallback;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::Object;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Canary;

/// The parts of an LlmModel that the gateway reads. Everything else is skipped while parsing, so a
/// newer operator with more fields and values does not disturb routing.
pub type WatchedModel = Object<WatchedSpec, WatchedStatus>;

/// See [`WatchedModel`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct WatchedSpec {
    /// What the model is for.
    #[serde(default)]
    pub task: Option<String>,
    /// Where it comes from.
    #[serde(default)]
    pub source: WatchedSource,
    /// Pods, unless their number follows the load; 0 in any case is off.
    #[serde(default)]
    pub replicas: Option<i64>,
    /// How the number of pods follows the load.
    #[serde(default)]
    pub autoscaling: Option<WatchedAutoscaling>,
    /// What callers may use, in whatever words a newer operator has.
    #[serde(default)]
    pub limits: Option<Value>,
    /// What is asked instead.
    #[serde(default)]
    pub fallback: Vec<Fallback>,
    /// Checks of requests and answers, in whatever words a newer operator has.
    #[serde(default)]
    pub guardrails: Option<Value>,
}

/// See [`WatchedModel`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct WatchedSource {
    /// Who hosts it, in whatever words a newer operator has.
    #[serde(default)]
    pub provider: Option<Value>,
}

/// See [`WatchedModel`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WatchedAutoscaling {
    /// When the last pod stops.
    #[serde(default)]
    pub scale_to_zero: Option<WatchedScaleToZero>,
}

/// See [`WatchedModel`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WatchedScaleToZero {
    /// Seconds that a request waits for the first pod.
    #[serde(default)]
    pub hold_seconds: u32,
}

/// See [`WatchedModel`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WatchedStatus {
    /// The version that answers requests.
    #[serde(default)]
    pub current_version: Option<String>,
    /// The share of the traffic that the version on its way gets.
    #[serde(default)]
    pub canary: Option<Canary>,
    /// The adapters beside it.
    #[serde(default)]
    pub adapters: Vec<WatchedAdapter>,
    /// The conditions, of which only `Ready` is read.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// See [`WatchedModel`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WatchedAdapter {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// How far it is.
    #[serde(default)]
    pub state: String,
    /// Pods that have it.
    #[serde(default)]
    pub ready_pods: i32,
    /// Why it failed.
    #[serde(default)]
    pub message: Option<String>,
}
