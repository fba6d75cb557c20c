//! What the gateways have seen of models: asked when somebody needs it, and kept for a moment.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use api::names::{GATEWAY, LABEL_COMPONENT};
use futures::future::try_join_all;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use protocol::{Traffic, ports::GATEWAY_ADMIN, traffic::PATH};
use tokio::{sync::Mutex as AsyncMutex, time::timeout};

use crate::cluster::{Cluster, ClusterError};

/// How old an answer may be.
const FRESH: Duration = Duration::from_millis(900);
/// Longest answer of one gateway.
const PATIENCE: Duration = Duration::from_secs(2);
/// Largest answer of one gateway, in bytes.
const LARGEST: usize = 32 << 20;

/// Why nothing is known.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GatewaysError {
    /// Their pods are not known.
    #[error("failed to find the gateways: {0}")]
    Unknown(Arc<ClusterError>),
    /// One that is ready does not tell: without it the others' counts would be taken for all.
    #[error("gateway pod {pod} does not tell what it has seen: {why}")]
    Silent {
        /// Its name.
        pod: String,
        /// What happened.
        why: String,
    },
}

/// Asks all gateways.
pub struct Gateways {
    cluster: Cluster,
    namespace: String,
    client: Client<HttpConnector, Empty<&'static [u8]>>,
    /// Held while asking, so that many who want to know ask once.
    asking: AsyncMutex<()>,
    known: Mutex<Option<(Instant, Arc<Traffic>)>>,
}

impl Gateways {
    /// The gateways in `namespace`.
    pub fn new(cluster: Cluster, namespace: String) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(PATIENCE));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .build(connector);
        Self {
            cluster,
            namespace,
            client,
            asking: AsyncMutex::default(),
            known: Mutex::default(),
        }
    }

    /// What all of them together have seen, at most a second ago.
    ///
    /// # Errors
    /// See [`GatewaysError`].
    pub async fn traffic(&self) -> Result<Arc<Traffic>, GatewaysError> {
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let _asking = self.asking.lock().await;
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let traffic = Arc::new(self.ask().await?);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), traffic.clone()));
        Ok(traffic)
    }

    fn known(&self) -> Option<Arc<Traffic>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, traffic) = known.as_ref()?;
        (at.elapsed() < FRESH).then(|| traffic.clone())
    }

    async fn ask(&self) -> Result<Traffic, GatewaysError> {
        let component = GATEWAY.trim_start_matches("atelier-");
        let labels = format!("app.kubernetes.io/name=atelier,{LABEL_COMPONENT}={component}");
        let pods = self.cluster.list::<Pod>(&self.namespace, &labels).await;
        let pods = pods.map_err(|error| GatewaysError::Unknown(Arc::new(error)))?;
        let asked = pods.iter().filter_map(|pod| Some((pod.name_any(), address(pod)?)));
        let answers = asked.map(async |(pod, address)| {
            let answer = timeout(PATIENCE, self.ask_one(address)).await;
            let answer = answer.unwrap_or_else(|_| Err("no answer in time".into()));
            answer.map_err(|why| GatewaysError::Silent { pod, why })
        });
        let mut all = Traffic::default();
        for seen in try_join_all(answers).await? {
            all.add(seen);
        }
        Ok(all)
    }

    async fn ask_one(&self, address: SocketAddr) -> Result<Traffic, String> {
        let uri = format!("http://{address}{PATH}");
        let uri = uri.parse().map_err(|error| format!("{uri}: {error}"))?;
        let response = self.client.get(uri).await.map_err(|error| error.to_string())?;
        if !response.status().is_success() {
            return Err(format!("it answered {}", response.status()));
        }
        let body = Limited::new(response.into_body(), LARGEST).collect().await;
        let body = body.map_err(|error| match error.is::<LengthLimitError>() {
            true => format!("its answer has more than {LARGEST} bytes"),
            false => error.to_string(),
        })?;
        serde_json::from_slice(&body.to_bytes()).map_err(|error| error.to_string())
    }
}

/// Where a gateway tells, if it is ready: one that starts has seen nothing, and one that ends is on its
/// way out with what it has seen.
fn address(pod: &Pod) -> Option<SocketAddr> {
    let status = pod.status.as_ref()?;
    let conditions = status.conditions.iter().flatten();
    let is_ready = conditions
        .into_iter()
        .any(|it| it.type_ == "Ready" && it.status == "True");
    let ip = status.pod_ip.as_ref()?.parse().ok()?;
    (is_ready && pod.metadata.deletion_timestamp.is_none()).then(|| SocketAddr::new(ip, GATEWAY_ADMIN))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn gateways_are_asked_while_they_are_ready() {
        let pod = |ready: &str, deleted: bool| {
            let deleted = deleted.then_some("2026-01-01T00:00:00Z");
            let pod = json!({
                "metadata": {"name": "gateway", "deletionTimestamp": deleted},
                "status": {"podIP": "10.0.0.7", "conditions": [{"type": "Ready", "status": ready}]},
            });
            address(&serde_json::from_value(pod).unwrap())
        };
        assert_eq!(pod("True", false), Some(([10, 0, 0, 7], GATEWAY_ADMIN).into()));
        assert_eq!((pod("False", false), pod("True", true)), (None, None));
        assert_eq!(address(&Pod::default()), None);
    }
}
