//! Services that judge texts.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::common::{SecretKeyRef, pattern};

/// A service that judges texts. It gets a POST of JSON, `{"version": "v1", "id", "model", "operation", "check", "direction": "input" or
/// "output", "final", "texts": [{"text", "trusted"}]}`, and answers 200 with JSON: `{"verdict": "allow", "refuse", "redact" or "annotate",
/// "spans": [{"text", "start", "end", "kind"}]}`. A span is a place in the text of that number, in Unicode characters from 0, `end`
/// excluded; redact replaces it by its kind. Streams are shown in windows of 768 characters that overlap by 256, so that what is no longer
/// than that is seen whole before any of it leaves. Redirects are not followed.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.caSecretRef) || self.url.startsWith('https://')")
    .message("guardrail webhook.caSecretRef needs a url that begins with https://"))]
pub struct GuardrailWebhook {
    /// Address of the service. It may be in the cluster, but neither a worker nor loopback nor link-local.
    #[schemars(length(max = 2048), regex(pattern = pattern::HTTP_URL))]
    pub url: String,
    /// Token that is sent as `Authorization: Bearer`. Default: none.
    pub credentials_secret_ref: Option<SecretKeyRef>,
    /// Certificates, in PEM, of authorities that the service's own may be from, beside the public ones. Default: the public ones alone.
    pub ca_secret_ref: Option<SecretKeyRef>,
    /// Longest wait for a verdict. Default: 5.
    #[serde(default = "default_timeout")]
    #[schemars(range(min = 1, max = 30))]
    pub timeout_seconds: i32,
    /// What happens when there is no verdict in time, or none that makes sense. Default: Fail.
    #[serde(default)]
    pub failure_policy: FailurePolicy,
}

fn default_timeout() -> i32 {
    5
}

/// What happens when there is no verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FailurePolicy {
    /// The request is refused, or the answer ends.
    #[default]
    Fail,
    /// The text passes.
    Ignore,
}
