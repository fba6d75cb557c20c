//! What computes the answers.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::common::{ModelVersionRef, pattern};

/// Context length, in tokens, of a model that was trained for at least as much, when the spec does not
/// say. A longer one costs memory for every sequence.
pub const DEFAULT_CONTEXT_LENGTH: i32 = 4096;

/// What computes the answers: exactly one field is set.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.atelier) != has(self.openAICompatible)")
    .message("engine needs exactly one of atelier and openAICompatible"))]
pub struct Engine {
    /// Atelier's own engine.
    pub atelier: Option<AtelierEngine>,
    /// Another server with OpenAI's API: vLLM, TGI, SGLang, llama.cpp. All else stays the same: the weights are
    /// verified and mounted read-only, requests come from the gateway alone, and clients use the LlmModel's name. It
    /// runs as user 65532 with a read-only root file system; `/tmp`, which is its `HOME`, and `/dev/shm` are writable.
    /// It reaches no network. Without `resources.memory` it gets what Atelier's own engine would need, which may be
    /// too little for it.
    #[serde(rename = "openAICompatible")]
    pub open_ai_compatible: Option<ForeignEngine>,
}

/// Settings of Atelier's own engine.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.maxBatchTokens >= self.maxConcurrentSequences")
    .message("engine.atelier.maxBatchTokens must be at least maxConcurrentSequences: one token of each"))]
pub struct AtelierEngine {
    /// Tokens that one conversation may hold, prompt and answer together. Default: what the model was
    /// trained for, at most 4096.
    #[schemars(range(min = 16, max = 16_777_216))]
    pub context_length: Option<i32>,
    /// Tokens of one forward pass; longer prompts are cut into pieces of it. Default: 512.
    #[serde(default = "default_batch_tokens")]
    #[schemars(range(min = 1, max = 1_048_576))]
    pub max_batch_tokens: i32,
    /// Conversations computed at the same time. Memory is planned for one whole context and a quarter of
    /// one for each further conversation; when they grow longer together, some wait. Default: 16.
    #[serde(default = "default_sequences")]
    #[schemars(range(min = 1, max = 4096))]
    pub max_concurrent_sequences: i32,
    /// Requests that wait for their turn; further ones are refused with 429. Default: 64.
    #[serde(default = "default_queue")]
    #[schemars(range(min = 0, max = 100_000))]
    pub max_queue: i32,
    /// Reuse of what was computed for equal beginnings of prompts, within each user. Default: enabled.
    pub prefix_cache: Option<PrefixCache>,
    /// Compute long prompts in pieces between the steps of other conversations. Default: true.
    pub chunked_prefill: Option<bool>,
    /// Let something cheaper guess tokens that the model then checks. Default: off.
    pub speculative: Option<Speculative>,
}

impl Default for AtelierEngine {
    fn default() -> Self {
        Self {
            context_length: None,
            max_batch_tokens: default_batch_tokens(),
            max_concurrent_sequences: default_sequences(),
            max_queue: default_queue(),
            prefix_cache: None,
            chunked_prefill: None,
            speculative: None,
        }
    }
}

fn default_batch_tokens() -> i32 {
    512
}

fn default_sequences() -> i32 {
    16
}

fn default_queue() -> i32 {
    64
}

/// Reuse of computed prompt beginnings.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrefixCache {
    /// Whether it is used.
    pub enabled: bool,
    /// Memory it may take, as a quantity: `512Mi`. Default: what the sequences leave free.
    #[schemars(length(max = 20), regex(pattern = pattern::QUANTITY))]
    pub max_memory: Option<String>,
}

/// Guessing tokens ahead: exactly one way of guessing.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.draftModel) != has(self.promptLookup)")
    .message("engine.atelier.speculative needs exactly one of draftModel and promptLookup"))]
pub struct Speculative {
    /// A smaller LlmModel with the same tokenizer guesses.
    pub draft_model: Option<ModelVersionRef>,
    /// Tokens are looked up in the prompt: length of the match, in tokens.
    #[schemars(range(min = 1, max = 16))]
    pub prompt_lookup: Option<i32>,
    /// Tokens guessed at a time. Default: 4.
    #[schemars(range(min = 1, max = 32))]
    pub tokens: Option<i32>,
}

/// A server that is not ours.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForeignEngine {
    /// Image of the server. Credentials of its registry come from the ServiceAccount that
    /// `podOverrides.serviceAccountName` names, or from the nodes.
    #[schemars(length(min = 1, max = 512), regex(pattern = r"^[^\s]+$"))]
    pub image: String,
    /// Arguments, in which Kubernetes fills in `$(MODEL_PATH)`, the file of the weights or the directory
    /// that they are; `$(SERVED_NAME)`, the name that requests bear; `$(CONTEXT_LENGTH)`, what the model was
    /// trained for, at most 4096 tokens; `$(TENSOR_PARALLEL)`, which is `resources.tensorParallel` or 1; and what
    /// `podOverrides.env` sets. The server must listen on all addresses, at `port`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 4096)))]
    pub args: Vec<String>,
    /// Port of its API. Default: 8000.
    #[serde(default = "default_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Path that answers 200 when the model is loaded. Default: `/health`.
    #[serde(default = "default_health_path")]
    #[schemars(length(max = 256), regex(pattern = r"^/[^\s]*$"))]
    pub health_path: String,
    /// Its Prometheus metrics, which autoscaling reads under the names of vLLM, SGLang, TGI or llama.cpp.
    /// Default: `/metrics` on the same port.
    pub metrics: Option<EngineMetrics>,
}

fn default_port() -> i32 {
    8000
}

fn default_health_path() -> String {
    "/health".into()
}

/// Where a server's Prometheus metrics are.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EngineMetrics {
    /// Path. Default: `/metrics`.
    #[schemars(length(max = 256), regex(pattern = r"^/[^\s]*$"))]
    pub path: Option<String>,
    /// Port, which all may read. Default: the API's, which only Atelier may.
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
}
