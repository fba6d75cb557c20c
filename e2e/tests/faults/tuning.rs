//! A node that is drained while a training runs on it.

use anyhow::{Context, Result, ensure};
use atelier_e2e::{Model, Namespace, Tuning, kubectl, model, tuning, wait, with_namespace};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::ListParams;

use crate::ALONE;

#[tokio::test]
async fn a_drained_node_changes_nothing_in_what_is_published() -> Result<()> {
    let _alone = ALONE.lock().await;
    with_namespace("drained", async |namespace| {
        Model::create(&namespace, "base", model::bundled())
            .await?
            .ready()
            .await?;
        let spec = || tuning::on_dialogues("base", "computers.yml");
        let drained = Tuning::create(&namespace, "drained", spec()).await?;
        drained
            .until("to be under way", |it| {
                it.step.is_some_and(|step| (3..25).contains(&step))
            })
            .await?;
        let node = node(&namespace).await?;
        let drain = drain(&namespace, &node).await;
        kubectl::succeed(&["uncordon", &node], "").await?;
        let said = drain?;
        ensure!(said.contains("evicted"), "{said}");
        let digest = drained.output().await?;
        let calm = Tuning::create(&namespace, "calm", spec()).await?;
        ensure!(calm.output().await? == digest, "the results differ");
        Ok(())
    })
    .await
}

/// Drains the node of what trains: the other pods of this cluster's only node have nowhere to go.
async fn drain(namespace: &Namespace, node: &str) -> Result<String> {
    let pod = trainer(namespace).await?;
    let job = format!(
        "--pod-selector=batch.kubernetes.io/job-name={}",
        pod.labels()["batch.kubernetes.io/job-name"]
    );
    let said = kubectl::succeed(&["drain", node, &job, "--delete-emptydir-data", "--timeout=240s"], "").await?;
    // Nothing runs there until the node takes pods again.
    wait::until("another pod of the training to wait for a node", async || {
        let next = trainer(namespace).await.ok();
        Ok(next.filter(|next| next.uid() != pod.uid()).map(drop))
    })
    .await?;
    Ok(said)
}

async fn trainer(namespace: &Namespace) -> Result<Pod> {
    let pods = namespace.api::<Pod>().list(&ListParams::default()).await?;
    let mut trainers = pods.into_iter().filter(|pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        pod.name_any().starts_with("drained-train") && matches!(phase, Some("Running" | "Pending"))
    });
    trainers.next().context("no pod trains")
}

/// The node of the pod that trains.
async fn node(namespace: &Namespace) -> Result<String> {
    let named = trainer(namespace).await?.spec.and_then(|spec| spec.node_name);
    named.context("the pod that trains is on no node")
}
