//! HTTPS for the API server and nobody else.

use std::{collections::HashMap, sync::Arc, time::Duration};

use api::names::{LABEL_MODEL, LABEL_VERSION};
use axum::{
    Extension, Json, Router,
    extract::{Path, Query, Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use jiff::Timestamp;
use rustls::{RootCertStore, ServerConfig, crypto::ring, server::WebPkiClientVerifier};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{
    Measure, Metric,
    answer::{refusal, values},
    certificate::Certificate,
    discovery,
    trust::Trust,
};

/// Connections open at once: the API servers of a cluster keep one or two each.
const CONNECTIONS: usize = 256;
/// Longest handshake, and longest wait for the head of a request.
const PATIENCE: Duration = Duration::from_secs(10);

/// How connections are secured.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    trust: Arc<Trust>,
}

impl Tls {
    /// Presents `certificate`, and asks clients for one that `trust` vouches for.
    ///
    /// # Errors
    /// When either cannot be used.
    pub fn new(certificate: &Certificate, trust: &Trust) -> Result<Self, String> {
        let explain = |error: &dyn std::error::Error| error.to_string();
        let mut authorities = RootCertStore::empty();
        for authority in &trust.authorities {
            authorities.add(authority.clone()).map_err(|error| explain(&error))?;
        }
        let provider = Arc::new(ring::default_provider());
        // Whoever comes without one hears why it is turned away.
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider.clone())
            .allow_unauthenticated()
            .build()
            .map_err(|error| explain(&error))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| explain(&error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.der()], certificate.key())
            .map_err(|error| explain(&error))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            trust: Arc::new(trust.clone()),
        })
    }
}

/// Whether a connection is the API server's.
#[derive(Clone, Copy)]
struct Peer {
    is_trusted: bool,
}

/// All routes.
pub fn router(measure: Arc<dyn Measure>) -> Router {
    let base = format!("/apis/{}", discovery::GROUP);
    Router::new()
        .route("/apis", get(async || Json(discovery::groups())))
        .route(&base, get(async || Json(discovery::group())))
        .route(&format!("{base}/v1beta1"), get(async || Json(discovery::resources())))
        .route(
            &format!("{base}/v1beta1/namespaces/{{namespace}}/{{metric}}"),
            get(value),
        )
        .fallback(async || refusal(StatusCode::NOT_FOUND, "there is nothing at this path"))
        .method_not_allowed_fallback(async || refusal(StatusCode::METHOD_NOT_ALLOWED, "metrics can only be read"))
        .layer(middleware::from_fn(authenticate))
        .with_state(measure)
}

async fn authenticate(Extension(peer): Extension<Peer>, request: Request, next: Next) -> Response {
    if peer.is_trusted {
        return next.run(request).await;
    }
    let message = "ask the API server: this is no place to ask without its client certificate";
    refusal(StatusCode::UNAUTHORIZED, message)
}

async fn value(
    State(measure): State<Arc<dyn Measure>>,
    Path((namespace, name)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let Some(metric) = Metric::named(&name) else {
        let known = Metric::ALL.map(Metric::name).join(", ");
        return refusal(
            StatusCode::NOT_FOUND,
            &format!("there is no metric {name}; there are {known}"),
        );
    };
    let selector = query.get("labelSelector").map_or("", String::as_str);
    let Some((model, version)) = selected(selector) else {
        let message = format!("labelSelector {selector:?} must be {LABEL_MODEL}=<model>,{LABEL_VERSION}=<version>");
        return refusal(StatusCode::BAD_REQUEST, &message);
    };
    match measure.measure(metric, &namespace, model, version).await {
        Ok(value) => Json(values(metric, value, Timestamp::now())).into_response(),
        // Never 0: an autoscaler that hears nothing does nothing.
        Err(missing) => refusal(StatusCode::SERVICE_UNAVAILABLE, &missing.to_string()),
    }
}

/// The model and the version that a label selector names.
fn selected(selector: &str) -> Option<(&str, &str)> {
    let (mut model, mut version) = (None, None);
    for requirement in selector.split(',') {
        let (key, value) = requirement.split_once('=')?;
        let place = match key.trim_end() {
            LABEL_MODEL => &mut model,
            LABEL_VERSION => &mut version,
            _ => return None,
        };
        // `==` is allowed as well.
        *place = Some(value.trim_start_matches('=').trim_start());
    }
    model
        .zip(version)
        .filter(|(model, version)| !model.is_empty() && !version.is_empty())
}

/// Serves `router` on `listener` for ever; nobody is served before `tls` is there.
pub async fn serve(listener: TcpListener, tls: watch::Receiver<Option<Tls>>, router: Router) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = room.clone().acquire_owned().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                let Some(tls) = tls.borrow().clone() else {
                    continue;
                };
                let serving = connection(stream, tls, router.clone());
                tokio::spawn(async move {
                    serving.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, tls: Tls, router: Router) {
    let acceptor = TlsAcceptor::from(tls.config);
    let stream = match timeout(PATIENCE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => return tracing::debug!("a TLS handshake took too long"),
    };
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let is_trusted = certificates.first().is_some_and(|leaf| tls.trust.is_trusted(leaf));
    let router = router.layer(Extension(Peer { is_trusted }));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE * 12);
    let serving = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = serving.await {
        tracing::debug!(error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("atelier.dev/model=m,atelier.dev/version=v-1", Some(("m", "v-1")))]
    #[case("atelier.dev/version==v-1,atelier.dev/model = m", Some(("m", "v-1")))]
    #[case("atelier.dev/model=m", None)]
    #[case("atelier.dev/model=m,atelier.dev/version=", None)]
    #[case("atelier.dev/model=m,atelier.dev/version=v-1,x=y", None)]
    #[case("atelier.dev/model in (m),atelier.dev/version=v-1", None)]
    #[case("atelier.dev/model!=m,atelier.dev/version=v-1", None)]
    #[case("", None)]
    fn a_selector_names_a_model_and_a_version(#[case] selector: &str, #[case] expected: Option<(&str, &str)>) {
        assert_eq!(selected(selector), expected);
    }
}
