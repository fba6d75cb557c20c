//! Checks of requests and answers.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::common::{ModelRef, pattern};

/// Checks of requests and answers.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Guardrails {
    /// Checks of requests, before the model sees them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub input: Vec<GuardrailCheck>,
    /// Checks of answers, before the caller sees them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub output: Vec<GuardrailCheck>,
    /// What happens when a check fails that does not say so itself. Default: Refuse.
    #[serde(default)]
    pub on_violation: ViolationAction,
}

/// One check.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.detector == 'Pattern') == has(self.pattern)")
    .message("guardrail pattern is required with detector Pattern and must be left out with any other"))]
#[x_kube(validation = Rule::new("(self.detector == 'Model') == has(self.model)")
    .message("guardrail model is required with detector Model and must be left out with any other"))]
pub struct GuardrailCheck {
    /// Name of the check, for metrics, audit and error texts.
    #[schemars(length(min = 1, max = 40), regex(pattern = pattern::DNS_LABEL))]
    pub name: String,
    /// What looks at the text.
    pub detector: Detector,
    /// Regular expression (RE2) that must not match, for detector Pattern.
    #[schemars(length(min = 1, max = 1024))]
    pub pattern: Option<String>,
    /// LlmModel that judges, for detector Model.
    pub model: Option<ModelRef>,
    /// Score between 0 and 1 from which the check fails, as a decimal string. Default: `0.5`.
    #[schemars(length(max = 12), regex(pattern = pattern::FRACTION))]
    pub threshold: Option<String>,
    /// What happens when this check fails. Default: what the guardrails' onViolation says.
    pub on_violation: Option<ViolationAction>,
}

/// What looks at the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Detector {
    /// Names, addresses, numbers of people.
    PersonalData,
    /// Keys, passwords and tokens.
    Secrets,
    /// Instructions that try to override the system message.
    PromptInjection,
    /// Insults, threats, hate.
    Toxicity,
    /// A regular expression.
    Pattern,
    /// Another model.
    Model,
}

/// What happens when a check fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ViolationAction {
    /// The request is refused with an error that names the check.
    #[default]
    Refuse,
    /// What was found is replaced by its kind.
    Redact,
    /// The answer passes and says what was found.
    Annotate,
}
