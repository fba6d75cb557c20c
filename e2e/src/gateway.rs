//! The gateway over HTTP, as a client sees it.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::settings;

/// A client of the gateway with or without a token.
#[derive(Clone)]
pub struct Gateway {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
}

/// What a streamed answer amounted to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Streamed {
    /// The text of all events.
    pub text: String,
    /// Why the model stopped.
    pub finish_reason: Option<String>,
    /// The `error` of an error event.
    pub error: Option<Value>,
    /// Whether `[DONE]` came last.
    pub done: bool,
}

/// A ServiceAccount's token for some audiences, valid for an hour.
pub async fn token(client: &Client, namespace: &str, account: &str, audiences: &[&str]) -> Result<String> {
    let request: TokenRequest = serde_json::from_value(json!({
        "metadata": {},
        "spec": {"audiences": audiences, "expirationSeconds": 3600},
    }))?;
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), namespace);
    let answer = accounts
        .create_token_request(account, &PostParams::default(), &request)
        .await
        .context("failed to get a token")?;
    issued(answer)
}

/// The token of an answered request.
pub fn issued(answer: TokenRequest) -> Result<String> {
    let token = answer.status.and_then(|status| status.token);
    token.context("the token request was not answered")
}

impl Gateway {
    /// A client that sends a token with each request, if one is given.
    pub fn new(token: Option<String>) -> Result<Self> {
        Ok(Self {
            http: reqwest::Client::builder().no_proxy().build()?,
            url: settings::gateway_url()?,
            token,
        })
    }

    /// A client without a token of a host that no name server knows.
    pub fn of_host(host: &str, address: SocketAddr) -> Result<Self> {
        Ok(Self {
            http: reqwest::Client::builder().no_proxy().resolve(host, address).build()?,
            url: format!("http://{host}"),
            token: None,
        })
    }

    /// The same caller at the address of one replica.
    pub fn at(&self, url: String) -> Self {
        Self { url, ..self.clone() }
    }

    /// The same address with another token.
    pub fn with_token(&self, token: Option<String>) -> Self {
        Self { token, ..self.clone() }
    }

    /// The token that it sends.
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    fn authorize(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a GET and returns the response.
    pub async fn get(&self, path: &str) -> Result<reqwest::Response> {
        let request = self.http.get(format!("{}{path}", self.url));
        Ok(self.authorize(request).send().await?)
    }

    /// Sends a DELETE and returns the response.
    pub async fn delete(&self, path: &str) -> Result<reqwest::Response> {
        let request = self.http.delete(format!("{}{path}", self.url));
        Ok(self.authorize(request).send().await?)
    }

    /// Sends a body of any kind and returns the response.
    pub async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Result<reqwest::Response> {
        let request = self.http.post(format!("{}{path}", self.url)).body(body);
        let request = request.header("content-type", "application/json");
        Ok(self.authorize(request).send().await?)
    }

    /// The ids of the models that the caller may ask.
    pub async fn models(&self) -> Result<Vec<String>> {
        let (status, body) = read(self.get("/v1/models").await?).await?;
        ensure!(status == StatusCode::OK, "GET /v1/models answered {status}: {body}");
        let list = body["data"].as_array().context("/v1/models has no data")?;
        Ok(list
            .iter()
            .filter_map(|model| model["id"].as_str())
            .map(Into::into)
            .collect())
    }

    /// Posts JSON and reads JSON; any status is an answer.
    pub async fn send(&self, path: &str, body: &Value) -> Result<(StatusCode, Value)> {
        read(self.post(path, body.to_string()).await?).await
    }

    /// Asks without streaming; any status is an answer.
    pub async fn chat(&self, model: &str, prompt: &str) -> Result<(StatusCode, Value)> {
        let body = question(model, prompt, 64, false);
        read(self.post("/v1/chat/completions", body.to_string()).await?).await
    }

    /// Asks without streaming and returns the answer's text.
    pub async fn ask(&self, model: &str, prompt: &str) -> Result<String> {
        let (status, body) = self.chat(model, prompt).await?;
        ensure!(status == StatusCode::OK, "the chat answered {status}: {body}");
        let content = body["choices"][0]["message"]["content"].as_str();
        Ok(content
            .with_context(|| format!("the answer has no content: {body}"))?
            .into())
    }

    /// Asks and reads the stream to its end.
    pub async fn stream(&self, model: &str, prompt: &str, max_tokens: u32) -> Result<Streamed> {
        let mut stream = self.open_stream(model, prompt, max_tokens).await?;
        while stream.next().await? {}
        Ok(stream.seen)
    }

    /// Asks and returns the stream, to be read event by event.
    pub async fn open_stream(&self, model: &str, prompt: &str, max_tokens: u32) -> Result<Stream> {
        self.open(&question(model, prompt, max_tokens, true)).await
    }

    /// The same, with a body.
    pub async fn open(&self, body: &Value) -> Result<Stream> {
        let response = self.post("/v1/chat/completions", body.to_string()).await?;
        let status = response.status();
        if status != StatusCode::OK {
            anyhow::bail!("the stream answered {status}: {}", response.text().await?);
        }
        Ok(Stream {
            response,
            buffer: Vec::new(),
            seen: Streamed::default(),
        })
    }
}

/// A streamed answer on its way.
pub struct Stream {
    response: reqwest::Response,
    buffer: Vec<u8>,
    /// What has come so far.
    pub seen: Streamed,
}

impl Stream {
    /// Waits for more; false at the end.
    pub async fn next(&mut self) -> Result<bool> {
        let Some(chunk) = self.response.chunk().await? else {
            return Ok(false);
        };
        self.buffer.extend_from_slice(&chunk);
        while let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
            let event: Vec<u8> = self.buffer.drain(..end + 2).collect();
            let event = String::from_utf8(event).context("an event is not UTF-8")?;
            for data in event.lines().filter_map(|line| line.strip_prefix("data:")) {
                self.seen.take(data.trim())?;
            }
        }
        Ok(true)
    }
}

impl Streamed {
    fn take(&mut self, data: &str) -> Result<()> {
        if data == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        let event: Value = serde_json::from_str(data).with_context(|| format!("{data:?} is no event"))?;
        if let Some(error) = event.get("error") {
            self.error = Some(error.clone());
        }
        let choice = &event["choices"][0];
        self.text
            .push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        if let Some(reason) = choice["finish_reason"].as_str() {
            self.finish_reason = Some(reason.into());
        }
        Ok(())
    }
}

/// Status and JSON body of a response.
pub async fn read(response: reqwest::Response) -> Result<(StatusCode, Value)> {
    let status = response.status();
    let text = response.text().await?;
    let body = serde_json::from_str(&text).with_context(|| format!("{status}: the body is not JSON: {text:?}"))?;
    Ok((status, body))
}

/// A greedy chat request.
pub fn question(model: &str, prompt: &str, max_tokens: u32, stream: bool) -> Value {
    json!({
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "temperature": 0,
        "max_tokens": max_tokens,
        "stream": stream,
    })
}
