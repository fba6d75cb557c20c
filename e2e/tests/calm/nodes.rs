//! Nodes that are drained, and zones that are lost, under traffic.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use atelier_e2e::traffic::Traffic;
use atelier_e2e::{Model, Namespace, kubectl, model, nodes, wait, with_namespace};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use serde_json::json;

#[tokio::test]
async fn a_drained_node_fails_no_request() -> Result<()> {
    with_namespace("drain", async |namespace| {
        let model = tolerating(&namespace, nodes::SECOND_TAINT).await?;
        let pod = namespace.api::<Pod>().get(&model.serving_pod().await?).await?;
        nodes::join(&pod).await?;
        kubectl::succeed(&["uncordon", nodes::SECOND], "").await?;
        model.patch(json!({"spec": {"replicas": 2}})).await?;
        model.ready().await?;
        ensure!(
            nodes_of(&namespace, &model).await?.contains(nodes::SECOND),
            "the replicas are not spread over the zones"
        );
        let gateway = namespace.gateway().await?;
        let traffic = Traffic::start(&gateway, &model.address(), 2).await?;
        let drain = ["drain", nodes::SECOND, "--delete-emptydir-data", "--timeout=240s"];
        let said = kubectl::succeed(&drain, "").await?;
        ensure!(said.contains("evicted"), "{said}");
        traffic.answers(4).await?;
        wait::until("both replicas on the node that is left", async || {
            let found = nodes_of(&namespace, &model).await?;
            let status = model.get().await?.status.unwrap_or_default();
            Ok((!found.contains(nodes::SECOND) && status.ready.as_deref() == Some("2/2")).then_some(()))
        })
        .await?;
        traffic.answers(4).await?;
        traffic.stop_without_failure().await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_lost_zone_fails_no_request() -> Result<()> {
    with_namespace("zone", async |namespace| {
        let model = tolerating(&namespace, nodes::HOLLOW_TAINT).await?;
        let hollow = nodes::HollowNode::start(&namespace.client, "hollow").await?;
        model.patch(json!({"spec": {"replicas": 2}})).await?;
        model.ready().await?;
        ensure!(
            nodes_of(&namespace, &model).await?.contains("hollow"),
            "the replicas are not spread over the zones"
        );
        let gateway = namespace.gateway().await?;
        // Half of the replicas are said to be ready and do not answer.
        let traffic = Traffic::start(&gateway, &model.address(), 2).await?;
        traffic.answers(6).await?;
        hollow.fall_silent();
        wait::until("the lost replica to be told", async || {
            let status = model.get().await?.status.unwrap_or_default();
            Ok((status.ready.as_deref() == Some("1/2")).then_some(()))
        })
        .await?;
        traffic.answers(4).await?;
        // Without the node its pod goes, and another takes its place where there is room.
        hollow.remove().await?;
        model.ready().await?;
        wait::until("two replicas elsewhere", async || {
            let status = model.get().await?.status.unwrap_or_default();
            Ok((status.ready.as_deref() == Some("2/2")).then_some(()))
        })
        .await?;
        traffic.answers(4).await?;
        traffic.stop_without_failure().await?;
        Ok(())
    })
    .await
}

/// A model of one replica whose pods may also run on the nodes that have this taint.
async fn tolerating(namespace: &Namespace, taint: &str) -> Result<Model> {
    let mut spec = model::bundled();
    spec["placement"] = json!({"tolerations": [{"key": taint, "operator": "Exists"}]});
    let model = Model::create(namespace, "m", spec).await?;
    model.ready().await?;
    Ok(model)
}

/// The nodes on which its pods are that serve and shall go on.
async fn nodes_of(namespace: &Namespace, model: &Model) -> Result<BTreeSet<String>> {
    let pods = namespace.serving_pods("m", &model.version().await?).await?;
    let staying = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    staying
        .map(|pod| {
            let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
            node.with_context(|| format!("{} is on no node", pod.name_any()))
        })
        .collect()
}
