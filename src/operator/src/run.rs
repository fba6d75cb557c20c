//! The process: wires the parts to a cluster and to sockets.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use api::names;
use kube::Client;
use telemetry::Readiness;
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    cli::Args,
    cluster::Cluster,
    controllers::{finetunejob, llmmodel, room, shadowdeployment},
    events::Events,
    gateway_call::GatewayCalls,
    gateways::Gateways,
    lease::{Elector, Leadership},
    metrics::Metrics,
    metrics_api,
    room_contents::RoomContents,
    shadow_pairs::ShadowPairs,
    watches::WATCH_SECONDS,
};

/// Time for reconciliations under way when the process is told to stop.
const DRAIN: Duration = Duration::from_secs(10);
/// Longest silence on a connection, a little more than between two answers of the quietest watch. It
/// ends lists and watches that never begin, for which kube has no limit.
const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 30);

/// Runs the operator until it is told to stop.
///
/// # Errors
/// When the cluster is not configured, or the admin address cannot be bound.
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
    let readiness = Readiness::default();
    let ended = CancellationToken::new();
    let admin = TcpListener::bind(args.admin_listen)
        .await
        .with_context(|| format!("failed to listen on {}", args.admin_listen))?;
    let probes = tokio::spawn(telemetry::admin::serve_on(
        admin,
        metrics.registry.clone(),
        readiness.clone(),
        ended.clone().cancelled_owned(),
    ));

    // A standby is ready too: it has to be there before the leader leaves.
    let ready = move || readiness.set_ready(true);
    let (elector, leadership) = Elector::new(
        client.clone(),
        &args.lease_namespace,
        names::LEASE,
        args.pod_name.clone(),
        metrics.clone(),
        ready,
    );
    let instance = elector.identity().to_owned();
    let release = CancellationToken::new();
    let elector = tokio::spawn(elector.run(release.clone()));

    let cluster = Cluster::new(client, leadership.clone(), metrics.clone());
    let gateways = Arc::new(Gateways::new(cluster.clone(), args.gateway_namespace.clone()));
    // By every replica, whoever leads.
    if let Some(listen) = args.metrics_api_listen {
        let settings = metrics_api::Settings {
            listen,
            namespace: args.lease_namespace.clone(),
        };
        let (cluster, gateways, metrics) = (cluster.clone(), gateways.clone(), metrics.clone());
        let stop = ended.clone().cancelled_owned();
        tokio::spawn(metrics_api::run(settings, cluster, gateways, metrics, stop));
    }
    let trainings = finetunejob::Controller::new(
        cluster.clone(),
        Events::new(cluster.clone(), instance.clone()),
        metrics.clone(),
        args.settings(),
        args.concurrency,
    );
    let calls = GatewayCalls::new(args.way());
    let rooms = room::Controller::new(
        cluster.clone(),
        Events::new(cluster.clone(), instance.clone()),
        RoomContents::new(calls.clone()),
        metrics.clone(),
        args.room_settings(),
        args.concurrency,
    );
    let shadows = shadowdeployment::Controller::new(
        cluster.clone(),
        Events::new(cluster.clone(), instance.clone()),
        ShadowPairs::new(calls),
        metrics.clone(),
        args.shadow_settings(),
        args.concurrency,
    );
    let events = Events::new(cluster.clone(), instance);
    let models = llmmodel::Controller::new(
        cluster,
        events,
        gateways,
        metrics.clone(),
        args.settings(),
        args.concurrency,
    );
    lead(leadership, (&models, &trainings, &rooms, &shadows), &metrics, &stop).await;

    release.cancel();
    elector.await.context("the elector failed")?;
    ended.cancel();
    probes
        .await
        .context("the admin port failed")?
        .context("the admin port failed")
}

/// Runs the controllers whenever this process leads, until `stop`.
async fn lead(
    mut leadership: Leadership,
    (models, trainings, rooms, shadows): (
        &llmmodel::Controller,
        &finetunejob::Controller,
        &room::Controller,
        &shadowdeployment::Controller,
    ),
    metrics: &Metrics,
    stop: &CancellationToken,
) {
    while !stop.is_cancelled() {
        tokio::select! {
            acquired = leadership.acquired() => if !acquired { return },
            () = stop.cancelled() => return,
        }
        // What waited when leadership was lost waits no more.
        metrics.queue.set(0);
        let work = async {
            tokio::join!(
                models.run(stop.clone().cancelled_owned()),
                trainings.run(stop.clone().cancelled_owned()),
                rooms.run(stop.clone().cancelled_owned()),
                shadows.run(stop.clone().cancelled_owned()),
            )
        };
        let drained = async {
            stop.cancelled().await;
            tokio::time::sleep(DRAIN).await;
        };
        tokio::select! {
            ((), (), (), ()) = work => {}
            // Dropping the work ends its calls; what they wrote is picked up by the next leader.
            () = leadership.lost() => tracing::warn!("leadership is lost; reconciling stops until it is back"),
            () = drained => tracing::warn!("reconciliations did not end in time"),
        }
    }
}

/// A client that fails fast: retries and timeouts are ours to decide.
async fn client() -> anyhow::Result<Client> {
    let infer = timeout(DRAIN, kube::Config::infer()).await;
    let mut config = infer
        .context("failed to find a cluster in time")?
        .context("failed to find a cluster: neither a kubeconfig nor a ServiceAccount is there")?;
    config.default_retry = false;
    config.read_timeout = Some(SILENCE);
    Client::try_from(config).context("failed to build a Kubernetes client")
}
