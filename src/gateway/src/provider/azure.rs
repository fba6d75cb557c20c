//! Azure OpenAI: OpenAI's form at an address of one's own.

use api::llmmodel::AzureOpenAi;
use serde_json::{Map, Value};

use super::{Outgoing, Refusal, openai, path_segment};
use crate::metrics::Operation;

/// A request for a deployment.
///
/// # Errors
/// When Azure has nothing of the kind.
pub fn request(model: &AzureOpenAi, operation: Operation, body: Map<String, Value>) -> Result<Outgoing, Refusal> {
    let path = match operation {
        Operation::Chat => "chat/completions",
        Operation::Embeddings => "embeddings",
        Operation::TextCompletion | Operation::Rerank => return Err(Refusal::Operation),
    };
    let AzureOpenAi {
        endpoint,
        deployment,
        api_version,
        ..
    } = model;
    let (endpoint, name) = (endpoint.trim_end_matches('/'), path_segment(deployment));
    Ok(Outgoing {
        url: format!("{endpoint}/openai/deployments/{name}/{path}?api-version={api_version}"),
        headers: Vec::new(),
        body: openai::body_for(operation, deployment, body),
    })
}
