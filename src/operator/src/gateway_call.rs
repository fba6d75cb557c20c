//! Calls of the gateway, in the operator's own name.

use std::{path::PathBuf, sync::Arc, time::Duration};

use reqwest::{Certificate, Client, Method, StatusCode, header::CONTENT_TYPE};
use serde::de::DeserializeOwned;

/// Characters of an answer that are repeated in words.
const WORDS: usize = 300;

/// How the gateway is reached.
#[derive(Clone, Debug)]
pub struct Way {
    /// Its root: `http://atelier-gateway.atelier-system.svc`.
    pub url: String,
    /// File with the token to show; without, there is no way.
    pub token_file: Option<PathBuf>,
    /// File with certificates in PEM that vouch for it, beside the usual ones. It may be missing.
    pub ca_file: Option<PathBuf>,
}

/// Why the gateway has not done what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There is nothing to show it.
    #[error("the operator runs without --gateway-token-file, which the chart sets")]
    NoToken,
    /// The token or the certificates cannot be read.
    #[error("failed to read {}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It was not reached, or did not answer.
    #[error("the gateway at {url} does not answer: {why}")]
    Silent {
        /// Where.
        url: String,
        /// What happened.
        why: String,
    },
    /// It refused.
    #[error("the gateway answered {status}: {words}")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// The beginning of its answer.
        words: String,
    },
    /// Its answer makes no sense.
    #[error("the gateway's answer is none that this release knows: {0}")]
    Strange(String),
}

/// The gateway. A clone asks the same one.
#[derive(Clone)]
pub struct GatewayCalls(Arc<Way>);

/// What to ask.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The method.
    pub method: &'a Method,
    /// Path and query.
    pub path: &'a str,
    /// JSON that is sent with it.
    pub body: Option<&'a str>,
    /// Longest time.
    pub patience: Duration,
    /// Largest answer, in bytes.
    pub largest: usize,
}

impl GatewayCalls {
    /// By this way.
    pub fn new(way: Way) -> Self {
        Self(Arc::new(way))
    }

    /// Certificates in PEM that vouch for the gateway, if there are any of its own.
    pub fn certificates(&self) -> Option<String> {
        let file = self.0.ca_file.as_ref()?;
        std::fs::read_to_string(file)
            .ok()
            .filter(|text| !text.trim().is_empty())
    }

    /// The answer as JSON.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn json<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, CallError> {
        let (status, body) = self.call(call).await?;
        if status != StatusCode::OK {
            return Err(refused(status, &body));
        }
        serde_json::from_slice(&body).map_err(|error| CallError::Strange(error.to_string()))
    }

    /// Asks for something that needs no answer but that it was done.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn done(&self, call: Call<'_>) -> Result<(), CallError> {
        let (status, body) = self.call(call).await?;
        match status {
            StatusCode::OK | StatusCode::NO_CONTENT => Ok(()),
            _ => Err(refused(status, &body)),
        }
    }

    async fn call(&self, call: Call<'_>) -> Result<(StatusCode, Vec<u8>), CallError> {
        let Call {
            method,
            path,
            body,
            patience,
            largest,
        } = call;
        let Way { url, token_file, .. } = self.0.as_ref();
        let url = format!("{}{path}", url.trim_end_matches('/'));
        // Both are replaced from time to time; calls are few.
        let token_file = token_file.as_ref().ok_or(CallError::NoToken)?;
        let token = std::fs::read_to_string(token_file).map_err(|source| CallError::File {
            path: token_file.clone(),
            source,
        })?;
        let silent = |error: reqwest::Error| CallError::Silent {
            url: url.clone(),
            why: causes(&error),
        };
        let mut client = Client::builder()
            .no_proxy()
            .timeout(patience)
            .redirect(reqwest::redirect::Policy::none());
        if let Some(pem) = self.certificates() {
            for certificate in Certificate::from_pem_bundle(pem.as_bytes()).map_err(silent)? {
                client = client.add_root_certificate(certificate);
            }
        }
        let client = client.build().map_err(silent)?;
        let mut request = client.request(method.clone(), &url).bearer_auth(token.trim());
        if let Some(json) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(json.to_owned());
        }
        let mut answer = request.send().await.map_err(silent)?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(silent)? {
            body.extend_from_slice(&chunk);
            if body.len() > largest {
                return Err(CallError::Strange(format!("it has more than {largest} bytes")));
            }
        }
        Ok((status, body))
    }
}

fn refused(status: StatusCode, body: &[u8]) -> CallError {
    let words = String::from_utf8_lossy(body).chars().take(WORDS).collect();
    CallError::Refused { status, words }
}

/// An error with what caused it: the outermost alone says little.
fn causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        source = cause.source();
    }
    words
}
