//! Traces, sent to a collector by OTLP over HTTP.
//!
//! They are set up by OpenTelemetry's standard environment variables and nothing else; without an endpoint in them
//! nothing is recorded and nothing is sent. A collector that is slow, down or hangs costs spans, which are
//! counted, and nothing besides: they wait in a queue of bounded length that no request waits for.
//!
//! What was asked and answered never belongs on a span.

mod export;
mod settings;
mod span;
mod spans;
pub mod w3c;

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use axum::http::HeaderMap;
use opentelemetry::{
    Context,
    trace::{SpanBuilder, TraceContextExt as _, TracerProvider as _},
};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider},
};
use prometheus::Registry;
use tokio::{
    sync::{Mutex, oneshot},
    task::JoinHandle,
    time::timeout,
};

pub use opentelemetry::{Array, KeyValue, Value, trace::SpanKind as Kind};
pub use settings::{Invalid, Settings};
pub use span::Span;

use export::Exporter;
use spans::{Counts, Queue};

/// Longest wait for the collector to take the last spans of a process.
const FLUSH: Duration = Duration::from_secs(5);

/// Begins traces, or does nothing at all. Clones share one queue.
#[derive(Clone, Default)]
pub struct Tracing(Option<Arc<Running>>);

struct Running {
    tracer: SdkTracer,
    // Ends the tracer when it is dropped.
    _provider: SdkTracerProvider,
    exporting: Mutex<Option<Exporting>>,
}

struct Exporting {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl fmt::Debug for Tracing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Tracing").field(&self.is_on()).finish()
    }
}

impl Tracing {
    /// As the environment wants it. `component` is the name of the service unless the environment has another one.
    /// Spans are counted in `registry`. Settings that make no sense are logged, and nothing is traced then.
    ///
    /// Has to be called within a runtime.
    pub fn from_env(component: &'static str, registry: &Registry) -> Self {
        let settings = match Settings::from_env() {
            Ok(None) => return Self::default(),
            Ok(Some(settings)) => settings,
            Err(error) => {
                tracing::error!(%error, "failed to read the settings of traces: nothing is traced");
                return Self::default();
            }
        };
        match Self::start(settings, component, registry) {
            Ok(tracing) => tracing,
            Err(error) => {
                tracing::error!(%error, "failed to set up traces: nothing is traced");
                Self::default()
            }
        }
    }

    /// As `settings` say. See [`Self::from_env`].
    ///
    /// # Errors
    /// When the certificate is none, or spans are counted in `registry` already.
    pub fn start(settings: Settings, component: &'static str, registry: &Registry) -> Result<Self, SetUpError> {
        let counts = Counts::register(registry)?;
        let resource = resource(component);
        let (queue, spans) = Queue::new(settings.queue, counts.clone());
        let exporter = Exporter::new(settings, &resource, counts)?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_span_processor(queue)
            .build();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(exporter.run(spans, stopped));
        Ok(Self(Some(Arc::new(Running {
            tracer: provider.tracer(component),
            _provider: provider,
            exporting: Mutex::new(Some(Exporting { stop, task })),
        }))))
    }

    /// Whether anything is traced.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The first span of a request in this process. What `headers` say of the caller's span is its parent.
    pub fn begin(&self, name: impl Into<Cow<'static, str>>, kind: Kind, headers: &HeaderMap) -> Span {
        let Some(running) = &self.0 else {
            return Span::default();
        };
        let context = match w3c::extract(headers) {
            Some(parent) => Context::new().with_remote_span_context(parent),
            None => Context::new(),
        };
        let builder = SpanBuilder::from_name(name).with_kind(kind);
        Span::start(&running.tracer, builder, &context)
    }

    /// Sends what has been recorded so far, and records nothing more. Takes 5 seconds at most.
    pub async fn shutdown(&self) {
        let Some(running) = &self.0 else { return };
        let Some(Exporting { stop, mut task }) = running.exporting.lock().await.take() else {
            return;
        };
        let _ = stop.send(());
        if timeout(FLUSH, &mut task).await.is_err() {
            task.abort();
            tracing::warn!("the collector did not take the last spans in time");
        }
    }
}

/// Why nothing can be traced.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// Something else has the names of the metrics.
    #[error("failed to register the metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The file of OTEL_EXPORTER_OTLP_CERTIFICATE, or TLS itself.
    #[error("failed to set up the connection to the collector: {0}")]
    Client(#[from] reqwest::Error),
}

/// What the environment says of this process, and what it leaves out.
fn resource(component: &'static str) -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let given = Resource::builder().build();
    let name = given.get(&"service.name".into());
    let is_named = name.is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let mut builder = Resource::builder().with_attribute(version);
    // In a pod that is its name.
    if let (Ok(host), None) = (std::env::var("HOSTNAME"), given.get(&"service.instance.id".into())) {
        builder = builder.with_attribute(KeyValue::new("service.instance.id", host));
    }
    match is_named {
        true => builder.build(),
        false => builder.with_service_name(component).build(),
    }
}

#[cfg(test)]
mod tests;
