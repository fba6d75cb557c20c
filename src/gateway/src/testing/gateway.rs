//! The gateway on a loopback port, with the real server and routes.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use k8s_openapi::api::discovery::v1::EndpointSlice;
use reqwest::{RequestBuilder, Response};
use serde_json::json;
use store::Database;
use telemetry::Tracing;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use super::{ScriptedReviewer, ScriptedSecrets, VERSION, Worker, model};
use crate::{
    audit::Recorder,
    body::BodyLimits,
    catalog::Catalog,
    keys::Keys,
    limits::peers::Peers,
    metrics::Metrics,
    oidc::Issuers,
    provider::Origins,
    rooms,
    routes::{Gateway, Settings, router},
    server::{self, ServerSettings},
    tls::Tls,
    upstream::UpstreamTimeouts,
};

/// A running gateway: `jane`'s token is "good", and she may use everything in namespace `ns`.
pub struct TestGateway {
    pub address: SocketAddr,
    pub catalog: Arc<Catalog>,
    pub reviewer: Arc<ScriptedReviewer>,
    pub keys: Arc<Keys>,
    pub secrets: Arc<ScriptedSecrets>,
    pub metrics: Metrics,
    pub peers: Arc<Peers>,
    /// What it serves besides.
    pub gateway: Arc<Gateway>,
    pub client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

/// Timeouts of a gateway under test.
#[derive(Clone)]
pub struct Timing {
    pub upstream: UpstreamTimeouts,
    pub patience: Duration,
    pub max_held: usize,
    pub server: ServerSettings,
    /// Where OpenAI, Anthropic and Gemini are.
    pub provider: Option<SocketAddr>,
    /// Whose tokens count beside Kubernetes' own.
    pub issuers: Issuers,
    /// The other replicas.
    pub peers: Arc<Peers>,
    /// What it speaks with callers.
    pub tls: Option<Arc<Tls>>,
    /// Where traces go.
    pub tracing: Tracing,
    /// Whether late requests go to a second worker as well.
    pub hedges: bool,
    /// Where money is counted.
    pub database: Option<Database>,
    /// What keeps the audit trail.
    pub audit: Recorder,
    /// Rooms, which are in the database.
    pub rooms: rooms::Settings,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            upstream: UpstreamTimeouts::default(),
            patience: Duration::from_secs(30),
            max_held: 64,
            server: ServerSettings {
                drain_delay: Duration::ZERO,
                ..ServerSettings::default()
            },
            provider: None,
            issuers: Issuers::default(),
            peers: Arc::new(Peers::alone()),
            tls: None,
            tracing: Tracing::default(),
            hedges: false,
            database: None,
            audit: Recorder::default(),
            rooms: rooms::Settings::default(),
        }
    }
}

impl TestGateway {
    /// With the model `ns/m` and these workers.
    pub async fn with_workers(workers: &[&Worker]) -> Self {
        Self::start(workers, |_| {}).await
    }

    /// As [`Self::with_workers`], with other timing.
    pub async fn start(workers: &[&Worker], adjust: impl FnOnce(&mut Timing)) -> Self {
        let mut timing = Timing::default();
        adjust(&mut timing);
        let reviewer = ScriptedReviewer::default()
            .user("good", "jane")
            .allow("jane", "ns", "*")
            .user("gateways", "system:serviceaccount:atelier:atelier-gateway");
        let reviewer = Arc::new(reviewer.user("other", "joe"));
        let catalog = Arc::new(Catalog::default());
        let metrics = Metrics::default();
        let settings = Settings {
            audience: "atelier".into(),
            issuers: timing.issuers,
            bodies: BodyLimits {
                size: 1 << 20,
                ..BodyLimits::default()
            },
            upstream: timing.upstream,
            patience: timing.patience,
            max_held: timing.max_held,
            zone: None,
            providers_on_loopback: true,
            hedges: timing.hedges,
            database: timing.database,
            audit: timing.audit,
            rooms: timing.rooms,
            origins: timing.provider.map_or_else(Origins::default, origins),
        };
        let secrets = Arc::new(ScriptedSecrets::default());
        let keys = Arc::new(Keys::unread());
        let gateway = Gateway::new(
            settings,
            catalog.clone(),
            reviewer.clone(),
            keys.clone(),
            secrets.clone(),
            timing.peers.clone(),
            metrics.clone(),
        );
        let gateway = Arc::new(gateway.unwrap().traced_by(timing.tracing));
        let shared = gateway.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            server::serve(
                listener,
                router(gateway.clone()),
                timing.tls,
                timing.server,
                stopped,
                || gateway.drain(),
            )
            .await;
        });
        let this = Self {
            address,
            catalog,
            reviewer,
            keys,
            secrets,
            metrics,
            peers: timing.peers,
            gateway: shared,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            stop: Some(stop),
            serving: Some(serving),
        };
        this.catalog.apply_model(model("ns", "m"));
        this.set_workers("m", VERSION, &workers.iter().map(|w| w.address).collect::<Vec<_>>());
        this
    }

    /// Says which workers serve a version, as an EndpointSlice for each would.
    pub fn set_workers(&self, name: &str, version: &str, workers: &[SocketAddr]) {
        let slice = |i: usize| format!("{name}-{version}-{i}");
        for (i, worker) in workers.iter().enumerate() {
            let slice = endpoint_slice(&slice(i), name, version, *worker);
            self.catalog.apply_slice(&slice);
        }
        let gone = workers.len()..16;
        self.catalog
            .retain_slices(|(_, known)| !gone.clone().any(|i| slice(i) == *known));
    }

    pub fn request(&self, method: reqwest::Method, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.address);
        self.client.request(method, url).bearer_auth("good")
    }

    /// Posts a chat request.
    pub async fn chat(&self, body: &str) -> Response {
        let request = self.request(reqwest::Method::POST, "/v1/chat/completions");
        request.body(body.to_owned()).send().await.unwrap()
    }

    /// Sends the signal to stop; the task ends when the gateway has drained.
    pub fn stop(&mut self) -> JoinHandle<()> {
        self.stop.take().expect("stopped once").send(()).unwrap();
        self.serving.take().expect("stopped once")
    }
}

fn origins(provider: SocketAddr) -> Origins {
    let url = format!("http://{provider}");
    Origins {
        open_ai: url.clone(),
        anthropic: url.clone(),
        gemini: url.clone(),
        entra: url,
    }
}

fn endpoint_slice(slice: &str, model: &str, version: &str, worker: SocketAddr) -> EndpointSlice {
    serde_json::from_value(json!({
        "addressType": "IPv4",
        "metadata": {
            "name": slice,
            "namespace": "ns",
            "labels": {api::names::LABEL_MODEL: model, api::names::LABEL_VERSION: version},
        },
        "ports": [{"port": worker.port()}],
        "endpoints": [{"addresses": [worker.ip().to_string()]}],
    }))
    .unwrap()
}
