//! Checks of requests and answers.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::webhook::GuardrailWebhook;
use crate::common::{ModelRef, pattern};

/// Checks of requests and answers.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.input) || self.input.all(c, c.detector != 'Json')")
    .message("guardrail detector Json is for answers: move it to guardrails.output"))]
pub struct Guardrails {
    /// Checks of requests, before the model sees them. Each text of a request is looked at for itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub input: Vec<GuardrailCheck>,
    /// Checks of answers, before the caller sees them. Streams are held back as long as a check has not decided, by
    /// 8 KiB at most, and end with finish_reason content_filter where one refuses. With them, log probabilities are
    /// refused. Models with task Embed or Rerank have no text in their answers.
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
#[x_kube(validation = Rule::new("(self.detector == 'Webhook') == has(self.webhook)")
    .message("guardrail webhook is required with detector Webhook and must be left out with any other"))]
#[x_kube(validation = Rule::new("self.detector != 'Webhook' || !(has(self.threshold) || has(self.onViolation))")
    .message("guardrail threshold and onViolation must be left out with detector Webhook: its verdict says what happens"))]
#[x_kube(validation = Rule::new("(self.detector == 'Length') == has(self.maxLength)")
    .message("guardrail maxLength is required with detector Length and must be left out with any other"))]
#[x_kube(validation = Rule::new("self.detector == 'PersonalData' || !(has(self.kinds) || has(self.locales))")
    .message("guardrail kinds and locales must be left out with any detector but PersonalData"))]
#[x_kube(validation = Rule::new("!has(self.threshold) || !(self.detector in ['Pattern', 'InvisibleUnicode', 'Length', 'Json'])")
    .message("guardrail threshold must be left out with detectors that have no score: Pattern, InvisibleUnicode, Length and Json"))]
pub struct GuardrailCheck {
    /// Name of the check, for metrics, audit and error texts.
    #[schemars(length(min = 1, max = 40), regex(pattern = pattern::DNS_LABEL))]
    pub name: String,
    /// What looks at the text.
    pub detector: Detector,
    /// Regular expression (RE2) that must not match, for detector Pattern. `\b` knows ASCII only. In an answer, text that may
    /// still become a match is held back, and refused when it is longer than 8 KiB.
    #[schemars(length(min = 1, max = 1024))]
    pub pattern: Option<String>,
    /// What to look for, for detector PersonalData. Default: everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5), extend("x-kubernetes-list-type" = "set"))]
    pub kinds: Vec<PersonalDataKind>,
    /// Whose national ids and national shapes of phone numbers to look for, for detector PersonalData. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "set"))]
    pub locales: Vec<Locale>,
    /// Characters, of all texts of a request or of an answer, for detector Length.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub max_length: Option<i64>,
    /// LlmModel that judges, for detector Model.
    pub model: Option<ModelRef>,
    /// Service that judges, for detector Webhook. It is asked after all other checks of the direction, and sees what
    /// those have left.
    pub webhook: Option<GuardrailWebhook>,
    /// Score between 0 and 1 from which the check fails, as a decimal string. Default: `0.5`.
    #[schemars(length(max = 12), regex(pattern = pattern::FRACTION))]
    pub threshold: Option<String>,
    /// What happens when this check fails. Default: what the guardrails' onViolation says.
    pub on_violation: Option<ViolationAction>,
}

/// What looks at the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Detector {
    /// E-mail addresses, phone numbers, IBANs, numbers of payment cards and national ids, by checksums where they have one.
    PersonalData,
    /// Keys, passwords and tokens.
    Secrets,
    /// Instructions that try to override the system message.
    PromptInjection,
    /// Insults, threats, hate.
    Toxicity,
    /// A regular expression: topics and words that are not allowed.
    Pattern,
    /// Characters that nobody sees: tags, bidirectional controls, runs of zero-width characters. Redact removes them.
    InvisibleUnicode,
    /// Text that is too long.
    Length,
    /// Answers that are no JSON.
    Json,
    /// Another model.
    Model,
    /// A service of yours, asked over HTTP. Its verdict says what happens.
    Webhook,
}

/// Data about people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PersonalDataKind {
    /// E-mail addresses.
    Email,
    /// Phone numbers.
    Phone,
    /// International bank account numbers.
    Iban,
    /// Numbers of payment cards.
    PaymentCard,
    /// Numbers that states give to people: PESEL, NIP and REGON (PL), SSN (US), Steuer-ID (DE), NINO (GB), NIR (FR), DNI and NIE
    /// (ES), codice fiscale (IT), BSN (NL).
    NationalId,
}

/// A country, by ISO 3166.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Locale {
    /// Germany.
    DE,
    /// Spain.
    ES,
    /// France.
    FR,
    /// The United Kingdom.
    GB,
    /// Italy.
    IT,
    /// The Netherlands.
    NL,
    /// Poland.
    PL,
    /// The United States.
    US,
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
