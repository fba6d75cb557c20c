//! A collector for tests: real OTLP over HTTP on a loopback port.

pub mod waterfall;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value},
    trace::v1::{Span, span::SpanKind, status::StatusCode as Code},
};
use prost::Message as _;
use tokio::{net::TcpListener, sync::watch, task::AbortHandle, time::timeout};

use crate::trace::Settings;

/// Longest wait for spans, which only a fault reaches.
const PATIENCE: Duration = Duration::from_secs(60);

/// A span as the collector got it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Name of the process that it is of.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: SpanKind,
    /// Its trace, in hex.
    pub trace: String,
    /// Its id, in hex.
    pub id: String,
    /// Its parent, in hex; empty if there is none.
    pub parent: String,
    /// Its attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// Whether it failed.
    pub is_error: bool,
    /// When it began and ended, in nanoseconds since 1970.
    pub time: (u64, u64),
}

impl Seen {
    /// An attribute, as text; empty if it has none of that name.
    pub fn get(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }
}

/// What came of the bodies of requests.
type Received = Arc<watch::Sender<Vec<Bytes>>>;

/// A collector that listens.
pub struct Collector {
    address: SocketAddr,
    received: Received,
    status: Arc<Mutex<StatusCode>>,
    serving: AbortHandle,
}

impl Collector {
    /// Takes whatever comes, from this machine alone.
    pub async fn start() -> std::io::Result<Self> {
        Self::start_at("127.0.0.1").await
    }

    /// As [`Self::start`], at an address of this machine that others reach.
    pub async fn start_at(host: &str) -> std::io::Result<Self> {
        let received = Received::default();
        let status = Arc::new(Mutex::new(StatusCode::OK));
        let router = Router::new()
            .route("/v1/traces", post(take))
            .with_state((received.clone(), status.clone()));
        let listener = TcpListener::bind((host, 0)).await?;
        let address = listener.local_addr()?;
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self {
            address,
            received,
            status,
            serving: serving.abort_handle(),
        })
    }

    /// The value of `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Settings to send spans here, at once.
    pub fn settings(&self) -> Settings {
        let endpoint = format!("{}/v1/traces", self.endpoint());
        let mut settings = Settings::to(endpoint.parse().expect("a URL"));
        settings.delay = Duration::from_millis(5);
        settings
    }

    /// From now on requests are answered so.
    pub fn answer(&self, status: StatusCode) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    /// The bodies that were taken.
    pub fn bodies(&self) -> Vec<Bytes> {
        self.received.borrow().clone()
    }

    /// The spans that were taken.
    pub fn spans(&self) -> Vec<Seen> {
        self.received.borrow().iter().flat_map(|body| seen(body)).collect()
    }

    /// Waits until `enough` spans are there, and returns all.
    ///
    /// # Panics
    /// When they do not come.
    pub async fn wait(&self, enough: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let mut changes = self.received.subscribe();
        let all = |bodies: &Vec<Bytes>| bodies.iter().flat_map(|body| seen(body)).collect::<Vec<_>>();
        let waiting = timeout(PATIENCE, changes.wait_for(|bodies| enough(&all(bodies))));
        match waiting.await {
            Ok(Ok(bodies)) => all(&bodies),
            _ => panic!("the spans do not come: {:#?}", self.spans()),
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn take(
    State((received, status)): State<(Received, Arc<Mutex<StatusCode>>)>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let status = *status.lock().unwrap_or_else(PoisonError::into_inner);
    let is_otlp = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|it| it == "application/x-protobuf");
    if !is_otlp || ExportTraceServiceRequest::decode(&*body).is_err() {
        return StatusCode::BAD_REQUEST;
    }
    if status.is_success() {
        received.send_modify(|bodies| bodies.push(body));
    }
    status
}

fn seen(body: &[u8]) -> Vec<Seen> {
    let request = ExportTraceServiceRequest::decode(body).unwrap_or_default();
    let resources = request.resource_spans.into_iter();
    let spans = resources.flat_map(|of| {
        let resource = attributes(&of.resource.unwrap_or_default().attributes);
        let service = resource.get("service.name").cloned().unwrap_or_default();
        let spans = of.scope_spans.into_iter().flat_map(|scope| scope.spans);
        spans.map(move |span| one(&service, span))
    });
    spans.collect()
}

fn one(service: &str, span: Span) -> Seen {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Seen {
        service: service.into(),
        kind: span.kind(),
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        attributes: attributes(&span.attributes),
        is_error: span.status.is_some_and(|status| status.code() == Code::Error),
        time: (span.start_time_unix_nano, span.end_time_unix_nano),
        name: span.name,
    }
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    let pairs = pairs.iter().map(|pair| (pair.key.clone(), text(pair.value.as_ref())));
    pairs.collect()
}

fn text(value: Option<&AnyValue>) -> String {
    use any_value::Value as V;
    match value.and_then(|value| value.value.as_ref()) {
        Some(V::StringValue(text)) => text.clone(),
        Some(V::IntValue(number)) => number.to_string(),
        Some(V::DoubleValue(number)) => number.to_string(),
        Some(V::BoolValue(is)) => is.to_string(),
        Some(V::ArrayValue(list)) => {
            let items: Vec<_> = list.values.iter().map(|item| text(Some(item))).collect();
            items.join(",")
        }
        other => format!("{other:?}"),
    }
}
