//! Leader election by a Lease: one task that holds it, and the claim that everybody else reads.

mod claim;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    jiff::Timestamp,
};
use kube::{
    Api, Client, ResourceExt,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::{
    sync::watch,
    time::{sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

pub use claim::Claim;
use claim::{Candidate, Step};

use crate::metrics::Metrics;

/// Between renewals of a leader.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// Between looks of a candidate.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Longest call to the API server; two fit in before the claim ends.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// Whether this process leads; clones share one view.
#[derive(Clone, Debug)]
pub struct Leadership(watch::Receiver<Claim>);

impl Leadership {
    /// Whether this process leads now.
    pub fn is_current(&self) -> bool {
        self.0.borrow().is_current(Instant::now())
    }

    /// Completes as soon as this process leads; `false` when the elector has ended.
    pub async fn acquired(&mut self) -> bool {
        self.0.wait_for(|claim| claim.is_current(Instant::now())).await.is_ok()
    }

    /// Completes as soon as this process does not lead.
    pub async fn lost(&mut self) {
        loop {
            let claim = *self.0.borrow_and_update();
            let Some(until) = claim.until().filter(|_| claim.is_current(Instant::now())) else {
                return;
            };
            tokio::select! {
                () = sleep_until(until.into()) => {}
                changed = self.0.changed() => if changed.is_err() { return },
            }
        }
    }

    /// A view that always leads, for tests and tools.
    pub fn always() -> Self {
        let (sender, receiver) = watch::channel(Claim::confirmed(Instant::now() + Duration::from_secs(1 << 30)));
        drop(sender);
        Self(receiver)
    }
}

/// Holds the Lease for this process as long as it can.
pub struct Elector {
    api: Api<Lease>,
    name: String,
    candidate: Candidate,
    claim: watch::Sender<Claim>,
    metrics: Metrics,
    first_look: Arc<dyn Fn() + Send + Sync>,
}

impl Elector {
    /// An elector for the Lease `name` in `namespace`. `first_look` is called when the API server has
    /// answered for the first time.
    pub fn new(
        client: Client,
        namespace: &str,
        name: &str,
        pod: Option<String>,
        metrics: Metrics,
        first_look: impl Fn() + Send + Sync + 'static,
    ) -> (Self, Leadership) {
        let (claim, receiver) = watch::channel(Claim::default());
        let elector = Self {
            api: Api::namespaced(client, namespace),
            name: name.into(),
            candidate: Candidate::new(pod, &format!("{:08x}", rand::random::<u32>())),
            claim,
            metrics,
            first_look: Arc::new(first_look),
        };
        (elector, Leadership(receiver))
    }

    /// The name in the Lease.
    pub fn identity(&self) -> &str {
        self.candidate.identity()
    }

    /// Takes and renews the Lease until `stop`, then gives it up.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut reachable = true;
        loop {
            let pause = match timeout(CALL_TIMEOUT, self.turn()).await {
                Ok(Ok(leads)) => {
                    (self.first_look)();
                    reachable = true;
                    if leads { RENEW_EVERY } else { LOOK_EVERY }
                }
                outcome => {
                    if reachable {
                        let error = match outcome {
                            Ok(Err(error)) => error.to_string(),
                            _ => format!("no answer within {} s", CALL_TIMEOUT.as_secs()),
                        };
                        tracing::warn!(
                            lease = self.name,
                            error,
                            "failed to read or write the Lease; trying again"
                        );
                        reachable = false;
                    }
                    Duration::from_secs(1)
                }
            };
            self.metrics
                .leader
                .set(i64::from(self.claim.borrow().is_current(Instant::now())));
            tokio::select! {
                () = sleep(pause) => {}
                () = stop.cancelled() => break,
            }
        }
        self.claim.send_replace(Claim::default());
        self.metrics.leader.set(0);
        match timeout(CALL_TIMEOUT, self.release()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "failed to give up the Lease; it expires by itself"),
            Err(_) => tracing::warn!("failed to give up the Lease in time; it expires by itself"),
        }
    }

    /// One look at the Lease and what follows from it; says whether we lead.
    async fn turn(&mut self) -> kube::Result<bool> {
        let lease = self.api.get_opt(&self.name).await?;
        let spec = lease.as_ref().map(|lease| lease.spec.clone().unwrap_or_default());
        let sent = Instant::now();
        let written = match (self.candidate.step(spec.as_ref(), sent, Timestamp::now()), lease) {
            (Step::Create(spec), _) => self.create(spec).await,
            (Step::Write(spec), Some(lease)) => self.write(&lease, &spec).await,
            (Step::Write(_), None) | (Step::Wait, _) => {
                self.step_back();
                return Ok(false);
            }
        };
        match written {
            Ok(()) => {
                let led = self.claim.send_replace(Claim::confirmed(sent)).is_current(sent);
                if !led {
                    tracing::info!(identity = self.candidate.identity(), "this process leads");
                }
                Ok(true)
            }
            // Another candidate was faster.
            Err(kube::Error::Api(status)) if status.code == 409 => {
                self.step_back();
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn step_back(&self) {
        if self.claim.send_replace(Claim::default()).is_current(Instant::now()) {
            tracing::warn!("another process leads");
        }
    }

    async fn create(&self, spec: LeaseSpec) -> kube::Result<()> {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(spec),
        };
        self.api.create(&PostParams::default(), &lease).await.map(drop)
    }

    /// Writes `spec` unless the Lease has changed since it was read.
    async fn write(&self, read: &Lease, spec: &LeaseSpec) -> kube::Result<()> {
        let patch = json!({"metadata": {"resourceVersion": read.resource_version()}, "spec": spec});
        self.api
            .patch(&self.name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .map(drop)
    }

    async fn release(&self) -> kube::Result<()> {
        let Some(lease) = self.api.get_opt(&self.name).await? else {
            return Ok(());
        };
        match lease
            .spec
            .as_ref()
            .and_then(|spec| self.candidate.released(spec, Timestamp::now()))
        {
            Some(spec) => self.write(&lease, &spec).await,
            None => Ok(()),
        }
    }
}
