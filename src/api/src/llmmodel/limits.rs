//! What callers may use, and whom to ask instead.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::common::pattern;

/// What callers may use.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Limits of each user. Default: none.
    pub per_user: Option<UserLimits>,
    /// Limits of groups, for those who are in them. A request counts for its user and for each of these groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub per_group: Vec<GroupLimits>,
    /// Longest answer, in tokens; requests for more, or without a limit, are cut to it. Default: the context length.
    #[schemars(range(min = 1, max = 16_777_216))]
    pub max_tokens: Option<i32>,
    /// Where requests may be sent. Default: Any.
    #[serde(default)]
    pub data_policy: DataPolicy,
}

/// Limits of each user.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserLimits {
    /// Requests in any minute. Default: no limit.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub requests_per_minute: Option<i32>,
    /// Tokens, of prompts and answers, in any minute. Default: no limit.
    #[schemars(range(min = 1, max = 2_000_000_000))]
    pub tokens_per_minute: Option<i32>,
    /// Requests under way at once, from their arrival to the end of their answers, streams and others alike.
    /// Default: no limit.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub concurrent_requests: Option<i32>,
    /// What answers may cost in a calendar month (UTC), as a decimal string in the currency of
    /// `source.provider.pricing`: `"20"`. The gateway needs a database for it. Default: no limit.
    #[schemars(length(max = 32), regex(pattern = pattern::DECIMAL))]
    pub spend_per_month: Option<String>,
}

/// Limits that the members of a group share.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupLimits {
    /// Name of the group, as Kubernetes knows it.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Requests of all its members in any minute. Default: no limit.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub requests_per_minute: Option<i32>,
    /// Tokens, of prompts and answers of all its members, in any minute. Default: no limit.
    #[schemars(range(min = 1, max = 2_000_000_000))]
    pub tokens_per_minute: Option<i32>,
    /// Requests of all its members under way at once, streams and others alike. Default: no limit.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub concurrent_requests: Option<i32>,
    /// What answers to all its members may cost in a calendar month (UTC), as a decimal string in the currency of
    /// `source.provider.pricing`. The gateway needs a database for it. Default: no limit.
    #[schemars(length(max = 32), regex(pattern = pattern::DECIMAL))]
    pub spend_per_month: Option<String>,
}

/// Where requests may be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DataPolicy {
    /// Anywhere the spec says.
    #[default]
    Any,
    /// Only to pods of this cluster: a fallback that a provider hosts is passed over.
    LocalOnly,
}

/// A model to ask instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fallback {
    /// Name of an LlmModel of this namespace.
    #[schemars(length(min = 1, max = 40), regex(pattern = pattern::DNS_LABEL))]
    pub model: String,
}
