//! Nodes beside the one that all other cases share: a real one, and one where nothing runs.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::task::JoinHandle;

use crate::{settings, wait};

/// The name of the cluster's second node.
pub const SECOND: &str = "atelier-2";
/// The taint of the second node.
pub const SECOND_TAINT: &str = "atelier.dev/second";
/// The taint of a hollow node.
pub const HOLLOW_TAINT: &str = "atelier.dev/hollow";
const PAUSE_IMAGE: &str = "localhost/pause:1";
/// No one has it: who calls it hears nothing for seconds, as when a zone is lost.
const SILENT_ADDRESS: &str = "10.77.0.5";

/// Starts the second node, in a zone of its own, with the images that a pod of the first one uses.
pub async fn join(pod: &Pod) -> Result<()> {
    let spec = pod.spec.as_ref().context("a pod without a spec")?;
    let init = spec.init_containers.iter().flatten();
    let containers = init.chain(&spec.containers).filter_map(|it| it.image.clone());
    let volumes = spec.volumes.iter().flatten();
    let volumes = volumes.filter_map(|volume| volume.image.as_ref()?.reference.clone());
    let mut images: Vec<_> = containers.chain(volumes).chain([PAUSE_IMAGE.into()]).collect();
    images.sort();
    images.dedup();
    let status = Command::new(settings::cluster_program()?)
        .arg("join")
        .arg("--dir")
        .arg(settings::cluster_dir()?)
        .args(images)
        .status()
        .await
        .context("failed to start the cluster's program")?;
    ensure!(status.success(), "the second node did not start: {status}");
    Ok(())
}

/// A node in a zone of its own which says that its pods are ready, though nothing runs there: what calls them hears
/// nothing. That is what a zone looks like that was just lost.
pub struct HollowNode {
    client: Client,
    name: String,
    kubelet: JoinHandle<()>,
}

impl HollowNode {
    /// Makes it.
    pub async fn start(client: &Client, name: &str) -> Result<Self> {
        let resources = json!({"cpu": "8", "memory": "32Gi", "pods": "110"});
        let node: Node = serde_json::from_value(json!({
            "metadata": {"name": name, "labels": {
                "kubernetes.io/hostname": name, "topology.kubernetes.io/zone": name, "kubernetes.io/os": "linux",
            }},
            "spec": {"taints": [{"key": HOLLOW_TAINT, "effect": "NoSchedule"}]},
        }))?;
        let nodes = Api::<Node>::all(client.clone());
        // One that an interrupted run left.
        let _ = nodes.delete(name, &DeleteParams::default()).await;
        nodes
            .create(&PostParams::default(), &node)
            .await
            .context("failed to create a node")?;
        let now = Timestamp::now();
        let status = json!({"status": {
            "capacity": resources, "allocatable": resources,
            "conditions": [{"type": "Ready", "status": "True", "reason": "Hollow", "message": "",
                "lastHeartbeatTime": now.to_string(), "lastTransitionTime": now.to_string()}],
        }});
        nodes
            .patch_status(name, &PatchParams::default(), &Patch::Merge(status))
            .await
            .context("failed to make a node ready")?;
        let kubelet = tokio::spawn(pretend(client.clone(), name.to_owned()));
        wait::until("the hollow node to take pods", async || {
            let spec = nodes.get(name).await?.spec.unwrap_or_default();
            let foreign = spec.taints.iter().flatten().filter(|taint| taint.key != HOLLOW_TAINT);
            Ok((foreign.count() == 0).then_some(()))
        })
        .await?;
        Ok(Self {
            client: client.clone(),
            name: name.into(),
            kubelet,
        })
    }

    /// It reports no more: after a while the cluster takes its pods for lost.
    pub fn fall_silent(&self) {
        self.kubelet.abort();
    }

    /// Removes it; the cluster then removes its pods.
    pub async fn remove(self) -> Result<()> {
        self.kubelet.abort();
        let nodes = Api::<Node>::all(self.client.clone());
        nodes
            .delete(&self.name, &DeleteParams::default())
            .await
            .context("failed to delete a node")?;
        Ok(())
    }
}

/// What its kubelet would do, but for running anything. Calls that fail are made again.
async fn pretend(client: Client, name: String) {
    let mut rounds = 0_u32;
    loop {
        if rounds.is_multiple_of(20) {
            let _ = renew(&client, &name).await;
        }
        let _ = report(&client, &name).await;
        rounds += 1;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// The sign of life that the cluster goes by.
async fn renew(client: &Client, name: &str) -> Result<()> {
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": MicroTime(Timestamp::now())},
    });
    let params = PatchParams::apply("hollow").force();
    Api::<Lease>::namespaced(client.clone(), "kube-node-lease")
        .patch(name, &params, &Patch::Apply(lease))
        .await?;
    Ok(())
}

/// Tells of each pod there that it is ready, or lets it go.
async fn report(client: &Client, name: &str) -> Result<()> {
    let here = ListParams::default().fields(&format!("spec.nodeName={name}"));
    for pod in Api::<Pod>::all(client.clone()).list(&here).await? {
        let pods = Api::<Pod>::namespaced(client.clone(), &pod.namespace().context("a pod without a namespace")?);
        if pod.metadata.deletion_timestamp.is_some() {
            pods.delete(&pod.name_any(), &DeleteParams::default().grace_period(0))
                .await?;
        } else if pod.status.as_ref().is_none_or(|status| status.pod_ip.is_none()) {
            let status = json!({"status": ready_status(&pod)});
            pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(status))
                .await?;
        }
    }
    Ok(())
}

fn ready_status(pod: &Pod) -> Value {
    let now = Timestamp::now().to_string();
    let spec = pod.spec.clone().unwrap_or_default();
    let running = |name: &str, image: &Option<String>| {
        json!({
            "name": name, "image": image, "imageID": "", "ready": true, "started": true, "restartCount": 0,
            "state": {"running": {"startedAt": now}},
        })
    };
    let containers: Vec<_> = spec.containers.iter().map(|it| running(&it.name, &it.image)).collect();
    let mut conditions = BTreeMap::new();
    for condition in ["PodScheduled", "Initialized", "ContainersReady", "Ready"] {
        conditions.insert(
            condition,
            json!({"type": condition, "status": "True", "lastTransitionTime": now}),
        );
    }
    json!({
        "phase": "Running", "startTime": now, "podIP": SILENT_ADDRESS, "podIPs": [{"ip": SILENT_ADDRESS}],
        "conditions": conditions.values().collect::<Vec<_>>(), "containerStatuses": containers,
    })
}
