//! Specs that are valid and that no node can satisfy, and specs that this release refuses.

use anyhow::{Result, ensure};
use atelier_e2e::{Model, model, with_namespace};
use serde_json::json;

#[tokio::test]
async fn a_model_that_fits_no_node_says_so() -> Result<()> {
    with_namespace("no-memory", async |namespace| {
        let mut spec = model::bundled();
        spec["resources"]["memory"] = json!("900Gi");
        let model = Model::create(&namespace, "m", spec).await?;
        let message = model.not_ready("Unschedulable").await?;
        ensure!(message.contains("memory") && message.contains("900Gi"), "{message}");
        model.patch(json!({"spec": {"resources": {"memory": null}}})).await?;
        model.ready().await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn too_little_memory_is_told_apart_from_a_crash_and_more_of_it_helps() -> Result<()> {
    with_namespace("oom", async |namespace| {
        let mut spec = model::bundled();
        spec["resources"]["memory"] = json!("64Mi");
        let model = Model::create(&namespace, "m", spec).await?;
        let message = model.not_ready("OutOfMemory").await?;
        ensure!(
            message.contains("64Mi") && message.contains("spec.resources.memory"),
            "{message}"
        );
        model.patch(json!({"spec": {"resources": {"memory": null}}})).await?;
        model.ready().await?;
        let gateway = namespace.gateway().await?;
        let answer = gateway
            .ask(&model.address(), "Name the capital city of France.")
            .await?;
        ensure!(answer.contains("Paris"), "{answer}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_this_release_cannot_do_is_refused_by_field() -> Result<()> {
    with_namespace("refused", async |namespace| {
        let mut spec = model::bundled();
        spec["guardrails"] = json!({"input": [{"name": "kind", "detector": "Toxicity"}]});
        spec["monitoring"] = json!({"drift": {}});
        let model = Model::create(&namespace, "m", spec).await?;
        let message = model.not_ready("NotSupported").await?;
        ensure!(
            message.contains("spec.guardrails.input[kind].detector Toxicity")
                && message.contains("spec.monitoring.drift"),
            "{message}"
        );
        Ok(())
    })
    .await
}
