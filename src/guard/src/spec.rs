//! What is asked for, in the words of `spec.guardrails` of an LlmModel.

use serde::Deserialize;

use crate::check::Action;

/// Checks of requests and answers. Fields that are not known are an error: a check that is skipped in silence would be
/// a hole.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Checks of requests.
    #[serde(default)]
    pub input: Vec<CheckSpec>,
    /// Checks of answers.
    #[serde(default)]
    pub output: Vec<CheckSpec>,
    /// What happens when a check fails that does not say so itself.
    #[serde(default)]
    pub on_violation: Action,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CheckSpec {
    /// Its name.
    pub name: String,
    /// What looks at the text.
    pub detector: Detector,
    /// For [`Detector::Pattern`].
    pub pattern: Option<String>,
    /// For [`Detector::Model`]; whatever is in it.
    pub model: Option<serde::de::IgnoredAny>,
    /// For [`Detector::PersonalData`]; none are all.
    #[serde(default)]
    pub kinds: Vec<PersonalDataKind>,
    /// For [`Detector::PersonalData`]; none are all.
    #[serde(default)]
    pub locales: Vec<Locale>,
    /// For [`Detector::Length`]: characters.
    pub max_length: Option<u64>,
    /// Score from which the check fails, as a decimal string.
    pub threshold: Option<String>,
    /// For [`Detector::Webhook`].
    pub webhook: Option<Webhook>,
    /// What happens then.
    pub on_violation: Option<Action>,
}

/// A service that is asked about texts. Who asks it how is not known here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Webhook {
    /// Where it is.
    pub url: String,
    /// What it wants to see of who asks it.
    pub credentials_secret_ref: Option<SecretKey>,
    /// Who vouches for it, beside the usual ones.
    pub ca_secret_ref: Option<SecretKey>,
    /// Longest wait for its answer.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u8,
    /// What happens without one.
    #[serde(default)]
    pub failure_policy: FailurePolicy,
}

fn default_timeout() -> u8 {
    5
}

/// A key of a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretKey {
    /// The Secret.
    pub name: String,
    /// The key.
    pub key: String,
}

/// What happens where a webhook gives no answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum FailurePolicy {
    /// Nothing passes.
    #[default]
    Fail,
    /// All does.
    Ignore,
}

/// What looks at the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Detector {
    /// Addresses and numbers of people.
    PersonalData,
    /// Keys, passwords and tokens.
    Secrets,
    /// Instructions that try to override the system message.
    PromptInjection,
    /// A regular expression.
    Pattern,
    /// Characters that nobody sees.
    InvisibleUnicode,
    /// Text that is too long.
    Length,
    /// Text that is no JSON.
    Json,
    /// A service of somebody else.
    Webhook,
    /// Not built.
    Toxicity,
    /// Not built.
    Model,
}

/// Data about people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum PersonalDataKind {
    Email,
    Phone,
    Iban,
    PaymentCard,
    NationalId,
}

/// Whose phone numbers and national ids are looked for, by ISO 3166.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the codes are ISO's")]
pub enum Locale {
    DE,
    ES,
    FR,
    GB,
    IT,
    NL,
    PL,
    US,
}
