//! What requests ask for.

use api::llmmodel::Task;

/// What a request asks of a model (`gen_ai.operation.name`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `/v1/chat/completions`
    Chat,
    /// `/v1/completions`
    TextCompletion,
    /// `/v1/embeddings`
    Embeddings,
    /// `/v1/rerank`
    Rerank,
}

impl Operation {
    /// The name in the GenAI conventions, which have none for the last.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::TextCompletion => "text_completion",
            Self::Embeddings => "embeddings",
            Self::Rerank => "rerank",
        }
    }

    /// What a model must be for.
    pub fn task(self) -> Task {
        match self {
            Self::Chat | Self::TextCompletion => Task::Generate,
            Self::Embeddings => Task::Embed,
            Self::Rerank => Task::Rerank,
        }
    }

    /// Its path, at the gateway and at the worker.
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::TextCompletion => "/v1/completions",
            Self::Embeddings => "/v1/embeddings",
            Self::Rerank => "/v1/rerank",
        }
    }
}
