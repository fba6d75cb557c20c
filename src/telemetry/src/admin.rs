//! The admin port: `/healthz`, `/readyz` and `/metrics`, apart from user traffic.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use prometheus::{Encoder, Registry, TextEncoder};
use tokio::net::TcpListener;

use crate::{Exemplars, openmetrics};

/// Whether the process may receive traffic. Starts as not ready; clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Sets what `/readyz` answers.
    pub fn set_ready(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }

    /// What `/readyz` answers.
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What `/metrics` shows.
#[derive(Clone, Debug)]
pub struct Exposed {
    /// The metrics.
    pub registry: Registry,
    /// Their exemplars, for scrapers that ask for OpenMetrics; without any, all get Prometheus' text format.
    pub exemplars: Option<Exemplars>,
}

impl From<Registry> for Exposed {
    fn from(registry: Registry) -> Self {
        Self {
            registry,
            exemplars: None,
        }
    }
}

#[derive(Clone)]
struct AdminState {
    exposed: Exposed,
    readiness: Readiness,
}

/// Serves the admin port on `addr` until `shutdown` completes.
///
/// `/healthz` answers 200 as long as the process runs its event loop, `/readyz` 200 or 503 by
/// `readiness`, `/metrics` the Prometheus text format of `registry`.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve(
    addr: SocketAddr,
    registry: Registry,
    readiness: Readiness,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let listener = TcpListener::bind(addr).await?;
    serve_on(listener, registry, readiness, shutdown).await
}

/// As [`serve`], on a listener that is already bound.
///
/// # Errors
/// When accepting fails for good.
pub async fn serve_on(
    listener: TcpListener,
    registry: Registry,
    readiness: Readiness,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    serve_with(listener, registry, readiness, Router::new(), shutdown).await
}

/// As [`serve_on`], with `more` routes beside the usual ones, and exemplars if there are any.
///
/// # Errors
/// When accepting fails for good.
pub async fn serve_with(
    listener: TcpListener,
    exposed: impl Into<Exposed>,
    readiness: Readiness,
    more: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, router(exposed.into(), readiness).merge(more))
        .with_graceful_shutdown(shutdown)
        .await
}

fn router(exposed: Exposed, readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(AdminState { exposed, readiness })
}

async fn readyz(State(state): State<AdminState>) -> impl IntoResponse {
    if state.readiness.is_ready() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

async fn metrics(State(state): State<AdminState>, headers: HeaderMap) -> impl IntoResponse {
    let Exposed { registry, exemplars } = state.exposed;
    let families = registry.gather();
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    if let (Some(exemplars), true) = (exemplars, accept.is_some_and(openmetrics::is_accepted)) {
        let text = openmetrics::encode(&families, &exemplars);
        let kind = [(header::CONTENT_TYPE, openmetrics::CONTENT_TYPE.to_owned())];
        return (StatusCode::OK, kind, text.into_bytes());
    }
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    match encoder.encode(&families, &mut text) {
        Ok(()) => (
            StatusCode::OK,
            [(header::CONTENT_TYPE, encoder.format_type().to_owned())],
            text,
        ),
        Err(error) => {
            tracing::error!(%error, "failed to encode metrics");
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                [(header::CONTENT_TYPE, "text/plain".to_owned())],
                Vec::new(),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::IntCounter;

    use super::*;

    #[tokio::test]
    async fn probes_and_metrics_answer() {
        let registry = Registry::new();
        let counter = IntCounter::new("atelier_test_total", "A counter.").unwrap();
        registry.register(Box::new(counter.clone())).unwrap();
        counter.inc();
        let readiness = Readiness::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = tokio::spawn(serve_on(listener, registry, readiness.clone(), async {
            let _ = stopped.await;
        }));

        assert_eq!(reqwest::get(format!("{base}/healthz")).await.unwrap().status(), 200);
        assert_eq!(reqwest::get(format!("{base}/readyz")).await.unwrap().status(), 503);
        readiness.set_ready(true);
        assert_eq!(reqwest::get(format!("{base}/readyz")).await.unwrap().status(), 200);
        let text = reqwest::get(format!("{base}/metrics"))
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        assert!(text.contains("atelier_test_total 1"), "{text}");

        stop.send(()).unwrap();
        server.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn scrapers_get_the_format_that_they_ask_for() {
        let registry = Registry::new();
        let counter = IntCounter::new("atelier_test_total", "A counter.").unwrap();
        registry.register(Box::new(counter)).unwrap();
        for (exemplars, accept, is_open) in [
            (
                Some(Exemplars::default()),
                "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
                true,
            ),
            (Some(Exemplars::default()), "text/plain", false),
            (None, "application/openmetrics-text", false),
        ] {
            let exposed = Exposed {
                registry: registry.clone(),
                exemplars,
            };
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/metrics", listener.local_addr().unwrap());
            let serving = serve_with(
                listener,
                exposed,
                Readiness::default(),
                Router::new(),
                std::future::pending(),
            );
            let serving = tokio::spawn(serving);
            let request = reqwest::Client::new().get(url).header("accept", accept);
            let response = request.send().await.unwrap();
            let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
            let text = response.text().await.unwrap();
            assert_eq!(kind == openmetrics::CONTENT_TYPE, is_open, "{kind}");
            assert_eq!(text.ends_with("# EOF\n"), is_open, "{text}");
            assert!(text.contains("atelier_test_total 0"), "{text}");
            serving.abort();
        }
    }
}
