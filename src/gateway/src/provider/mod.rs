//! Hosted models: what providers are asked and what their answers mean, in OpenAI's form. All of it is pure;
//! [`hosted`](crate::hosted) sends and receives.
//!
//! What a provider does not have is refused by name, and nothing is left out in silence. Fields that nobody here
//! knows go to the provider as they are.

mod anthropic;
mod azure;
mod chat;
pub mod failure;
mod fields;
mod gemini;
mod messages;
mod openai;
mod refusal;
pub mod sse;
mod stream;
#[cfg(test)]
mod tests;

use api::{
    common::SecretKeyRef,
    llmmodel::{self, AzureOpenAi, OpenAi, OpenAiCompatibleProvider, ProviderModel, WorkloadIdentity},
};
use serde_json::{Map, Value};

pub use refusal::Refusal;
pub use stream::{Stream, Translate};

use crate::metrics::Operation;

/// An answer is none of the provider's, or breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// A request for a provider, but for the credentials.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// Where it goes.
    pub url: String,
    /// Headers beside those of every request.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Value,
}

/// Where the services are that have one address for all.
#[derive(Clone, Debug)]
pub struct Origins {
    /// OpenAI.
    pub open_ai: String,
    /// Anthropic.
    pub anthropic: String,
    /// Google Gemini.
    pub gemini: String,
    /// Microsoft Entra, which issues tokens for Azure.
    pub entra: String,
}

impl Default for Origins {
    fn default() -> Self {
        Self {
            open_ai: "https://api.openai.com".into(),
            anthropic: "https://api.anthropic.com".into(),
            gemini: "https://generativelanguage.googleapis.com".into(),
            entra: "https://login.microsoftonline.com".into(),
        }
    }
}

/// The service that hosts a model.
#[derive(Clone, Copy, Debug)]
pub enum Service<'a> {
    /// OpenAI.
    OpenAi(&'a OpenAi),
    /// Azure OpenAI.
    Azure(&'a AzureOpenAi),
    /// Anthropic.
    Anthropic(&'a ProviderModel),
    /// Google Gemini.
    Gemini(&'a ProviderModel),
    /// Any other with OpenAI's API.
    Compatible(&'a OpenAiCompatibleProvider),
}

/// How a key is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyHeader {
    /// `Authorization: Bearer`.
    Bearer,
    /// As it is, in a header of that name.
    Named(&'static str),
}

impl<'a> Service<'a> {
    /// The one service that is set.
    pub fn of(provider: &'a llmmodel::Provider) -> Option<Self> {
        let open_ai = provider.open_ai.as_ref().map(Self::OpenAi);
        let azure = provider.azure_open_ai.as_ref().map(Self::Azure);
        let anthropic = provider.anthropic.as_ref().map(Self::Anthropic);
        let gemini = provider.gemini.as_ref().map(Self::Gemini);
        let compatible = provider.open_ai_compatible.as_ref().map(Self::Compatible);
        open_ai.or(azure).or(anthropic).or(gemini).or(compatible)
    }

    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAi(_) => "OpenAI",
            Self::Azure(_) => "Azure OpenAI",
            Self::Anthropic(_) => "Anthropic",
            Self::Gemini(_) => "Gemini",
            Self::Compatible(_) => "the OpenAI-compatible service",
        }
    }

    /// Its name in the GenAI conventions (`gen_ai.provider.name`), which have none for the last.
    pub fn convention(self) -> &'static str {
        match self {
            Self::OpenAi(_) => "openai",
            Self::Azure(_) => "azure.ai.openai",
            Self::Anthropic(_) => "anthropic",
            Self::Gemini(_) => "gcp.gemini",
            Self::Compatible(_) => "openai_compatible",
        }
    }

    /// Where its key is.
    pub fn credentials(self) -> Option<&'a SecretKeyRef> {
        match self {
            Self::OpenAi(model) => Some(&model.credentials_secret_ref),
            Self::Azure(model) => model.credentials_secret_ref.as_ref(),
            Self::Anthropic(model) | Self::Gemini(model) => Some(&model.credentials_secret_ref),
            Self::Compatible(model) => model.credentials_secret_ref.as_ref(),
        }
    }

    /// The identity that is shown instead of a key.
    pub fn identity(self) -> Option<&'a WorkloadIdentity> {
        match self {
            Self::Azure(model) => model.workload_identity.as_ref(),
            Self::OpenAi(_) | Self::Anthropic(_) | Self::Gemini(_) | Self::Compatible(_) => None,
        }
    }

    /// Where the certificates of those are who vouch for it, beside the usual ones.
    pub fn authorities(self) -> Option<&'a SecretKeyRef> {
        match self {
            Self::Compatible(model) => model.ca_secret_ref.as_ref(),
            Self::OpenAi(_) | Self::Azure(_) | Self::Anthropic(_) | Self::Gemini(_) => None,
        }
    }

    /// How its key is shown.
    pub fn key_header(self) -> KeyHeader {
        match self {
            Self::OpenAi(_) | Self::Compatible(_) => KeyHeader::Bearer,
            Self::Azure(model) if model.workload_identity.is_some() => KeyHeader::Bearer,
            Self::Azure(_) => KeyHeader::Named("api-key"),
            Self::Anthropic(_) => KeyHeader::Named("x-api-key"),
            Self::Gemini(_) => KeyHeader::Named("x-goog-api-key"),
        }
    }

    /// What to send for a caller's `body`.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn request(
        self,
        origins: &Origins,
        operation: Operation,
        body: Map<String, Value>,
    ) -> Result<Outgoing, Refusal> {
        match self {
            Self::OpenAi(model) => openai::request(model, &origins.open_ai, operation, body),
            Self::Azure(model) => azure::request(model, operation, body),
            Self::Anthropic(model) => anthropic::request(model, &origins.anthropic, operation, body),
            Self::Gemini(model) => gemini::request(model, &origins.gemini, operation, body),
            Self::Compatible(model) => openai::compatible_request(model, operation, body),
        }
    }

    /// A whole answer in OpenAI's form, to a request whose body was `asked`. `created` is the time in seconds since the
    /// Unix epoch.
    ///
    /// # Errors
    /// When it is none.
    pub fn answer(self, operation: Operation, answer: Value, asked: &Asking, created: u64) -> Result<Value, Broken> {
        let mut answer = match self {
            Self::OpenAi(_) | Self::Azure(_) | Self::Compatible(_) => answer,
            Self::Anthropic(_) => anthropic::answer(answer, created)?,
            Self::Gemini(_) => gemini::answer(operation, answer, asked, created)?,
        };
        let fields = answer.as_object_mut().ok_or(Broken)?;
        let list = match operation {
            Operation::Chat | Operation::TextCompletion => "choices",
            Operation::Embeddings => "data",
            Operation::Rerank => "results",
        };
        if !fields.get(list).is_some_and(Value::is_array) {
            return Err(Broken);
        }
        fields.insert("model".into(), asked.model.clone().into());
        Ok(answer)
    }

    /// What turns a stream of its events into OpenAI's.
    pub fn translate(self, created: u64) -> Box<dyn Translate> {
        match self {
            Self::OpenAi(_) | Self::Azure(_) | Self::Compatible(_) => Box::new(openai::Chunks::default()),
            Self::Anthropic(_) => Box::new(anthropic::Events::new(created)),
            Self::Gemini(_) => Box::new(gemini::Events::new(created)),
        }
    }
}

/// What of a request an answer depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking {
    /// The model, in the caller's words.
    pub model: String,
    /// Whether a stream ends with what it took.
    pub include_usage: bool,
    /// Whether vectors are wanted in base64.
    pub base64: bool,
}

impl Asking {
    /// What `body` asks for.
    pub fn of(model: &str, body: &Map<String, Value>) -> Self {
        let options = body.get("stream_options");
        Self {
            model: model.into(),
            include_usage: options.is_some_and(|it| it["include_usage"] == true),
            base64: body.get("encoding_format").is_some_and(|it| it == "base64"),
        }
    }
}

/// `text` as one segment of a path.
fn path_segment(text: &str) -> String {
    let mut segment = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => segment.push(byte.into()),
            byte => segment.push_str(&format!("%{byte:02X}")),
        }
    }
    segment
}
