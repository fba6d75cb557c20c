//! Models that somebody else hosts: asking their providers, and nothing else. What is said to them and what
//! their answers mean is in [`provider`](crate::provider).

mod call;
mod clients;
mod credentials;
mod guard;
mod identity;
mod secret;
mod source;
mod stream;

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    body::Body,
    http::{self, HeaderValue, StatusCode, header},
    response::IntoResponse,
};
use prometheus::{Histogram, IntCounterVec};
use reqwest::Response;
use serde_json::{Map, Value};

pub use clients::Clients;
pub use credentials::{Credentials, KeyName, KubeSecrets, NoKey, SecretReader};
pub use guard::{Guard, is_forbidden};
pub use secret::Secret;

use crate::{
    adapter::Asked,
    body::HeldBody,
    catalog::Model,
    deadline::Deadline,
    error::Error,
    metrics::{Metrics, Observation, Operation},
    provider::{
        self, Asking, Origins, Outgoing, Refusal, Service,
        failure::{self, Failure},
    },
    trace::Trace,
    upstream::UpstreamTimeouts,
};
use call::Calls;
use identity::Identities;
use source::Source;

/// A request for a hosted model that its caller may use.
pub struct Request {
    /// What it asks for.
    pub operation: Operation,
    /// The model.
    pub model: Arc<Model>,
    /// The model in the caller's words.
    pub called: String,
    /// The adapter that it asks for, in vain.
    pub adapter: Option<Asked>,
    /// The version that it asks for, in vain.
    pub version: Option<String>,
    /// Whether the answer shall come as a stream.
    pub stream: bool,
    /// The body.
    pub body: HeldBody,
    /// When it arrived.
    pub received: Instant,
    /// When its answer must begin.
    pub deadline: Deadline,
    /// Its trace.
    pub trace: Trace,
}

/// Asks providers.
pub struct Hosts {
    calls: Calls,
    credentials: Credentials,
    identities: Identities,
    origins: Origins,
    idle_timeout: Duration,
    attempts: IntCounterVec,
    overhead: Histogram,
}

impl Hosts {
    /// Asks at `origins`, and wherever `clients` may go, with keys that `secrets` reads.
    pub fn new(
        origins: Origins,
        clients: Arc<Clients>,
        secrets: Arc<dyn SecretReader>,
        timeouts: UpstreamTimeouts,
        metrics: &Metrics,
    ) -> Self {
        Self {
            calls: Calls::new(clients.clone(), timeouts),
            credentials: Credentials::new(secrets.clone(), metrics.cache_lookups.clone()),
            identities: Identities::new(secrets, clients, origins.entra.clone(), metrics.cache_lookups.clone()),
            origins,
            idle_timeout: timeouts.idle,
            attempts: metrics.attempts.clone(),
            overhead: metrics.overhead.clone(),
        }
    }

    /// The provider's answer to `request`. `observation` measures it to its end.
    ///
    /// # Errors
    /// When there is none, whoever's fault it is.
    pub async fn forward(&self, request: Request, mut observation: Observation) -> Result<http::Response<Body>, Error> {
        match self.answer(&request, &mut observation).await {
            Ok(Answer::Whole(body)) => {
                observation.answered(StatusCode::OK);
                observation.done();
                let json = [(header::CONTENT_TYPE, "application/json")];
                Ok((StatusCode::OK, json, body).into_response())
            }
            Ok(Answer::Stream(stream)) => {
                observation.answered(StatusCode::OK);
                let body = stream::body(*stream, request.model.qualified(), self.idle_timeout, observation);
                Ok(([(header::CONTENT_TYPE, "text/event-stream")], body).into_response())
            }
            Err(error) => {
                observation.failed(error.code());
                Err(error)
            }
        }
    }

    async fn answer(&self, request: &Request, observation: &mut Observation) -> Result<Answer, Error> {
        let model = &request.model;
        exists(request)?;
        let hosted = model.hosted.as_ref().filter(|_| model.readiness.ready);
        let service = hosted.and_then(Service::of).ok_or_else(|| Error::ModelNotReady {
            model: model.qualified(),
            reason: model.readiness.reason.clone(),
            message: model.readiness.message.clone(),
        })?;
        let body: Map<String, Value> =
            serde_json::from_slice(&request.body.bytes).map_err(|error| Error::InvalidJson {
                detail: error.to_string(),
            })?;
        let asking = Asking::of(&request.called, &body);
        let outgoing = service.request(&self.origins, request.operation, body);
        let outgoing = outgoing.map_err(|refusal| refused(refusal, service, request.operation))?;
        self.overhead.observe(request.received.elapsed().as_secs_f64());
        observation.sent(Instant::now(), "");
        let response = self.call(service, request, &outgoing).await?;
        let created = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let broken = || Error::ProviderFailed {
            model: model.qualified(),
        };
        if request.stream && request.operation != Operation::Embeddings {
            let kind = response.headers().get(header::CONTENT_TYPE);
            if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
                return Err(broken());
            }
            let translated = provider::Stream::new(service.translate(created), asking);
            return Ok(Answer::Stream(Box::new(stream::Incoming { response, translated })));
        }
        let body = self.calls.body(response, model).await?;
        let answer: Value = serde_json::from_slice(&body).map_err(|_| broken())?;
        observation.answered_by(answer["model"].as_str());
        let answer = service.answer(request.operation, answer, &asking, created);
        let answer = answer.map_err(|_| broken())?;
        if let Ok(usage) = serde_json::from_value(answer["usage"].clone()) {
            observation.used(usage);
        }
        let answer = answer.to_string();
        observation.passes(answer.as_bytes());
        Ok(Answer::Whole(answer))
    }

    /// The head of an answer that is one. There is a second try if there is another key than the one that the provider
    /// does not know.
    async fn call(&self, service: Service<'_>, request: &Request, outgoing: &Outgoing) -> Result<Response, Error> {
        let model = &*request.model;
        let Some(source) = Source::of(service, &model.namespace) else {
            let response = self.attempt(service, outgoing, None, request).await?;
            return response.map_err(|failure| failed(failure, model));
        };
        let no_key = |reason| Error::ProviderCredentials {
            model: model.qualified(),
            reason,
        };
        let secret = self.key(&source, None).await.map_err(no_key)?;
        let mut outcome = self.attempt(service, outgoing, Some(&secret), request).await?;
        if let Err(Failure::Credentials { is_unknown: true }) = outcome {
            let other = self.key(&source, Some(&secret)).await.map_err(no_key)?;
            if other != secret {
                outcome = self.attempt(service, outgoing, Some(&other), request).await?;
            }
        }
        outcome.map_err(|failure| failed(failure, model))
    }

    /// A key, and another one than `refused` if there is that; or why there is none.
    async fn key(&self, source: &Source, refused: Option<&Secret>) -> Result<Secret, String> {
        match (source, refused) {
            (Source::Secret(name), None) => self.credentials.get(name).await.map_err(|why| explain(name, why)),
            (Source::Secret(name), Some(old)) => {
                let other = self.credentials.get_other_than(name, old).await;
                other.map_err(|why| explain(name, why))
            }
            (Source::Identity(identity), refused) => {
                let token = self.identities.get(identity, refused).await;
                token.map_err(|why| identity.explain(&why))
            }
        }
    }

    async fn attempt(
        &self,
        service: Service<'_>,
        outgoing: &Outgoing,
        secret: Option<&Secret>,
        request: &Request,
    ) -> Result<Result<Response, Failure>, Error> {
        let (model, trace) = (&*request.model, &request.trace);
        trace.attempt_at_provider(&outgoing.url);
        // The second try, with another key, comes within a moment: the first one may have all of the model's time.
        let patience = request.deadline.share(|| true);
        let response = self.calls.send(service, outgoing, secret, model, patience).await;
        let response = self.count(trace, response)?;
        let status = response.status();
        if status.is_success() {
            return Ok(Ok(response));
        }
        tracing::debug!(
            model = model.qualified(),
            code = status.as_u16(),
            "a provider refused a request"
        );
        let after = response.headers().get(header::RETRY_AFTER).cloned();
        let after = after.as_ref().and_then(|after| after.to_str().ok());
        // The status alone tells enough.
        let body = self.calls.body(response, model).await.unwrap_or_default();
        let secret = secret.map_or("", Secret::expose);
        Ok(Err(failure::read(service, status.as_u16(), after, &body, secret)))
    }

    fn count(&self, trace: &Trace, outcome: Result<Response, Error>) -> Result<Response, Error> {
        let label = match &outcome {
            Ok(response) => {
                trace.is_answered(response.status());
                "answered"
            }
            Err(error) => error.code(),
        };
        trace.attempted(label);
        self.attempts.with_label_values(&[label]).inc();
        outcome
    }
}

/// A provider's answer, in OpenAI's form.
enum Answer {
    Whole(String),
    Stream(Box<stream::Incoming>),
}

/// A hosted model has no versions and no adapters.
fn exists(request: &Request) -> Result<(), Error> {
    if let Some(asked) = &request.adapter {
        return Err(Error::ModelNotFound {
            model: asked.called.clone(),
        });
    }
    match &request.version {
        None => Ok(()),
        Some(version) => Err(Error::VersionNotFound {
            model: request.model.qualified(),
            version: version.clone(),
            current: None,
        }),
    }
}

fn refused(refusal: Refusal, service: Service<'_>, operation: Operation) -> Error {
    match refusal {
        Refusal::Operation => Error::ProviderLacksPath {
            service: service.name(),
            path: operation.path(),
        },
        Refusal::Fields(fields) => Error::ProviderLacks {
            service: service.name(),
            fields,
        },
        Refusal::Invalid { field, expected } => Error::InvalidValue { field, expected },
    }
}

fn failed(failure: Failure, model: &Model) -> Error {
    let model = model.qualified();
    match failure {
        Failure::Credentials { .. } => Error::ProviderRefusedKey { model },
        Failure::Limited(after) => Error::ProviderLimited {
            model,
            retry_after: after.and_then(|after| HeaderValue::from_str(&after).ok()),
        },
        Failure::Invalid(message) => Error::ProviderInvalid { message },
        Failure::UnknownModel(message) => Error::ProviderUnknownModel { model, message },
        Failure::Failed => Error::ProviderFailed { model },
    }
}

/// Why there is no key, and what to do about it.
pub fn explain(name: &KeyName, why: NoKey) -> String {
    let KeyName { namespace, secret, key } = name;
    match why {
        NoKey::Forbidden => format!(
            "the gateway may not read Secret \"{secret}\" in namespace \"{namespace}\": add \"{namespace}\" to the \
             chart's value gateway.providerSecrets.namespaces"
        ),
        NoKey::NoSecret => format!("Secret \"{secret}\" in namespace \"{namespace}\" does not exist: create it"),
        NoKey::NoEntry => format!("Secret \"{secret}\" in namespace \"{namespace}\" has no key \"{key}\": add it"),
        NoKey::Malformed => format!(
            "key \"{key}\" of Secret \"{secret}\" in namespace \"{namespace}\" is empty or holds something else: a key is printable \
             ASCII without blanks, certificates are PEM"
        ),
        NoKey::Unavailable => format!(
            "Secret \"{secret}\" in namespace \"{namespace}\" cannot be read: the Kubernetes API server does not \
             answer; try again"
        ),
    }
}
