//! What is kept of words.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::common::pattern;

/// What is kept of requests and answers beside numbers, in the database of the gateway and encrypted with the keys of whoever
/// asked. The report shows it to those who have the verb `audit` on the ShadowDeployment, with which it goes at the latest.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!self.prompts || has(self.content)")
    .message("retention.prompts needs retention.content: say how long words are kept"))]
pub struct ShadowRetention {
    /// How long both answers of a pair are kept, of the 20 pairs in which they differ most: `7d`. Pairs in which a
    /// guardrail of the model finds something are left out. Needs key-encryption keys (`audit.content` of the chart).
    /// Default: they are not kept.
    #[schemars(length(max = 32), regex(pattern = pattern::DURATION))]
    pub content: Option<String>,
    /// Keep the end of the user's last message with them. Default: false.
    #[serde(default)]
    pub prompts: bool,
}
