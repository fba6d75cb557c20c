//! A stand-in for all kubelets: it moves pods on as a node would, and runs nothing.
//!
//! A pod that serves becomes ready; one that prepares ends at once, with the report that a worker leaves about
//! such weights. Two names in an image's reference make it fail: `broken` cannot be prepared, and workers over
//! `crashing` never start. It decides from the pod alone, so it says the same in every run.

mod report;
mod status;

use std::sync::Arc;

use anyhow::Result;
use api::names::{COMPONENT_PREPARE, LABEL_COMPONENT};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::{watcher, watcher::Event},
};
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinHandle};

/// Pods moved on at a time.
const AT_ONCE: usize = 32;

/// A running stand-in. Dropping it stops it.
pub struct Kubelet(JoinHandle<()>);

impl Kubelet {
    /// Moves on all pods of the cluster.
    pub fn start(client: Client) -> Self {
        Self(tokio::spawn(run(client)))
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn run(client: Client) {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut events = watcher(Api::<Pod>::all(client.clone()), watcher::Config::default()).boxed();
    while let Some(event) = events.next().await {
        let (Ok(Event::Apply(pod)) | Ok(Event::InitApply(pod))) = event else {
            continue;
        };
        let Some(status) = next(&pod) else { continue };
        let Ok(turn) = turns.clone().acquire_owned().await else {
            return;
        };
        let client = client.clone();
        tokio::spawn(async move {
            let _turn = turn;
            // It is gone, or its next event brings it here again.
            let _ = write(client, &pod, status).await;
        });
    }
}

/// What a pod's status is to become; `None` when it is to stay.
fn next(pod: &Pod) -> Option<Value> {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    if pod.metadata.deletion_timestamp.is_some() || phase.is_some_and(|phase| phase != "Pending") {
        return None;
    }
    let prepares = pod
        .labels()
        .get(LABEL_COMPONENT)
        .is_some_and(|it| it == COMPONENT_PREPARE);
    Some(match (prepares, report::image(pod)) {
        (true, _) => status::ended(pod, &report::of(pod)),
        (false, Some(image)) if image.contains("crashing") => status::crashing(pod),
        (false, _) => status::serving(pod),
    })
}

async fn write(client: Client, pod: &Pod, status: Value) -> Result<()> {
    let pods = Api::<Pod>::namespaced(client, &pod.namespace().unwrap_or_default());
    let patch = Patch::Merge(json!({"metadata": {"uid": pod.uid()}, "status": status}));
    pods.patch_status(&pod.name_any(), &PatchParams::default(), &patch)
        .await?;
    Ok(())
}
