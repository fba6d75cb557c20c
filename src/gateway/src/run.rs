//! The process: wires the parts to a cluster and to sockets.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use axum::{Json, Router, routing::get};
use kube::Client;
use telemetry::{Exposed, Readiness, Tracing};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::{
    catalog::{
        Catalog,
        watch::{self as watches, READ_TIMEOUT, Synced},
    },
    config::{Args, PeersService},
    grpc,
    hosted::KubeSecrets,
    keys::{self, Keys},
    limits,
    metrics::Metrics,
    review::KubeReviewer,
    rooms,
    routes::{Gateway, router},
    server::{self, Protocol},
    shadows,
};

/// Runs the gateway until it is told to stop and has drained.
///
/// # Errors
/// When the cluster is not configured, or an address cannot be bound.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    tokio::spawn({
        let stop = stop.clone();
        async move {
            telemetry::shutdown_signal().await;
            stop.cancel();
        }
    });

    let client = client().await?;
    let metrics = Metrics::default();
    let tracing = Tracing::from_env("atelier-gateway", &metrics.registry);
    let readiness = Readiness::default();
    let catalog = Arc::new(Catalog::default());
    let (peers, token) = args.peers()?;
    let peers = Arc::new(peers);
    let gateway = Gateway::new(
        args.settings()?,
        catalog.clone(),
        Arc::new(KubeReviewer::new(client.clone(), args.audience.clone())),
        read_keys(&client, args.api_keys_namespace.clone()),
        Arc::new(KubeSecrets(client.clone())),
        peers.clone(),
        metrics.clone(),
    )?;
    let gateway = Arc::new(gateway.traced_by(tracing.clone()));

    tokio::spawn(gateway.limiter().keep_counting());

    let admin = listen(args.admin_listen).await?;
    let ended = CancellationToken::new();
    let asked = token.map(|token| gateway.peer_routes(token)).unwrap_or_default();
    let probes = telemetry::admin::serve_with(
        admin,
        Exposed {
            registry: metrics.registry.clone(),
            exemplars: Some(metrics.exemplars.clone()),
        },
        readiness.clone(),
        traffic(catalog.clone()).merge(asked),
        ended.clone().cancelled_owned(),
    );
    let probes = tokio::spawn(probes);

    let synced = watch_cluster(&client, &catalog, &metrics);
    watch_rooms(&client, &gateway);
    watch_shadows(&client, &gateway, args.lease_namespace.clone());
    if let Some(PeersService { namespace, name }) = args.peers_service.clone() {
        tokio::spawn(limits::watch::watch(
            client,
            namespace,
            name,
            peers,
            metrics.replicas.clone(),
        ));
    }
    let tls = args.tls()?.map(Arc::new);
    if let Some(tls) = tls.clone() {
        tokio::spawn(async move { tls.follow().await });
    }
    if wait_for_sync(synced, &stop).await {
        // Not before: a gateway that does not know the models would deny that they exist.
        let (listener, grpc_listener) = (listen(args.listen).await?, listen(args.grpc_listen).await?);
        let grpc = grpc::router(gateway.clone()).await?;
        readiness.set_ready(true);
        let draining = || {
            readiness.set_ready(false);
            gateway.drain();
        };
        let settings = |protocol| args.server_settings(protocol);
        let (router, http1, http2) = (
            router(gateway.clone()),
            settings(Protocol::Http1),
            settings(Protocol::Http2),
        );
        tokio::join!(
            server::serve(listener, router, tls.clone(), http1, stop.cancelled(), draining),
            server::serve(grpc_listener, grpc, tls, http2, stop.cancelled(), || {}),
        );
        gateway.audit().drain().await;
        gateway.limiter().drain().await;
        gateway.shadows().drain().await;
    }
    tracing.shutdown().await;
    ended.cancel();
    probes
        .await
        .context("the admin port failed")?
        .context("the admin port failed")
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("failed to listen on {address}"))
}

/// What the operator asks gateways.
fn traffic(catalog: Arc<Catalog>) -> Router {
    let held = {
        let catalog = catalog.clone();
        async move || Json(catalog.held())
    };
    let traffic = async move || Json(catalog.traffic());
    Router::new()
        .route(protocol::traffic::PATH, get(traffic))
        .route(protocol::traffic::HELD_PATH, get(held))
}

/// A client that fails fast: retries and timeouts are ours to decide.
async fn client() -> anyhow::Result<Client> {
    let mut config = kube::Config::infer()
        .await
        .context("failed to find a cluster: neither a kubeconfig nor a ServiceAccount is there")?;
    config.default_retry = false;
    config.read_timeout = Some(READ_TIMEOUT);
    Client::try_from(config).context("failed to build a Kubernetes client")
}

fn watch_cluster(client: &Client, catalog: &Arc<Catalog>, metrics: &Metrics) -> watch::Receiver<Synced> {
    let (sender, synced) = watch::channel(Synced::default());
    let metrics = metrics.clone();
    tokio::spawn(watches::models(
        client.clone(),
        catalog.clone(),
        sender.clone(),
        move |gone| {
            metrics.forget(gone);
        },
    ));
    tokio::spawn(watches::endpoints(client.clone(), catalog.clone(), sender));
    synced
}

/// Rooms, and whatever decides who may enter them. Nobody waits for that: until they are known, nobody enters.
fn watch_rooms(client: &Client, gateway: &Gateway) {
    let rooms = gateway.rooms();
    if rooms.database().is_err() {
        return;
    }
    let authorizer = rooms.authorizer();
    tokio::spawn(rooms::watch::rooms(
        client.clone(),
        rooms.catalog.clone(),
        authorizer.clone(),
    ));
    tokio::spawn(rooms::watch::rbac(client.clone(), authorizer.clone()));
    tokio::spawn(rooms.clone().keep(client.clone()));
}

/// ShadowDeployments, and whether an operator is there. Nobody waits for that: until they are known, nothing is mirrored.
fn watch_shadows(client: &Client, gateway: &Gateway, namespace: Option<String>) {
    let shadows = gateway.shadows();
    if shadows.database().is_err() {
        return;
    }
    let namespace = namespace.unwrap_or_else(|| client.default_namespace().to_owned());
    tokio::spawn(shadows::watch::shadows(client.clone(), shadows.clone()));
    tokio::spawn(shadows::watch::lease(client.clone(), namespace, shadows.clone()));
    tokio::spawn(shadows.clone().keep(client.clone()));
}

/// The API keys of a namespace, if there is one for them.
fn read_keys(client: &Client, namespace: Option<String>) -> Arc<Keys> {
    let Some(namespace) = namespace else {
        return Arc::default();
    };
    let keys = Arc::new(Keys::unread());
    tokio::spawn(keys::poll::poll(client.clone(), namespace, keys.clone()));
    keys
}

/// Waits until the catalog is complete; `false` when the process shall stop before.
async fn wait_for_sync(mut synced: watch::Receiver<Synced>, stop: &CancellationToken) -> bool {
    tokio::select! {
        complete = synced.wait_for(|synced| synced.all()) => complete.is_ok(),
        () = stop.cancelled() => false,
    }
}
