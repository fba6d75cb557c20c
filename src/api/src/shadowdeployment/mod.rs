//! ShadowDeployment: a candidate answers copies of live requests, and its answers are compared.

mod compare;
mod outcome;
mod retention;
mod sample;
mod status;

pub use compare::{Compare, ComparedMetric, Metric};
pub use outcome::{Budget, OnFail, OnPass, ShadowLimits, Stop};
pub use retention::ShadowRetention;
pub use sample::{Sample, SampleKey};
pub use status::{Interval, MetricStatus, MetricVerdict, ShadowDeploymentStatus, Verdict};

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::common::{ModelRef, Route, pattern};

/// What is compared with what, and what follows from it.
#[skip_serializing_none]
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "atelier.dev",
    version = "v1alpha1",
    kind = "ShadowDeployment",
    plural = "shadowdeployments",
    shortname = "shadow",
    category = "atelier",
    namespaced,
    status = "ShadowDeploymentStatus",
    derive = "PartialEq",
    cel,
    doc = "A candidate that answers copies of live requests in the dark, compared with the model that serves.",
    printcolumn(name = "Model", type_ = "string", json_path = ".spec.model.name"),
    printcolumn(name = "Pairs", type_ = "integer", json_path = ".status.pairs", description = "Requests answered by both"),
    printcolumn(name = "Dropped", type_ = "integer", json_path = ".status.dropped", description = "Copies that were not answered"),
    printcolumn(name = "Verdict", type_ = "string", json_path = ".status.verdict"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Report", type_ = "string", json_path = ".status.report", priority = 1),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$')")
        .message("ShadowDeployment metadata.name must be at most 40 characters of a-z, 0-9 and '-', start with a letter and end with a letter or digit"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.candidate.model) || self.candidate.model != self.model.name")
    .message("spec.candidate.model must not be the model itself: name another LlmModel, or one of its versions by candidate.version")
    .field_path(".candidate"))]
#[x_kube(validation = Rule::new("self.onPass == 'None' || has(self.candidate.version)")
    .message("spec.onPass Promote and Canary need candidate.version: another LlmModel cannot be promoted")
    .field_path(".onPass"))]
#[x_kube(validation = Rule::new("self.onFail == 'None' || has(self.candidate.version)")
    .message("spec.onFail Reject needs candidate.version: another LlmModel cannot be rejected")
    .field_path(".onFail"))]
#[x_kube(validation = Rule::new("!has(self.route) || has(self.candidate.version)")
    .message("spec.route needs candidate.version: what Gateway API copies asks for spec.model, which the workers of another LlmModel refuse; leave route out, the gateway copies by itself")
    .field_path(".route"))]
#[x_kube(validation = Rule::new("self.model == oldSelf.model && self.candidate == oldSelf.candidate")
    .message("spec.model and spec.candidate cannot be changed: pairs collected so far would mean nothing; create another ShadowDeployment"))]
#[x_kube(validation = Rule::new("self.compare == oldSelf.compare")
    .message("spec.compare cannot be changed: a test chosen after seeing the data proves nothing; create another ShadowDeployment")
    .field_path(".compare"))]
pub struct ShadowDeploymentSpec {
    /// The LlmModel whose live requests are copied. Cannot be changed later.
    pub model: ModelRef,
    /// What answers in the dark. Cannot be changed later.
    pub candidate: Candidate,
    /// Which requests are copied. Default: 10% of the conversations.
    pub sample: Option<Sample>,
    /// What is compared, and how sure the verdict must be. Cannot be changed later.
    pub compare: Compare,
    /// When the comparison ends. Default: between 300 and 5000 pairs.
    pub stop: Option<Stop>,
    /// What follows from the verdict Promote. Default: None.
    #[serde(default)]
    pub on_pass: OnPass,
    /// What follows from the verdict Reject. Default: None.
    #[serde(default)]
    pub on_fail: OnFail,
    /// What the comparison may cost.
    pub limits: Option<ShadowLimits>,
    /// What is kept of requests and answers beside numbers. Default: nothing.
    pub retention: Option<ShadowRetention>,
    /// Also lead requests to the models beside Atelier's gateway, and mirror the same share of them to the candidate, by an
    /// HTTPRoute with weights and RequestMirror. Nobody gets the answers to these copies, so no verdict rests on them; with
    /// the verdict the mirror ends, and the route stays as long as this object. Default: the gateway alone copies.
    pub route: Option<Route>,
}

/// What answers in the dark: exactly one field is set.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.version) != has(self.model)")
    .message("candidate needs exactly one of version and model"))]
pub struct Candidate {
    /// A version of the same LlmModel.
    #[schemars(length(max = 12), regex(pattern = pattern::VERSION))]
    pub version: Option<String>,
    /// Name of another LlmModel of this namespace.
    #[schemars(length(min = 1, max = 40), regex(pattern = pattern::DNS_LABEL))]
    pub model: Option<String>,
}
