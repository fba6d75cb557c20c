//! Weights that the pods of a node share.

use anyhow::{Context as _, Result, ensure};
use atelier_e2e::files::{Behaviour, FileServer};
use atelier_e2e::{Model, model, settings, wait, with_namespace};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;

#[tokio::test]
async fn the_next_pod_on_a_node_downloads_nothing() -> Result<()> {
    with_namespace("node-cache", async |namespace| {
        namespace.allow_privileged().await?;
        let weights = std::fs::read(settings::model_file()?).context("failed to read the model's file")?;
        let server = FileServer::start(weights, Behaviour::Whole).await?;
        let source = json!({"http": {"url": server.url, "sha256": server.sha256}});
        let mut spec = model::with_source(source);
        spec["placement"] = json!({"nodeCache": true});
        let model = Model::create(&namespace, "m", spec).await?;
        model.ready().await?;
        // Those of the step that looked at the weights: the pod that serves is on the same node.
        let asked = server.requests().len();

        let pod = model.serving_pod().await?;
        let pods: Api<Pod> = namespace.api();
        pods.delete(&pod, &DeleteParams::default()).await?;
        wait::until("another pod serves", async || {
            let serving = model.serving_pod().await?;
            Ok((serving != pod).then_some(()))
        })
        .await?;
        model.ready().await?;

        // Another model over the same weights.
        let mut other = model::with_source(json!({"http": {"url": server.url, "sha256": server.sha256}}));
        other["placement"] = json!({"nodeCache": true});
        let other = Model::create(&namespace, "other", other).await?;
        other.ready().await?;
        let answer = namespace
            .gateway()
            .await?
            .ask(&other.address(), "Name the capital city of France.")
            .await?;
        ensure!(answer.contains("Paris"), "{answer}");
        let requests = server.requests().len();
        ensure!(requests == asked, "{requests} requests, and {asked} before");
        Ok(())
    })
    .await
}
