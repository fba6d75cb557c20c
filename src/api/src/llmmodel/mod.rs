//! LlmModel: a large language model to prepare, serve and keep up to date.

mod adapters;
mod autoscaling;
mod compress;
mod engine;
mod guardrails;
mod limits;
mod monitoring;
mod prompt;
mod provider;
mod rollout;
mod source;
mod status;
mod webhook;

pub use adapters::Adapter;
pub use autoscaling::{Autoscaling, AutoscalingMetric, AutoscalingTarget, ScaleToZero, ScalingBehavior};
pub use compress::{Calibration, Compress, Pruning, PruningMethod, PruningStructure, Quantization, QuantizationMethod};
pub use engine::{
    AtelierEngine, DEFAULT_CONTEXT_LENGTH, Engine, EngineMetrics, ForeignEngine, PrefixCache, Speculative,
};
pub use guardrails::{Detector, GuardrailCheck, Guardrails, Locale, PersonalDataKind, ViolationAction};
pub use limits::{DataPolicy, Fallback, Limits, UserLimits};
pub use monitoring::{Drift, DriftReference, Feedback, Monitoring, Slo};
pub use prompt::Prompt;
pub use provider::{AzureOpenAi, OpenAi, OpenAiCompatibleProvider, Pricing, Provider, ProviderModel, WorkloadIdentity};
pub use rollout::{
    Canary, CanaryStep, EvaluationGate, EvaluationSuite, Gate, Rollout, RolloutGates, RolloutStrategy, ShadowGate,
};
pub use source::{FileSource, FineTuneJobOutput, FineTuneJobSource, HuggingFaceSource, ModelSource};
pub use status::{
    AdapterState, AdapterStatus, CanaryStatus, Download, EvaluationScore, LlmModelStatus, Measured, MemoryEstimate,
    PerplexityChange, VersionState, VersionStatus, WeightsFacts,
};

pub use webhook::{FailurePolicy, GuardrailWebhook};

pub use crate::common::{
    HttpSource, ImagePullPolicy, ObjectStoreSource, OciSource, OciType, PersistentVolumeClaimSource,
};

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::common::{ModelVersionRef, Placement, PodOverrides, Resources, Route, pattern};

/// What is wanted of a model.
#[skip_serializing_none]
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "atelier.dev",
    version = "v1alpha1",
    kind = "LlmModel",
    plural = "llmmodels",
    shortname = "llm",
    category = "atelier",
    namespaced,
    status = "LlmModelStatus",
    derive = "PartialEq",
    cel,
    doc = "A large language model: where its weights come from, how they are prepared, and how it is served.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.currentVersion", description = "The version that answers requests"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", description = "Why the model is ready or not"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.ready", description = "Pods that answer requests, of those wanted"),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url", description = "Where to ask the model"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Candidate", type_ = "string", json_path = ".status.candidateVersion", description = "The version on its way", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", description = "What is going on", priority = 1),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$')")
        .message("metadata.name must be at most 40 characters of a-z, 0-9 and '-', start with a letter and end with a letter or digit"),
    validation = Rule::new("!has(self.spec.fallback) || self.spec.fallback.all(f, f.model != self.metadata.name)")
        .message("spec.fallback must not name the model itself: remove it or name another LlmModel")
        .field_path(".spec.fallback"),
    validation = Rule::new("!has(self.spec.base) || self.spec.base.name != self.metadata.name")
        .message("spec.base.name must not name the model itself: it is the LlmModel that the adapter belongs to")
        .field_path(".spec.base"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.source.provider) || self.replicas == 1")
    .message("spec.replicas must be left out with source.provider: a hosted model has no pods here")
    .field_path(".replicas"))]
#[x_kube(validation = Rule::new("!has(self.source.provider) || !has(self.autoscaling)")
    .message("spec.autoscaling must be left out with source.provider: a hosted model has no pods here")
    .field_path(".autoscaling"))]
#[x_kube(validation = Rule::new("!has(self.source.provider) || !has(self.resources)")
    .message("spec.resources must be left out with source.provider: a hosted model has no pods here")
    .field_path(".resources"))]
#[x_kube(validation = Rule::new("!has(self.source.provider) || !has(self.placement)")
    .message("spec.placement must be left out with source.provider: a hosted model has no pods here")
    .field_path(".placement"))]
#[x_kube(validation = Rule::new("!has(self.source.provider) || !has(self.compress)")
    .message("spec.compress must be left out with source.provider: weights of a hosted model are out of reach")
    .field_path(".compress"))]
#[x_kube(validation = Rule::new("!has(self.source.provider) || !has(self.engine)")
    .message("spec.engine must be left out with source.provider: a hosted model brings its own engine")
    .field_path(".engine"))]
#[x_kube(validation = Rule::new("!has(self.source.provider) || !has(self.route)")
    .message("spec.route must be left out with source.provider: a hosted model has no pods here")
    .field_path(".route"))]
#[x_kube(validation = Rule::new("!has(self.route) || !has(self.autoscaling) || !has(self.autoscaling.scaleToZero)")
    .message("spec.route must be left out with autoscaling.scaleToZero: requests that pass Atelier's gateway by start no replica")
    .field_path(".route"))]
#[x_kube(validation = Rule::new("!has(self.source.provider) || (!has(self.base) && !has(self.adapters))")
    .message("spec.base and spec.adapters must be left out with source.provider: adapters cannot be added to a hosted model"))]
#[x_kube(validation = Rule::new("!has(self.source.provider) || !has(self.limits) || self.limits.dataPolicy != 'LocalOnly'")
    .message("spec.limits.dataPolicy LocalOnly forbids source.provider: requests would leave the cluster")
    .field_path(".limits"))]
#[x_kube(validation = Rule::new("!has(self.limits) || (has(self.source.provider) && has(self.source.provider.pricing)) || \
        !((has(self.limits.perUser) && has(self.limits.perUser.spendPerMonth)) || \
        (has(self.limits.perGroup) && self.limits.perGroup.exists(g, has(g.spendPerMonth))))")
    .message("spec.limits spendPerMonth needs source.provider.pricing: without prices nothing is spent")
    .field_path(".limits"))]
#[x_kube(validation = Rule::new("!has(self.rollout) || !has(self.rollout.canary) || \
        !self.rollout.canary.steps.exists(s, has(s.gate) && s.gate == 'Slo') || (has(self.monitoring) && has(self.monitoring.slo) \
        && (has(self.monitoring.slo.ttftP95) || has(self.monitoring.slo.errorRate)))")
    .message("rollout.canary.steps[].gate Slo needs monitoring.slo: set monitoring.slo.ttftP95 or monitoring.slo.errorRate")
    .field_path(".rollout"))]
#[x_kube(validation = Rule::new("self.task == oldSelf.task")
    .message("spec.task cannot be changed: create another LlmModel for the other task")
    .field_path(".task"))]
pub struct LlmModelSpec {
    /// What the model is for. Default: Generate. Cannot be changed later.
    #[serde(default)]
    pub task: Task,
    /// Where the weights come from: exactly one of its fields.
    pub source: ModelSource,
    /// The model that an adapter belongs to, when the source holds an adapter (LoRA) instead of
    /// complete weights. Default: none, the weights are complete.
    pub base: Option<ModelVersionRef>,
    /// Adapters (LoRA) that are loaded beside the model and addressed as `<model>:<adapter>`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub adapters: Vec<Adapter>,
    /// Smaller weights. Default: they stay as the source has them.
    pub compress: Option<Compress>,
    /// What computes the answers. Default: Atelier's own engine with its defaults.
    pub engine: Option<Engine>,
    /// Texts that go before every conversation.
    pub prompt: Option<Prompt>,
    /// CPU, memory and accelerators of one replica. Default: 1 core, and the memory that the estimate
    /// in the status says.
    pub resources: Option<Resources>,
    /// Where replicas run. Default: anywhere, spread over zones.
    pub placement: Option<Placement>,
    /// Number of replicas. With autoscaling only 0 counts: it stops the model, and no request starts it.
    /// Default: 1. Also set by `kubectl scale`.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: i32,
    /// Number of replicas by load. Default: none, `replicas` holds.
    pub autoscaling: Option<Autoscaling>,
    /// How a new version replaces the old one. Default: RollingUpdate.
    pub rollout: Option<Rollout>,
    /// Another way in beside Atelier's gateway: a Gateway API HTTPRoute of the model's name, with the share of each
    /// version as its weight. It leads straight to the workers: Atelier's authentication, authorization, limits,
    /// guardrails, fallback and audit do NOT apply to its requests, they are not counted when a canary is judged, and
    /// each of them may get another version. Whoever reaches the Gateway may ask the model; protect it there. Only
    /// paths below `/v1` are routed. Without ready replicas Gateways answer 503. Default: none, only Atelier's gateway
    /// reaches the workers.
    pub route: Option<Route>,
    /// Version to serve, out of `status.versions`: a rollback by name. Default: the one that the spec
    /// describes.
    #[schemars(length(max = 12), regex(pattern = pattern::VERSION))]
    pub version: Option<String>,
    /// Checks of requests and answers. Default: none.
    pub guardrails: Option<Guardrails>,
    /// What callers may use. Default: no limits.
    pub limits: Option<Limits>,
    /// Models to ask instead, in this order, when this one is overloaded or out of order. They must
    /// satisfy the same dataPolicy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["model"])
    )]
    pub fallback: Vec<Fallback>,
    /// Service levels, drift and feedback. Default: metrics only.
    pub monitoring: Option<Monitoring>,
    /// Small additions to the pods.
    pub pod_overrides: Option<PodOverrides>,
}

/// What a model is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Task {
    /// Continue text: chat and completions.
    #[default]
    Generate,
    /// Turn text into vectors.
    Embed,
    /// Order documents by how well they answer a question.
    Rerank,
}

fn one() -> i32 {
    1
}
