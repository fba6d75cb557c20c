//! From one version to another and back, with users who never stop asking.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use api::LlmModel;
use api::conditions::types;
use api::names::{COMPONENT_SERVE, LABEL_COMPONENT, LABEL_VERSION};
use atelier_e2e::traffic::Traffic;
use atelier_e2e::{Model, model, wait, with_namespace};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

#[tokio::test]
async fn a_change_and_its_revert_fail_no_request() -> Result<()> {
    with_namespace("rollout", async |namespace| {
        let model = Model::create(&namespace, "m", model::bundled()).await?;
        model.ready().await?;
        let first = model.version().await?;
        let gateway = namespace.gateway().await?;
        let traffic = Traffic::start(&gateway, &model.address(), 2).await?;

        model
            .patch(json!({"spec": {"prompt": {"system": "You are a patient teacher."}}}))
            .await?;
        model.ready().await?;
        let second = model.version().await?;
        ensure!(second != first);
        model.settled().await?;
        traffic.answers(4).await?;

        model.patch(json!({"spec": {"prompt": null}})).await?;
        model.ready().await?;
        ensure!(model.version().await? == first, "the revert made another version");
        model.settled().await?;
        traffic.answers(4).await?;
        let answered = traffic.stop_without_failure().await?;
        ensure!(answered >= 10, "{answered} answers are too few to prove anything");

        // The source did not change: it was prepared once.
        let jobs = namespace.api::<Job>().list(&ListParams::default()).await?;
        ensure!(jobs.items.len() <= 1, "{} prepare Jobs", jobs.items.len());
        let status = model.get().await?.status.unwrap_or_default();
        let mut names: Vec<_> = status.versions.iter().map(|version| version.name.clone()).collect();
        names.sort();
        let mut expected = vec![first, second];
        expected.sort();
        ensure!(names == expected, "the history is {names:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn with_recreate_no_two_versions_ever_run() -> Result<()> {
    with_namespace("recreate", async |namespace| {
        let mut spec = model::bundled();
        spec["rollout"] = json!({"strategy": "Recreate"});
        let model = Model::create(&namespace, "m", spec).await?;
        model.ready().await?;
        let first = model.version().await?;
        model
            .patch(json!({"spec": {"prompt": {"system": "Be brief."}}}))
            .await?;
        let pods = namespace.api::<Pod>();
        let serving = ListParams::default().labels(&format!("{LABEL_COMPONENT}={COMPONENT_SERVE}"));
        wait::until("the second version serves", async || {
            let versions: BTreeSet<String> = pods
                .list(&serving)
                .await?
                .items
                .iter()
                .filter_map(|pod| pod.labels().get(LABEL_VERSION).cloned())
                .collect();
            // No later look would make it right again.
            assert!(versions.len() <= 1, "{versions:?} run side by side");
            let version = model.version().await?;
            Ok((version != first && versions.contains(&version)).then_some(()))
        })
        .await?;
        model.ready().await?;
        model.settled().await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_bad_candidate_never_touches_what_serves() -> Result<()> {
    with_namespace("bad-candidate", async |namespace| {
        let model = Model::create(&namespace, "m", model::bundled()).await?;
        model.ready().await?;
        let version = model.version().await?;
        let gateway = namespace.gateway().await?;
        let traffic = Traffic::start(&gateway, &model.address(), 1).await?;

        let missing =
            json!({"spec": {"source": {"oci": {"image": "localhost/atelier/no-such-model:1", "pullPolicy": "Never"}}}});
        model.patch(missing).await?;
        model.condition(types::PROGRESSING, "False", "ImagePullFailed").await?;
        let object = model.get().await?;
        let ready = model::current(&object, types::READY).map(|ready| (&ready.status[..], &ready.reason[..]));
        ensure!(model::current_version(&object)? == version);
        ensure!(ready.is_some_and(|(status, _)| status != "Unknown"), "{ready:?}");
        traffic.answers(2).await?;

        model.patch(json!({"spec": model::bundled()})).await?;
        model.ready().await?;
        ensure!(model.version().await? == version);
        traffic.stop_without_failure().await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_pinned_version_serves_again() -> Result<()> {
    with_namespace("pin", async |namespace| {
        let model = Model::create(&namespace, "m", model::bundled()).await?;
        model.ready().await?;
        let first = model.version().await?;
        model
            .patch(json!({"spec": {"prompt": {"system": "Answer in one word."}}}))
            .await?;
        model.ready().await?;
        model.patch(json!({"spec": {"version": first}})).await?;
        model.ready().await?;
        ensure!(model.version().await? == first);
        model.patch(json!({"spec": {"version": "v-0000000000"}})).await?;
        let message = wait::until("the refusal of an unknown version", async || {
            let object = model.get().await?;
            let conditions = object.status.unwrap_or_default().conditions;
            Ok(conditions
                .into_iter()
                .find(|c| c.reason == "VersionNotFound")
                .map(|c| c.message))
        })
        .await?;
        ensure!(
            message.contains("spec.version") && message.contains("v-0000000000"),
            "{message}"
        );
        ensure!(model.version().await? == first);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn replicas_follow_the_scale_subresource() -> Result<()> {
    with_namespace("scale", async |namespace| {
        let model = Model::create(&namespace, "m", model::bundled()).await?;
        model.ready().await?;
        let version = model.version().await?;
        let models = namespace.api::<LlmModel>();
        for replicas in [2, 0, 1] {
            let change = Patch::Merge(json!({"spec": {"replicas": replicas}}));
            models.patch_scale("m", &PatchParams::default(), &change).await?;
            wait::until("the replicas", async || {
                let scale = models.get_scale("m").await?;
                let pods = namespace.serving_pods("m", &version).await?;
                let alive = pods
                    .iter()
                    .filter(|pod| pod.metadata.deletion_timestamp.is_none())
                    .count();
                let object = model.get().await?;
                let status = object.status.unwrap_or_default();
                let seen = scale.status.is_some_and(|status| status.replicas == replicas);
                Ok(
                    (seen && alive == replicas as usize && status.ready_replicas.unwrap_or(0) == replicas)
                        .then_some(()),
                )
            })
            .await?;
            ensure!(
                model.version().await? == version,
                "a change of replicas is no new version"
            );
        }
        model.ready().await?;
        Ok(())
    })
    .await
}
