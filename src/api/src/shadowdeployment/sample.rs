//! Which requests are copied.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::common::pattern;

/// Which requests are copied.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.key == 'Header') == has(self.header)")
    .message("sample.header is required with key Header and must be left out with any other"))]
pub struct Sample {
    /// Share of the requests. Default: 10%.
    #[serde(default = "ten_percent")]
    #[schemars(length(max = 12), regex(pattern = pattern::PERCENT))]
    pub percent: String,
    /// What is kept together: a hash of it decides. Default: Conversation.
    #[serde(default)]
    pub key: SampleKey,
    /// Request header, for key Header.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[-A-Za-z0-9]+$"))]
    pub header: Option<String>,
    /// Most copies each second. Default: no limit.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_per_second: Option<i32>,
}

fn ten_percent() -> String {
    "10%".into()
}

/// What is kept together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SampleKey {
    /// Requests of one user.
    User,
    /// Requests of one conversation.
    #[default]
    Conversation,
    /// Requests with the same value of a header.
    Header,
    /// Nothing: each request is drawn alone.
    Random,
}
