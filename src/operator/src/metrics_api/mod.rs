//! Serves `external.metrics.k8s.io`, which HorizontalPodAutoscalers read.
//!
//! ```text
//!  HorizontalPodAutoscaler --> API server --(APIService, caBundle)--> any replica of the operator
//!                              authorizes      client certificate      asks gateways and workers
//! ```
//!
//! The API server authenticates and authorizes who asks (RBAC on the group `external.metrics.k8s.io`) before
//! it passes a request on, and proves itself by a client certificate; whoever has none is turned away. Each
//! replica makes its own key, which never leaves its memory, and adds its certificate to the `caBundle`. A
//! cluster has one provider of this API: where there is another one, ours is off.

mod answer;
mod certificate;
mod discovery;
mod measure;
mod metric;
mod registration;
mod samples;
mod scrape;
mod server;
mod trust;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use kube::Client;
use tokio::{net::TcpListener, sync::watch, time::sleep};

use crate::{cluster::Cluster, gateways::Gateways, metrics::Metrics};
use certificate::Certificate;
pub use measure::{Measure, Missing};
pub use metric::Metric;
use registration::Registration;
use server::Tls;
use trust::Trust;

/// Between looks at what the cluster says.
const LOOK: Duration = Duration::from_secs(30);
/// From the publication of a certificate to its use.
const SPREADS: Duration = Duration::from_secs(5);

/// What it needs.
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Namespace of the Service that leads there.
    pub namespace: String,
}

/// Serves until `stop` completes. Whatever fails is told in the log and tried again: autoscalers do nothing
/// in the meantime.
pub async fn run(
    settings: Settings,
    cluster: Cluster,
    gateways: Arc<Gateways>,
    metrics: Metrics,
    stop: impl Future<Output = ()>,
) {
    let listener = match TcpListener::bind(settings.listen).await {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(address = %settings.listen, %error, "failed to listen; there are no metrics for autoscalers");
            return;
        }
    };
    let (sender, tls) = watch::channel(None);
    let router = server::router(Arc::new(measure::Measures::new(cluster.clone(), gateways)));
    let registration = Registration::new(cluster.client(), settings.namespace);
    tokio::select! {
        () = server::serve(listener, tls, router) => {}
        () = keep_up(cluster.client(), registration, metrics, sender) => {}
        () = stop => {}
    }
}

/// Keeps the certificate, whom to trust and the APIService up to date.
async fn keep_up(client: Client, registration: Registration, metrics: Metrics, tls: watch::Sender<Option<Tls>>) {
    let mut used: Option<(Arc<Certificate>, Trust)> = None;
    loop {
        match look(&client, &registration, &metrics, used.as_ref()).await {
            Ok((certificate, trust)) => {
                let is_new = used
                    .as_ref()
                    .is_none_or(|(old, before)| !Arc::ptr_eq(old, &certificate) || *before != trust);
                if is_new {
                    match Tls::new(&certificate, &trust) {
                        Ok(config) => {
                            tls.send_replace(Some(config));
                            used = Some((certificate, trust));
                        }
                        Err(error) => tracing::error!(error, "failed to set up TLS for autoscalers' metrics"),
                    }
                }
            }
            Err(why) => tracing::warn!(why, "metrics for autoscalers are not up to date; trying again"),
        }
        sleep(LOOK).await;
    }
}

async fn look(
    client: &Client,
    registration: &Registration,
    metrics: &Metrics,
    used: Option<&(Arc<Certificate>, Trust)>,
) -> Result<(Arc<Certificate>, Trust), String> {
    let trust = trust::read(client).await?;
    let current = used
        .map(|(certificate, _)| certificate.clone())
        .filter(|it| !it.is_old());
    let is_new = current.is_none();
    let certificate = match current {
        Some(certificate) => certificate,
        None => Arc::new(Certificate::new(&registration.host())?),
    };
    let is_ours = registration.ensure(certificate.pem()).await?;
    metrics.metrics_api.set(is_ours.into());
    if is_new && used.is_some() {
        // The one before is good until all have heard of this one.
        sleep(SPREADS).await;
    }
    Ok((certificate, trust))
}

#[cfg(test)]
mod tests;
