//! Webhooks: services of others that judge texts.
//!
//! They are asked over HTTP, at most so many at once, and not for longer than the spec says. What they do not answer in
//! time, or not so that it makes sense, is no verdict: nothing passes then, or all does where the spec
//! wants that. No text, address or key is logged.

mod jury;
mod wire;

use std::{sync::Arc, time::Duration};

use ::guard::{FailurePolicy, NamedWebhook, Webhook};
use axum::http::StatusCode;
use bytes::Bytes;
use prometheus::IntCounterVec;
use reqwest::{Client, Response, Url, header};
use tokio::{sync::Semaphore, time::timeout};

pub use jury::{Jury, Unjudged, Verdicts};
pub use wire::{Find, Text, redacted};

use crate::{
    catalog::Model,
    hosted::{Clients, Credentials, KeyName, NoKey, Secret, explain, is_forbidden},
};
use wire::{Judgement, Question};

/// Questions to one webhook at the same time. More wait, within its timeout.
const MAX_AT_ONCE: usize = 64;
/// A verdict on many texts is far below.
const MAX_ANSWER: usize = 1 << 20;

/// Asks webhooks.
pub struct Webhooks {
    clients: Arc<Clients>,
    credentials: Credentials,
    asked: IntCounterVec,
}

/// A webhook, and room to ask it.
#[derive(Debug)]
pub struct Hook {
    /// The check that asks it.
    pub check: String,
    webhook: Webhook,
    room: Semaphore,
}

impl Hook {
    /// That nobody asks yet.
    pub fn new(named: &NamedWebhook) -> Self {
        Self {
            check: named.check.clone(),
            webhook: named.webhook.clone(),
            room: Semaphore::new(MAX_AT_ONCE),
        }
    }

    /// Whether all passes that it does not judge.
    pub fn may_fail(&self) -> bool {
        self.webhook.failure_policy == FailurePolicy::Ignore
    }
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
enum NoVerdict {
    #[error("it did not answer in time")]
    Timeout,
    #[error("it cannot be reached")]
    Unreachable,
    #[error("it is at an address where none may be: a worker of this cluster, loopback or link-local")]
    Address,
    #[error("it broke off")]
    Failed,
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("its answer makes no sense")]
    Nonsense,
    #[error("{0}")]
    Secret(String),
}

impl NoVerdict {
    /// Its name in metrics.
    fn name(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Address => "address",
            Self::Failed => "failed",
            Self::Status(_) => "status",
            Self::Nonsense => "nonsense",
            Self::Secret(_) => "secret",
        }
    }
}

impl Webhooks {
    /// Asks by `clients`, with keys from `credentials`, and counts verdicts in `asked`.
    pub fn new(clients: Arc<Clients>, credentials: Credentials, asked: IntCounterVec) -> Self {
        Self {
            clients,
            credentials,
            asked,
        }
    }

    /// What `hook` says; an error if nothing.
    async fn ask(&self, hook: &Hook, model: &Model, question: &Question<'_>) -> Result<Judgement, NoVerdict> {
        let patience = Duration::from_secs(hook.webhook.timeout_seconds.into());
        let asking = timeout(patience, self.judgement(hook, model, question)).await;
        let outcome = asking.unwrap_or(Err(NoVerdict::Timeout));
        let label = match &outcome {
            Ok(judgement) => judgement.action.map_or("allow", ::guard::Action::name),
            Err(why) => {
                // What it said may hold the text.
                let (model, check) = (model.qualified(), &hook.check);
                tracing::warn!(model, check, %why, "a webhook gives no verdict");
                why.name()
            }
        };
        let labels = [&*model.namespace, &*model.name, &*hook.check, label];
        self.asked.with_label_values(&labels).inc();
        outcome
    }

    async fn judgement(&self, hook: &Hook, model: &Model, question: &Question<'_>) -> Result<Judgement, NoVerdict> {
        let Webhook {
            url,
            credentials_secret_ref,
            ca_secret_ref,
            ..
        } = &hook.webhook;
        let name = |key: &::guard::SecretKey| KeyName {
            namespace: model.namespace.clone(),
            secret: key.name.clone(),
            key: key.key.clone(),
        };
        let _place = hook.room.acquire().await.map_err(|_| NoVerdict::Failed)?;
        let url = Url::parse(url).map_err(|_| NoVerdict::Unreachable)?;
        if !url
            .host_str()
            .is_some_and(|host| self.clients.guard().admits_host(host))
        {
            return Err(NoVerdict::Address);
        }
        let certificates = ca_secret_ref.as_ref().map(name);
        let client = self.clients.trusting(certificates.as_ref()).await;
        let client = client.map_err(|why| unusable(certificates.as_ref(), why))?;
        let body = Bytes::from(serde_json::to_vec(question).map_err(|_| NoVerdict::Failed)?);
        let post = async |secret: Option<&Secret>| send(&client, &url, secret, body.clone()).await;
        let response = match credentials_secret_ref.as_ref().map(name) {
            None => post(None).await?,
            Some(name) => {
                let no_key = |why| unusable(Some(&name), why);
                let secret = self.credentials.get(&name).await.map_err(no_key)?;
                let response = post(Some(&secret)).await?;
                match response.status() {
                    // It may have been changed a moment ago.
                    StatusCode::UNAUTHORIZED => {
                        let other = self.credentials.get_other_than(&name, &secret).await;
                        match other.map_err(no_key)? {
                            other if other != secret => post(Some(&other)).await?,
                            _ => response,
                        }
                    }
                    _ => response,
                }
            }
        };
        match response.status() {
            StatusCode::OK => {}
            status => return Err(NoVerdict::Status(status)),
        }
        let body = read(response).await?;
        Judgement::read(&body, question.texts).ok_or(NoVerdict::Nonsense)
    }
}

fn unusable(name: Option<&KeyName>, why: NoKey) -> NoVerdict {
    NoVerdict::Secret(name.map(|name| explain(name, why)).unwrap_or_default())
}

async fn send(client: &Client, url: &Url, secret: Option<&Secret>, body: Bytes) -> Result<Response, NoVerdict> {
    let mut request = client
        .post(url.clone())
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(value) = secret.and_then(|secret| secret.header("Bearer ")) {
        request = request.header(header::AUTHORIZATION, value);
    }
    request
        .body(body)
        .send()
        .await
        .map_err(|error| match error.is_connect() {
            true if is_forbidden(&error) => NoVerdict::Address,
            true => NoVerdict::Unreachable,
            false => NoVerdict::Failed,
        })
}

async fn read(mut response: Response) -> Result<Vec<u8>, NoVerdict> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|_| NoVerdict::Failed)? {
        if body.len() + piece.len() > MAX_ANSWER {
            return Err(NoVerdict::Nonsense);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}
