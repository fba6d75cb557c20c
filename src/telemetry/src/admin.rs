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

use axum::{Router, extract::State, http::StatusCode, http::header, response::IntoResponse, routing::get};
use prometheus::{Encoder, Registry, TextEncoder};
use tokio::net::TcpListener;

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

#[derive(Clone)]
struct AdminState {
    registry: Registry,
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

/// As [`serve_on`], with `more` routes beside the usual ones.
///
/// # Errors
/// When accepting fails for good.
pub async fn serve_with(
    listener: TcpListener,
    registry: Registry,
    readiness: Readiness,
    more: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, router(registry, readiness).merge(more))
        .with_graceful_shutdown(shutdown)
        .await
}

fn router(registry: Registry, readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(AdminState { registry, readiness })
}

async fn readyz(State(state): State<AdminState>) -> impl IntoResponse {
    if state.readiness.is_ready() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

async fn metrics(State(state): State<AdminState>) -> impl IntoResponse {
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    match encoder.encode(&state.registry.gather(), &mut text) {
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
}
