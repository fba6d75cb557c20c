//! The gateway's HTTP surface. Handlers are thin: they put the parts together.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State, rejection::PathRejection},
    http::{HeaderValue, Response, StatusCode, header},
    middleware::{self, Next},
    response::IntoResponse,
    routing::{MethodRouter, get, post},
};
use serde_json::{Value, json};
use store::Database;
use telemetry::Tracing;

use crate::{
    adapter::Asked,
    audit::Recorder,
    auth::Authenticator,
    authz::Authorizer,
    body::{self, BodyLimits, BodyReader},
    catalog::{Catalog, Model, OutliersCollector},
    complete::complete,
    console,
    error::Error,
    feedback,
    guard::Webhooks,
    headers,
    hold::Holds,
    hosted::{Clients, Credentials, Guard, Hosts, SecretReader},
    identity::Identity,
    keys::Keys,
    limits::{
        Limiter,
        peers::{Peers, Token},
    },
    metrics::{Metrics, Operation},
    name::ModelName,
    oidc::Issuers,
    openapi,
    provider::Origins,
    proxy::Proxy,
    resolve::Resolver,
    review::Reviewer,
    rooms::{self, databases::Databases},
    shadows,
    trace::{RefusalCode, Trace},
    upstream::UpstreamTimeouts,
};

/// What can be set about the handling of requests.
#[derive(Clone)]
pub struct Settings {
    /// The audience that tokens must be issued for.
    pub audience: String,
    /// Whose tokens count beside Kubernetes' own.
    pub issuers: Issuers,
    /// Bounds on request bodies.
    pub bodies: BodyLimits,
    /// Bounds on workers.
    pub upstream: UpstreamTimeouts,
    /// How long a worker is waited for when the model claims to be ready.
    pub patience: Duration,
    /// Requests that may wait for the first worker of a model that sleeps.
    pub max_held: usize,
    /// The zone whose workers come first.
    pub zone: Option<String>,
    /// Where providers are.
    pub origins: Origins,
    /// Whether they may be on this machine, as in tests.
    pub providers_on_loopback: bool,
    /// Whether a request whose answer is late goes to a second worker as well.
    pub hedges: bool,
    /// Where money is counted.
    pub database: Option<Database>,
    /// What keeps the audit trail.
    pub audit: Recorder,
    /// Rooms, which are in `database`.
    pub rooms: rooms::Settings,
}

/// The gateway, less its sockets.
pub struct Gateway {
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) resolver: Resolver,
    pub(crate) bodies: BodyReader,
    pub(crate) limiter: Limiter,
    pub(crate) proxy: Proxy,
    pub(crate) hosts: Hosts,
    pub(crate) webhooks: Arc<Webhooks>,
    pub(crate) audit: Recorder,
    pub(crate) metrics: Metrics,
    pub(crate) catalog: Arc<Catalog>,
    /// Rooms.
    pub(crate) rooms: Arc<rooms::Service>,
    /// Copies of requests that candidates answer.
    pub(crate) shadows: Arc<shadows::Service>,
    /// How long answers may take to begin.
    pub(crate) first_byte: Duration,
    tracing: Tracing,
    draining: AtomicBool,
}

impl Gateway {
    /// Routes to what `catalog` knows for whom `reviewer` vouches. Callers may show `keys`; `secrets` reads the
    /// keys of providers, and `peers` count what callers use.
    ///
    /// # Errors
    /// When providers cannot be asked, for want of TLS.
    pub fn new(
        settings: Settings,
        catalog: Arc<Catalog>,
        reviewer: Arc<dyn Reviewer>,
        keys: Arc<Keys>,
        secrets: Arc<dyn SecretReader>,
        peers: Arc<Peers>,
        metrics: Metrics,
    ) -> anyhow::Result<Self> {
        let lookups = || metrics.cache_lookups.clone();
        let authorizer = Arc::new(Authorizer::new(reviewer.clone(), lookups()));
        let guard = Guard::new(catalog.clone(), settings.providers_on_loopback);
        let rooms = rooms::Service::new(
            authorizer.clone(),
            settings.database.clone(),
            Databases::new(secrets.clone(), guard.clone(), &metrics.cache_lookups),
            settings.rooms,
            &metrics.registry,
        );
        if let Some(collector) = settings.audit.collector() {
            metrics.registry.register(Box::new(collector))?;
        }
        let outliers = OutliersCollector::new(catalog.clone());
        metrics.registry.register(Box::new(outliers))?;
        // Whoever asks in the dark has connections of their own, and is seen by no metric of live requests.
        let unseen = Metrics::default();
        let shadow_clients = Clients::new(guard.clone(), secrets.clone(), unseen.cache_lookups.clone())?;
        let shadow_hosts = Hosts::new(
            settings.origins.clone(),
            Arc::new(shadow_clients),
            secrets.clone(),
            settings.upstream,
            &unseen,
        );
        let shadows = shadows::Service::new(
            authorizer.clone(),
            settings.database.as_ref(),
            settings.audit.keys().cloned(),
            catalog.clone(),
            shadow_hosts,
            settings.upstream,
            &metrics.registry,
        );
        let clients = Arc::new(Clients::new(guard, secrets.clone(), lookups())?);
        let credentials = Credentials::new(secrets.clone(), lookups());
        Ok(Self {
            webhooks: Arc::new(Webhooks::new(
                clients.clone(),
                credentials,
                metrics.webhook_verdicts.clone(),
            )),
            hosts: Hosts::new(settings.origins, clients, secrets, settings.upstream, &metrics),
            authenticator: Arc::new(Authenticator::new(
                reviewer,
                keys,
                settings.issuers,
                settings.audience,
                lookups(),
            )),
            resolver: Resolver::new(catalog.clone(), authorizer),
            bodies: BodyReader::new(settings.bodies),
            limiter: Limiter::new(peers, settings.database),
            first_byte: settings.upstream.first_byte,
            catalog: catalog.clone(),
            rooms: Arc::new(rooms),
            shadows: Arc::new(shadows),
            audit: settings.audit,
            proxy: Proxy::new(
                catalog,
                settings.upstream,
                settings.patience,
                Holds::new(settings.max_held),
                settings.zone,
                settings.hedges,
                &metrics,
            ),
            metrics,
            tracing: Tracing::default(),
            draining: AtomicBool::new(false),
        })
    }

    /// What other replicas ask, for the admin port.
    pub fn peer_routes(&self, token: Token) -> Router {
        self.limiter.routes(self.authenticator.clone(), token)
    }

    /// Traces requests by `tracing`.
    pub fn traced_by(self, tracing: Tracing) -> Self {
        Self { tracing, ..self }
    }

    /// What keeps the audit trail.
    pub fn audit(&self) -> &Recorder {
        &self.audit
    }

    /// Rooms.
    pub fn rooms(&self) -> &Arc<rooms::Service> {
        &self.rooms
    }

    /// Copies of requests that candidates answer.
    pub fn shadows(&self) -> &Arc<shadows::Service> {
        &self.shadows
    }

    /// What keeps to the limits of models.
    pub fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// From now on, every answer asks its client to connect anew, to another replica.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }
}

type Shared = State<Arc<Gateway>>;

/// What there is at which path; [`openapi`] describes it.
pub fn surface() -> Vec<(&'static str, MethodRouter<Arc<Gateway>>)> {
    let own = [
        (Operation::Chat.path(), post(chat)),
        (Operation::TextCompletion.path(), post(text_completion)),
        (Operation::Embeddings.path(), post(embeddings)),
        (Operation::Rerank.path(), post(rerank)),
        ("/v1/feedback", post(give_feedback)),
        ("/v1/models", get(list_models)),
        ("/v1/models/{*id}", get(get_model)),
        (openapi::PATH, get(openapi::serve)),
    ];
    own.into_iter()
        .chain(rooms::routes::surface())
        .chain(shadows::routes::surface())
        .chain(console::surface())
        .collect()
}

/// All routes.
pub fn router(gateway: Arc<Gateway>) -> Router {
    surface()
        .into_iter()
        .fold(Router::new(), |router, (path, route)| router.route(path, route))
        .fallback(|| async { Error::RouteNotFound })
        .method_not_allowed_fallback(|| async { Error::MethodNotAllowed })
        .layer(middleware::from_fn_with_state(gateway.clone(), track))
        .with_state(gateway)
}

/// The name of a route in metrics; unknown paths share one.
fn route_name(path: &str) -> &'static str {
    match path {
        "/v1/chat/completions" => "chat_completions",
        "/v1/completions" => "completions",
        "/v1/embeddings" => "embeddings",
        "/v1/rerank" => "rerank",
        "/v1/feedback" => "feedback",
        "/v1/models" => "models",
        path if path.starts_with("/v1/models/") => "model",
        openapi::PATH => "openapi",
        path if path.starts_with(protocol::rooms::PREFIX) => rooms::routes::name(path),
        path if path.starts_with(protocol::shadows::PREFIX) => shadows::routes::name(path),
        path if console::has(path) => "console",
        _ => "other",
    }
}

/// A path in spans; unknown ones are as anything as clients can make up.
pub fn route_template(path: &str) -> Option<&'static str> {
    match path {
        "/v1/chat/completions" => Some("/v1/chat/completions"),
        "/v1/completions" => Some("/v1/completions"),
        "/v1/embeddings" => Some("/v1/embeddings"),
        "/v1/rerank" => Some("/v1/rerank"),
        "/v1/models" => Some("/v1/models"),
        path if path.starts_with("/v1/models/") => Some("/v1/models/{id}"),
        path if path.starts_with(protocol::rooms::PREFIX) => rooms::routes::template(path),
        path if path.starts_with(protocol::shadows::PREFIX) => shadows::routes::template(path),
        _ => None,
    }
}

/// Gives each request its id and its trace, and counts and logs each answer.
async fn track(State(gateway): Shared, mut request: Request, next: Next) -> Response<Body> {
    let received = Instant::now();
    let id = headers::request_id(request.headers());
    request.headers_mut().insert(headers::REQUEST_ID, id.clone());
    let route = route_name(request.uri().path());
    let trace = Trace::begin(&gateway.tracing, &request);
    if gateway.tracing.is_on() {
        request.extensions_mut().insert(trace.clone());
    }
    let mut response = next.run(request).await;
    let status = response.status();
    trace.responds(status, response.extensions().get::<RefusalCode>());
    gateway
        .metrics
        .requests
        .with_label_values(&[route, status.as_str()])
        .inc();
    let milliseconds = received.elapsed().as_millis() as u64;
    let code = status.as_u16();
    match id.to_str().unwrap_or_default() {
        id if status.is_server_error() => tracing::warn!(id, route, code, milliseconds, "answered"),
        id => tracing::debug!(id, route, code, milliseconds, "answered"),
    }
    response.headers_mut().insert(headers::REQUEST_ID, id);
    if gateway.draining.load(Ordering::Relaxed) {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

async fn chat(State(gateway): Shared, request: Request) -> Result<Response<Body>, Error> {
    complete(gateway, Operation::Chat, request).await
}

async fn text_completion(State(gateway): Shared, request: Request) -> Result<Response<Body>, Error> {
    complete(gateway, Operation::TextCompletion, request).await
}

async fn embeddings(State(gateway): Shared, request: Request) -> Result<Response<Body>, Error> {
    complete(gateway, Operation::Embeddings, request).await
}

async fn rerank(State(gateway): Shared, request: Request) -> Result<Response<Body>, Error> {
    complete(gateway, Operation::Rerank, request).await
}

async fn give_feedback(State(gateway): Shared, request: Request) -> Result<Response<Body>, Error> {
    let (parts, body) = request.into_parts();
    let caller = match gateway.authenticator.authenticate(&parts.headers).await {
        Ok(caller) => caller,
        Err(error) => {
            body::forget(body);
            return Err(error);
        }
    };
    let body = gateway.bodies.read(&parts.headers, body).await?;
    let kept = feedback::give(gateway.audit.database(), &caller, &body.bytes).await?;
    Ok(answer(&kept))
}

async fn list_models(State(gateway): Shared, request: Request) -> Result<Response<Body>, Error> {
    let trace = Trace::of(request.extensions());
    let caller = trace
        .step("authenticate", gateway.authenticator.authenticate(request.headers()))
        .await?;
    let models = trace.step("authorize", gateway.resolver.list(&caller)).await?;
    let data: Vec<_> = models.iter().flat_map(|(id, model)| model_objects(id, model)).collect();
    Ok(answer(&json!({"object": "list", "data": data})))
}

async fn get_model(
    State(gateway): Shared,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response<Body>, Error> {
    let received = Instant::now();
    let trace = Trace::of(request.extensions());
    let caller = trace
        .step("authenticate", gateway.authenticator.authenticate(request.headers()))
        .await?;
    // Percent-encoded bytes that are no text name nothing.
    let Path(id) = id.map_err(|_| Error::RouteNotFound)?;
    let mut trail = gateway.audit.begin("get_model", request.headers(), &caller, received);
    trail.asks_for(&id);
    trail.end(model_answer(&gateway, &trace, &caller, id).await).await
}

async fn model_answer(
    gateway: &Gateway,
    trace: &Trace,
    caller: &Identity,
    id: String,
) -> Result<Response<Body>, Error> {
    let name = ModelName::parse(&id)?;
    let model = trace.step("authorize", gateway.resolver.resolve(caller, &name)).await?;
    match Asked::of(&name) {
        None => Ok(answer(&model_object(&id, &model))),
        Some(asked) if model.adapter(&asked.name).is_some_and(|it| it.is_available) => {
            Ok(answer(&adapter_object(&id, &name.unversioned(), &model)))
        }
        Some(asked) => Err(Error::ModelNotFound { model: asked.called }),
    }
}

/// A model and the adapters that can be asked for.
fn model_objects(id: &str, model: &Model) -> Vec<Value> {
    let adapters = model.adapters.iter().filter(|adapter| adapter.is_available);
    let adapters = adapters.map(|adapter| adapter_object(&format!("{id}:{}", adapter.name), id, model));
    [model_object(id, model)].into_iter().chain(adapters).collect()
}

/// The OpenAI model object of an adapter, with the model that it belongs to.
fn adapter_object(id: &str, parent: &str, model: &Model) -> Value {
    let mut object = model_object(id, model);
    object["parent"] = json!(parent);
    object
}

/// The OpenAI model object.
fn model_object(id: &str, model: &Model) -> Value {
    json!({"id": id, "object": "model", "created": model.created, "owned_by": model.namespace})
}

fn answer(value: &Value) -> Response<Body> {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (StatusCode::OK, json, value.to_string()).into_response()
}
