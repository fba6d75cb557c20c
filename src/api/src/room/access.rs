//! Freshness of access rights, retention, and adversarial tests.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::common::pattern;

/// How fresh access rights must be, and from where the Room may be entered.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// Age of the sources' access rights past which the Room refuses: `1h`. Default: `1d`.
    #[schemars(length(max = 32), regex(pattern = pattern::DURATION))]
    pub max_staleness: Option<String>,
    /// From where the Room may be entered. Default: from anywhere that reaches the gateway.
    pub network: Option<NetworkAccess>,
}

/// From where a Room may be entered.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkAccess {
    /// Client addresses, in CIDR notation: `10.0.0.0/8`.
    #[schemars(length(min = 1, max = 32), inner(length(max = 64)), extend("x-kubernetes-list-type" = "set"))]
    #[x_kube(validation = Rule::new("self.all(c, isCIDR(c))")
        .message("access.network.cidrs must be in CIDR notation, such as 10.0.0.0/8"))]
    pub cidrs: Vec<String>,
}

/// How long questions and answers are kept.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// Texts of questions and answers: `30d`. Default: `30d`.
    #[schemars(length(max = 32), regex(pattern = pattern::DURATION))]
    pub content: Option<String>,
    /// Who asked, when, and which documents were used: `365d`. Default: `365d`.
    #[schemars(length(max = 32), regex(pattern = pattern::DURATION))]
    pub metadata: Option<String>,
}

/// Regular attempts to make the Room leak: by this schedule, and after each new index and each change of members. A Room that
/// asks for them answers once they have passed, and answers nobody while they have found a leak.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RedTeam {
    /// When, in UTC: five fields of cron or a nickname.
    #[schemars(length(max = 100), regex(pattern = pattern::CRON))]
    pub schedule: String,
    /// Kinds of attacks. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"))]
    pub suites: Vec<RedTeamSuite>,
}

/// Kinds of attacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RedTeamSuite {
    /// It is asked for by its name.
    Direct,
    /// In other words and languages.
    Paraphrase,
    /// By names and numbers.
    ById,
    /// By asking for everything at once.
    Summarise,
    /// By how much there is.
    Counts,
    /// By requests that fail.
    Errors,
    /// By what others have asked before.
    Cache,
    /// By citations.
    Citations,
    /// By documents that tell the model what to do.
    Injection,
    /// By questions to databases.
    Sql,
    /// By how long it takes.
    Timing,
}

impl RedTeamSuite {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Direct,
        Self::Paraphrase,
        Self::ById,
        Self::Summarise,
        Self::Counts,
        Self::Errors,
        Self::Cache,
        Self::Citations,
        Self::Injection,
        Self::Sql,
        Self::Timing,
    ];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Paraphrase => "paraphrase",
            Self::ById => "by-id",
            Self::Summarise => "summarise",
            Self::Counts => "counts",
            Self::Errors => "errors",
            Self::Cache => "cache",
            Self::Citations => "citations",
            Self::Injection => "injection",
            Self::Sql => "sql",
            Self::Timing => "timing",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_called_as_they_are_written() {
        for suite in RedTeamSuite::ALL {
            assert_eq!(serde_json::to_value(suite).unwrap(), suite.as_str());
        }
    }
}
