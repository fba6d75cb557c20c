//! Texts that go before every conversation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Texts that go before every conversation.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Prompt {
    /// System message of conversations that bring none. Default: the chat template's own.
    #[schemars(length(min = 1, max = 32768))]
    pub system: Option<String>,
    /// Chat template (Jinja) to use instead of the one in the weights file.
    #[schemars(length(min = 1, max = 65536))]
    pub template_override: Option<String>,
}
