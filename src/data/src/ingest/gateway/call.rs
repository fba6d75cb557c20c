//! One call, and the tries that it takes.

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use protocol::PrepareFailure;
use protocol::report::reasons;
use protocol::rooms::code;
use rand::Rng as _;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{GATEWAY_FAILED, Gateway, SUPERSEDED};

/// Bytes of an error's answer that are read.
const MAX_ERROR: usize = 64 << 10;
/// Longest that an answer may ask to wait.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// What is asked.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    pub method: Method,
    /// Behind the root.
    pub path: String,
    pub query: Vec<(&'a str, String)>,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
    pub content_type: &'static str,
}

impl<'a> Call<'a> {
    pub fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            query: Vec::new(),
            headers: Vec::new(),
            body: Bytes::new(),
            content_type: "application/json",
        }
    }

    pub fn query(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It says no.
    #[error("the gateway answers {status} {code}: {message}")]
    Refused { status: u16, code: String, message: String },
    /// It says nothing that can be used, as often as it was asked.
    #[error("{0}")]
    Unreachable(String),
}

impl Error {
    pub fn has_code(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }

    /// As the operator is told.
    pub fn failure(self, what: &str) -> PrepareFailure {
        let message = format!("failed to {what}: {self}");
        if self.has_code(code::FENCED) {
            let message = format!("{message}; another Job fills the Room by now");
            return PrepareFailure::new(SUPERSEDED, message, false);
        }
        let (reason, retryable) = match self {
            Self::Refused {
                status: 401 | 403 | 404,
                ..
            } => (reasons::FORBIDDEN, true),
            // What cannot be kept now cannot be kept at the next try.
            Self::Refused {
                status: 400 | 413 | 422,
                ..
            } => (GATEWAY_FAILED, false),
            Self::Refused { .. } | Self::Unreachable(_) => (GATEWAY_FAILED, true),
        };
        PrepareFailure::new(reason, message, retryable)
    }
}

#[derive(Deserialize)]
struct Told {
    error: ToldError,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ToldError {
    message: String,
    code: Option<String>,
}

impl Gateway {
    /// Asks until there is an answer in JSON, or no more patience.
    pub async fn json<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T, Error> {
        let mut tries = 0;
        loop {
            tries += 1;
            let (error, wait) = match self.once(call).await {
                Ok(response) => match response.json().await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => (unreachable(error), None),
                },
                Err(found) => found,
            };
            self.wait(error, wait, tries).await?;
        }
    }

    /// Asks until an answer begins to come.
    pub async fn begin(&self, call: &Call<'_>) -> Result<Response, Error> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.once(call).await {
                Ok(response) => return Ok(response),
                Err((error, wait)) => self.wait(error, wait, tries).await?,
            }
        }
    }

    /// Waits for the next try, unless this was the last one or another one is in vain.
    pub async fn wait(&self, error: Error, wait: Option<Duration>, tries: u32) -> Result<(), Error> {
        if !is_worth_another(&error) || tries >= self.patience.attempts {
            return Err(error);
        }
        let doubled = self.patience.first.saturating_mul(1 << (tries - 1).min(16));
        let backoff = doubled
            .min(self.patience.longest)
            .mul_f64(rand::rng().random_range(0.5..1.0));
        let wait = wait.map_or(backoff, |wait| wait.min(MAX_WAIT).max(backoff));
        tracing::debug!(tries, ?wait, "{error}");
        tokio::time::sleep(wait).await;
        Ok(())
    }

    async fn once(&self, call: &Call<'_>) -> Result<Response, (Error, Option<Duration>)> {
        let response = self.send(call).await.map_err(|error| (error, None))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let wait = retry_after(&response);
        Err((refused(response).await, wait))
    }

    /// Asks once, for whatever answer there is.
    pub async fn send(&self, call: &Call<'_>) -> Result<Response, Error> {
        // It is replaced from time to time.
        let token = std::fs::read_to_string(&self.token_file).map_err(|error| {
            let what = format!("its token cannot be read from {}: {error}", self.token_file.display());
            Error::Unreachable(what)
        })?;
        let url = format!("{}{}", self.root, call.path);
        let mut request = self
            .client
            .request(call.method.clone(), url)
            .query(&call.query)
            .header(AUTHORIZATION, format!("Bearer {}", token.trim()));
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        if !call.body.is_empty() {
            request = request.header(CONTENT_TYPE, call.content_type).body(call.body.clone());
        }
        request.send().await.map_err(unreachable)
    }
}

/// How long an answer asks to wait before the next try.
pub fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?;
    value.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

fn is_worth_another(error: &Error) -> bool {
    match error {
        // A token may have been replaced between being read and being shown.
        Error::Refused { status, code: told, .. } => {
            matches!(status, 401 | 408 | 425 | 429 | 500 | 502 | 503 | 504) && told != code::CLOSED
        }
        Error::Unreachable(_) => true,
    }
}

pub fn unreachable(error: reqwest::Error) -> Error {
    let error = error.without_url();
    let mut text = format!("the gateway cannot be reached: {error}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    Error::Unreachable(text)
}

async fn refused(mut response: Response) -> Error {
    let status: StatusCode = response.status();
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_ERROR {
            break;
        }
    }
    let told = serde_json::from_slice::<Told>(&bytes)
        .map(|told| told.error)
        .unwrap_or_default();
    Error::Refused {
        status: status.as_u16(),
        code: told.code.unwrap_or_default(),
        message: match told.message.is_empty() {
            true => status.canonical_reason().unwrap_or("no reason").to_owned(),
            false => told.message,
        },
    }
}
