//! What the operator keeps in place, and what it leaves when a model goes.

use anyhow::{Result, ensure};
use api::conditions::types;
use atelier_e2e::{Model, model, wait, with_namespace};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

#[tokio::test]
async fn a_deleted_pod_comes_back() -> Result<()> {
    with_namespace("pod-deleted", async |namespace| {
        let model = Model::create(&namespace, "m", model::bundled()).await?;
        model.ready().await?;
        let first = model.serving_pod().await?;
        namespace.api::<Pod>().delete(&first, &DeleteParams::default()).await?;
        wait::until("another pod", async || {
            let now = model.serving_pod().await?;
            Ok((now != first).then_some(()))
        })
        .await?;
        model.ready().await?;
        let answer = namespace.gateway().await?.ask(&model.address(), "Say yes.").await?;
        ensure!(!answer.is_empty());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn removed_and_altered_children_are_put_right() -> Result<()> {
    with_namespace("children", async |namespace| {
        let model = Model::create(&namespace, "m", model::bundled()).await?;
        model.ready().await?;
        let before = namespace.children().await?;
        let child = api::names::version_child("m", &model.version().await?);
        namespace
            .api::<Service>()
            .delete(&child, &DeleteParams::default())
            .await?;
        let change = json!({"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 31}}}});
        let deployments = namespace.api::<Deployment>();
        let wanted = grace_period(&deployments.get(&child).await?);
        deployments
            .patch(&child, &PatchParams::default(), &Patch::Merge(change))
            .await?;
        wait::until("the Deployment as it was", async || {
            Ok((grace_period(&deployments.get(&child).await?) == wanted).then_some(()))
        })
        .await?;
        wait::until("the Service", async || {
            namespace.api::<Service>().get_opt(&child).await.map_err(Into::into)
        })
        .await?;
        model.ready().await?;
        let services = |names: &[String]| {
            names
                .iter()
                .filter(|name| !name.starts_with("Pod/"))
                .cloned()
                .collect::<Vec<_>>()
        };
        let after = wait::until("the same children", async || {
            let after = namespace.children().await?;
            Ok((services(&after) == services(&before)).then_some(after))
        })
        .await?;
        ensure!(!after.is_empty());
        Ok(())
    })
    .await
}

fn grace_period(deployment: &Deployment) -> Option<i64> {
    let template = deployment.spec.as_ref().map(|spec| &spec.template);
    template?.spec.as_ref()?.termination_grace_period_seconds
}

#[tokio::test]
async fn a_deleted_model_leaves_nothing() -> Result<()> {
    with_namespace("deleted", async |namespace| {
        let model = Model::create(&namespace, "m", model::bundled()).await?;
        model.ready().await?;
        let children = namespace.children().await?;
        for kind in [
            "ControllerRevision/",
            "Deployment/",
            "NetworkPolicy/",
            "Pod/",
            "PodDisruptionBudget/",
            "Service/",
        ] {
            ensure!(
                children.iter().any(|child| child.starts_with(kind)),
                "no {kind} in {children:?}"
            );
        }
        namespace.delete_model("m").await?;
        wait::until("all children to be gone", async || {
            let left = namespace.children().await?;
            ensure!(left.is_empty(), "left: {left:?}");
            Ok(Some(()))
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_paused_model_is_left_alone() -> Result<()> {
    with_namespace("paused", async |namespace| {
        let model = Model::create(&namespace, "m", model::bundled()).await?;
        model.ready().await?;
        let version = model.version().await?;
        let pause = |value| json!({"metadata": {"annotations": {"atelier.dev/paused": value}}});
        model.patch(pause(Some("true"))).await?;
        model.condition(types::PAUSED, "True", "Paused").await?;
        model
            .patch(json!({"spec": {"prompt": {"system": "Answer in one word."}}}))
            .await?;
        model.condition(types::PAUSED, "True", "Paused").await?;
        let deployments = namespace.children().await?;
        let count = deployments
            .iter()
            .filter(|child| child.starts_with("Deployment/"))
            .count();
        ensure!(count == 1, "{deployments:?}");
        model.patch(pause(None)).await?;
        model.ready().await?;
        ensure!(model.version().await? != version, "the change was not rolled out");
        Ok(())
    })
    .await
}
