//! One request for an answer, from its credentials to the model that answers it.

use std::{sync::Arc, time::Instant};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, Response, StatusCode, request::Parts},
};

use bytes::Bytes;

use crate::{
    adapter::Asked,
    audit::{Recorder, Trail},
    body::{self, HeldBody},
    canary::Conversation,
    catalog::Model,
    deadline::{self, Deadline},
    error::Error,
    fallback,
    guard::{self, Guarded},
    head::Head,
    headers, hosted,
    identity::Identity,
    keep_alive,
    limits::Demand,
    metrics::Operation,
    name::ModelName,
    proxy,
    routes::Gateway,
    shadows,
    trace::Trace,
};

/// A request whose caller is known and whose body is read.
struct Question {
    operation: Operation,
    caller: Arc<Identity>,
    parts: Parts,
    body: HeldBody,
    head: Head,
    name: ModelName,
    received: Instant,
    trace: Trace,
    /// Whether candidates may get copies of it.
    is_copied: bool,
}

/// Answers `request`, by the model that it names or by one that this model's spec names instead.
///
/// # Errors
/// When the caller may not ask, the request makes no sense, or nothing answers it.
pub async fn complete(gateway: Arc<Gateway>, operation: Operation, request: Request) -> Result<Response<Body>, Error> {
    let received = Instant::now();
    let (parts, body) = request.into_parts();
    let trace = Trace::of(&parts.extensions);
    let authentication = gateway.authenticator.authenticate(&parts.headers);
    let caller = match trace.step("authenticate", authentication).await {
        Ok(caller) => caller,
        Err(error) => {
            body::forget(body);
            return Err(error);
        }
    };
    // Refusals up to the model's name are written down here, all that comes later where it happens.
    let mut trail = gateway.audit.begin(operation.name(), &parts.headers, &caller, received);
    let read = async {
        let body = gateway.bodies.read(&parts.headers, body).await?;
        let head = Head::parse(&body.bytes)?;
        trail.asks_for(&head.model);
        let name = ModelName::parse(&head.model)?;
        let model = trace
            .step("authorize", gateway.resolver.resolve(&caller, &name))
            .await?;
        Ok((body, head, name, model))
    };
    let (body, head, name, model) = match read.await {
        Ok(read) => read,
        Err(error) => return trail.end(Err(error)).await,
    };
    let waits = head.stream && model.hold.is_some();
    let question = Question {
        operation,
        caller,
        parts,
        body,
        head,
        name,
        received,
        trace,
        is_copied: true,
    };
    let answer = question.written_down(gateway, model);
    match waits {
        true => keep_alive::during(answer).await,
        false => answer.await,
    }
}

/// What the gateway itself asks of a model, on behalf of somebody who may make it do so.
pub(crate) struct Inner {
    /// What for.
    pub operation: Operation,
    /// For whom: their limits count.
    pub caller: Arc<Identity>,
    /// Its id, and nothing that a client says of itself.
    pub headers: HeaderMap,
    /// The body, which names the model.
    pub body: Bytes,
    /// When it began.
    pub received: Instant,
    /// What it is a part of.
    pub trace: Trace,
}

/// Asks `model` as [`complete`] does, once somebody else has decided that it may be asked. The audit trail is told by
/// whoever asks.
///
/// # Errors
/// When nothing answers it.
pub(crate) async fn ask_model(gateway: &Gateway, model: &Arc<Model>, inner: Inner) -> Result<Response<Body>, Error> {
    let head = Head::parse(&inner.body)?;
    let name = ModelName::parse(&head.model)?;
    let mut request = Request::new(Body::empty());
    *request.headers_mut() = inner.headers;
    let question = Question {
        operation: inner.operation,
        caller: inner.caller,
        parts: request.into_parts().0,
        body: HeldBody::of(inner.body),
        head,
        name,
        received: inner.received,
        trace: inner.trace,
        // Documents of a Room go nowhere that its spec does not name.
        is_copied: false,
    };
    let nobody = Recorder::default();
    let headers = &question.parts.headers;
    let mut trail = nobody.begin(question.operation.name(), headers, &question.caller, question.received);
    question.answered(gateway, model, &mut trail).await
}

/// Whether a model could not answer for now.
fn is_outage(outcome: &Result<Response<Body>, Error>) -> bool {
    match outcome {
        Ok(response) => response.status() == StatusCode::TOO_MANY_REQUESTS || response.status().is_server_error(),
        Err(error) => error.is_outage(),
    }
}

/// Says which model answered in place of the one that was asked.
fn signed(mut answer: Response<Body>, model: &Model) -> Response<Body> {
    if let Ok(name) = HeaderValue::from_str(&model.qualified()) {
        answer.headers_mut().insert(headers::ANSWERED_BY, name);
    }
    answer
}

impl Question {
    /// The answer, of which the audit trail is told before anything is asked of a model.
    async fn written_down(self, gateway: Arc<Gateway>, model: Arc<Model>) -> Result<Response<Body>, Error> {
        let headers = &self.parts.headers;
        let mut trail = gateway
            .audit
            .begin(self.operation.name(), headers, &self.caller, self.received);
        trail.asks_for(&self.head.model);
        let outcome = self.answered(&gateway, &model, &mut trail).await;
        trail.end(outcome).await
    }

    /// The answer of the model that was asked for or, while that one cannot, of another.
    async fn answered(
        &self,
        gateway: &Gateway,
        model: &Arc<Model>,
        trail: &mut Trail<'_>,
    ) -> Result<Response<Body>, Error> {
        let deadline = self.deadline(gateway, model);
        let takes_another = self.takes_another(model);
        let outcome = self
            .ask(gateway, model, None, deadline.before(takes_another), trail)
            .await;
        if !takes_another || !is_outage(&outcome) || deadline.is_over() {
            return outcome;
        }
        let chain = fallback::chain(gateway, &self.caller, model, self.operation.task()).await;
        for (i, other) in chain.iter().enumerate() {
            if deadline.is_over() {
                break;
            }
            let deadline = deadline.before(i + 1 < chain.len());
            let answer = self.ask(gateway, other, Some(model), deadline, trail).await;
            let has_failed = is_outage(&answer) || answer.as_ref().is_err_and(Error::is_limit);
            gateway.metrics.fell_back(model, other, !has_failed);
            if !has_failed {
                tracing::info!(
                    model = model.qualified(),
                    other = other.qualified(),
                    "another model answers"
                );
                return answer.map(|answer| signed(answer, other));
            }
        }
        // What is wrong with the model that was asked for tells most.
        outcome
    }

    /// Until when the answer must begin, by whatever model. A model that sleeps has the time to wake up besides.
    fn deadline(&self, gateway: &Gateway, model: &Model) -> Deadline {
        let longest = gateway.first_byte + model.hold.unwrap_or_default();
        let is_whole = self.generates() && !self.head.stream;
        Deadline::of(&self.parts.headers, self.received.into(), longest, is_whole)
    }

    fn generates(&self) -> bool {
        matches!(self.operation, Operation::Chat | Operation::TextCompletion)
    }

    /// Whether another model may answer: it has neither this one's versions nor its adapters.
    fn takes_another(&self, model: &Model) -> bool {
        !model.fallback.is_empty() && self.name.version.is_none() && self.name.adapter.is_none()
    }

    /// The answer of `model`, which may stand in for the one that was `asked`: the guardrails of both hold.
    async fn ask(
        &self,
        gateway: &Gateway,
        model: &Arc<Model>,
        asked: Option<&Arc<Model>>,
        deadline: Deadline,
        trail: &mut Trail<'_>,
    ) -> Result<Response<Body>, Error> {
        if let Some(task) = model.task.filter(|task| *task != self.operation.task()) {
            return Err(Error::WrongTask {
                model: self.name.unversioned(),
                task,
            });
        }
        let generates = self.generates();
        let max_tokens = model.limits.max_tokens.filter(|_| generates);
        let answer = match (self.head.max_tokens, max_tokens) {
            _ if !generates => Some(0),
            (Some(asked), Some(limit)) => Some(asked.min(limit.into())),
            (asked, limit) => asked.or(limit.map(u64::from)),
        };
        let demand = Demand::of(self.body.bytes.len(), answer);
        let admission = gateway.limiter.admit(&self.caller, model, demand).await?;
        let mut limits = HeaderMap::new();
        if let Some(admission) = &admission {
            admission.tell(&mut limits);
        }
        let mut text = Text {
            body: self.body.clone(),
            head: self.head.clone(),
        };
        let mut guards = Vec::new();
        let id = self.parts.headers[headers::REQUEST_ID].to_str().unwrap_or_default();
        for guarding in asked.into_iter().chain([model]) {
            let guarded = Guarded::begin(gateway, guarding, self.operation, &text.body.bytes, id).await?;
            guards.extend(guarded);
            if let Some(other) = guards.last_mut().and_then(Guarded::take_body) {
                text.head = Head::parse(&other)?;
                text.body.bytes = other;
            }
        }
        let entry = trail.open(model, &self.name, &self.head, &text.body.bytes).await?;
        let user = self.caller.pseudonym();
        self.trace.asks(self.operation, model, self.head.stream, &user);
        let observation = gateway.metrics.observe(self.operation, model, self.received);
        let observation = observation.asked_by(&self.caller, &user).traced(&self.trace);
        let mut observation = observation.admitted(admission).audited(entry);
        for guarded in &mut guards {
            guarded.may_end(&mut observation);
        }
        let mut answer = match model.hosted {
            Some(_) => {
                let request = self.for_provider(model.clone(), text, max_tokens, deadline);
                let tap = self.mirror(gateway, model, &request.body);
                shadows::listen(tap, gateway.hosts.forward(request, observation)).await?
            }
            None => {
                let request = self.for_worker(model.clone(), text, max_tokens, &user, deadline);
                let tap = self.mirror(gateway, model, &request.body);
                shadows::listen(tap, gateway.proxy.forward(request, observation)).await?
            }
        };
        for guarded in guards.into_iter().rev() {
            answer = guard::pass(Some(guarded), Ok(answer)).await?;
        }
        answer.headers_mut().extend(limits);
        deadline::tell(&self.parts.headers, answer.headers_mut());
        Ok(answer)
    }

    /// Hands copies of the request over to candidates, if it is chosen for any: what hears the live answer.
    fn mirror(&self, gateway: &Gateway, model: &Arc<Model>, body: &HeldBody) -> Option<shadows::Tap> {
        let live = shadows::Live {
            model,
            name: &self.name,
            operation: self.operation,
            caller: &self.caller,
            headers: &self.parts.headers,
            body: &body.bytes,
        };
        self.is_copied.then(|| gateway.shadows.mirror(&live))?
    }

    fn for_provider(
        &self,
        model: Arc<Model>,
        text: Text,
        max_tokens: Option<u32>,
        deadline: Deadline,
    ) -> hosted::Request {
        // OpenAI's newer models do not take the older name; elsewhere it is translated.
        let field = match self.operation {
            Operation::Chat => "max_completion_tokens",
            _ => "max_tokens",
        };
        hosted::Request {
            operation: self.operation,
            called: self.head.model.clone(),
            adapter: Asked::of(&self.name),
            version: self.name.version.clone(),
            stream: self.head.stream,
            body: text.rewritten(&self.head.model, max_tokens, field),
            received: self.received,
            deadline,
            trace: self.trace.clone(),
            model,
        }
    }

    fn for_worker(
        &self,
        model: Arc<Model>,
        text: Text,
        max_tokens: Option<u32>,
        user: &str,
        deadline: Deadline,
    ) -> proxy::Request {
        let headers = &self.parts.headers;
        // Workers know their model by its bare name.
        let body = text.rewritten(&self.name.at_worker(&model.name), max_tokens, "max_tokens");
        proxy::Request {
            operation: self.operation,
            headers: headers::to_worker(headers, &headers[headers::REQUEST_ID], user),
            conversation: match self.operation {
                Operation::Chat => Conversation::of(user, &body.bytes),
                _ => Conversation::alone(),
            },
            body,
            adapter: Asked::of(&self.name),
            version: self.name.version.clone(),
            received: self.received,
            deadline,
            begins_soon: self.head.stream || !self.generates(),
            trace: self.trace.clone(),
            model,
        }
    }
}

/// What a model gets to see.
struct Text {
    body: HeldBody,
    head: Head,
}

impl Text {
    /// The body for a model that is called `name` where it is asked.
    fn rewritten(self, name: &str, max_tokens: Option<u32>, field: &str) -> HeldBody {
        let Self { mut body, head } = self;
        body.bytes = head.rewrite(body.bytes, name, max_tokens, field);
        body
    }
}
