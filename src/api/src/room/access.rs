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

/// Regular attempts to make the Room leak.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RedTeam {
    /// When: five fields of cron or a nickname.
    #[schemars(length(max = 100), regex(pattern = pattern::CRON))]
    pub schedule: String,
    /// Sets of attacks, by name. Default: all that come with Atelier.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(min = 1, max = 40), regex(pattern = pattern::DNS_LABEL)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub suites: Vec<String>,
}
