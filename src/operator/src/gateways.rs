//! What the gateways have seen of models: asked when somebody needs it, and kept for a moment.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use api::names::{GATEWAY, LABEL_COMPONENT};
use futures::future::{join_all, try_join_all};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use protocol::{
    Held, Traffic,
    ports::GATEWAY_ADMIN,
    traffic::{HELD_PATH, PATH},
};
use serde::de::DeserializeOwned;
use tokio::{sync::Mutex as AsyncMutex, time::timeout};

use crate::cluster::{Cluster, ClusterError};

/// How old an answer may be.
const FRESH: Duration = Duration::from_millis(900);
/// Longest answer of one gateway about what it holds: others may hold something that shall not wait.
const HURRY: Duration = Duration::from_millis(400);
/// How old the list of gateways may be when they are asked what they hold, which is often.
const POLLED: Duration = Duration::from_secs(2);
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
    /// There is none, so nobody knows.
    #[error("no gateway is ready")]
    None,
}

/// Asks all gateways.
pub struct Gateways {
    cluster: Cluster,
    namespace: String,
    client: Client<HttpConnector, Empty<&'static [u8]>>,
    /// Held while asking, so that many who want to know ask once.
    asking: AsyncMutex<()>,
    known: Mutex<Option<(Instant, Answer)>>,
    found: Mutex<Option<(Instant, Vec<SocketAddr>)>>,
}

/// What those that are ready have seen.
#[derive(Clone)]
struct Answer {
    traffic: Arc<Traffic>,
    /// One that was not asked, although it may have requests under way.
    left_out: Option<String>,
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
            found: Mutex::default(),
        }
    }

    /// What all of them together have seen, at most a second ago.
    ///
    /// # Errors
    /// See [`GatewaysError`].
    pub async fn traffic(&self) -> Result<Arc<Traffic>, GatewaysError> {
        Ok(self.answer().await?.traffic)
    }

    /// As [`Self::traffic`], where those that start or end must not be left out: what is not seen must
    /// not be there.
    ///
    /// # Errors
    /// See [`GatewaysError`].
    pub async fn complete_traffic(&self) -> Result<Arc<Traffic>, GatewaysError> {
        let Answer { traffic, left_out } = self.answer().await?;
        match left_out {
            Some(pod) => Err(GatewaysError::Silent {
                pod,
                why: "it is not ready, or on its way out".into(),
            }),
            None if traffic.gateways == 0 => Err(GatewaysError::None),
            None => Ok(traffic),
        }
    }

    /// What they hold at this moment, as far as they answer; those on their way out as well.
    pub async fn held(&self) -> Held {
        let answers = join_all(self.addresses().await.into_iter().map(async |address| {
            let answer = timeout(HURRY, self.ask_one::<Held>(address, HELD_PATH)).await;
            answer.unwrap_or_else(|_| Err("no answer in time".into()))
        }));
        let mut all = Held::default();
        for answer in answers.await {
            match answer {
                Ok(held) => all.add(held),
                Err(why) => tracing::debug!(why, "a gateway does not tell what it holds"),
            }
        }
        all
    }

    /// Where gateways are, at most a few seconds ago.
    async fn addresses(&self) -> Vec<SocketAddr> {
        let known = self.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some((at, addresses)) if at.elapsed() < POLLED => addresses,
            _ => match self.pods().await {
                Ok(pods) => self.remember(&pods),
                Err(error) => {
                    tracing::warn!(%error, "the gateways that were known are asked");
                    known.map_or_else(Vec::new, |(_, addresses)| addresses)
                }
            },
        }
    }

    fn remember(&self, pods: &[Pod]) -> Vec<SocketAddr> {
        let addresses: Vec<_> = pods.iter().filter(|pod| runs(pod)).filter_map(admin).collect();
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), addresses.clone()));
        addresses
    }

    async fn answer(&self) -> Result<Answer, GatewaysError> {
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let _asking = self.asking.lock().await;
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let answer = self.ask().await?;
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), answer.clone()));
        Ok(answer)
    }

    fn known(&self) -> Option<Answer> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, answer) = known.as_ref()?;
        (at.elapsed() < FRESH).then(|| answer.clone())
    }

    async fn pods(&self) -> Result<Vec<Pod>, GatewaysError> {
        let component = GATEWAY.trim_start_matches("atelier-");
        let labels = format!("app.kubernetes.io/name=atelier,{LABEL_COMPONENT}={component}");
        let pods = self.cluster.list::<Pod>(&self.namespace, &labels).await;
        pods.map_err(|error| GatewaysError::Unknown(Arc::new(error)))
    }

    async fn ask(&self) -> Result<Answer, GatewaysError> {
        let pods = self.pods().await?;
        self.remember(&pods);
        let asked = pods.iter().filter_map(|pod| Some((pod.name_any(), address(pod)?)));
        let answers = asked.map(async |(pod, address)| {
            let answer = timeout(PATIENCE, self.ask_one::<Traffic>(address, PATH)).await;
            let answer = answer.unwrap_or_else(|_| Err("no answer in time".into()));
            answer.map_err(|why| GatewaysError::Silent { pod, why })
        });
        let mut all = Traffic::default();
        for seen in try_join_all(answers).await? {
            all.add(seen);
        }
        Ok(Answer {
            traffic: Arc::new(all),
            left_out: pods.iter().find(|pod| is_left_out(pod)).map(ResourceExt::name_any),
        })
    }

    async fn ask_one<T: DeserializeOwned>(&self, address: SocketAddr, path: &str) -> Result<T, String> {
        let uri = format!("http://{address}{path}");
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
    let conditions = pod.status.as_ref()?.conditions.iter().flatten();
    let is_ready = conditions
        .into_iter()
        .any(|it| it.type_ == "Ready" && it.status == "True");
    admin(pod).filter(|_| is_ready && pod.metadata.deletion_timestamp.is_none())
}

fn admin(pod: &Pod) -> Option<SocketAddr> {
    let ip = pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()?;
    Some(SocketAddr::new(ip, GATEWAY_ADMIN))
}

fn runs(pod: &Pod) -> bool {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
}

/// Whether it is not asked and may have requests under way all the same.
fn is_left_out(pod: &Pod) -> bool {
    runs(pod) && address(pod).is_none()
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
                "status": {"podIP": "10.0.0.7", "phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
            });
            let pod = serde_json::from_value(pod).unwrap();
            assert_eq!(is_left_out(&pod), address(&pod).is_none());
            address(&pod)
        };
        assert_eq!(pod("True", false), Some(([10, 0, 0, 7], GATEWAY_ADMIN).into()));
        assert_eq!((pod("False", false), pod("True", true)), (None, None));
        assert_eq!(address(&Pod::default()), None);
        assert!(!is_left_out(&Pod::default()));
    }
}
