//! What goes wrong outside of the weights is told in words that help, and is forgotten when it is mended.

use anyhow::{Result, ensure};
use api::conditions::types;
use atelier_e2e::{Model, kubectl, model, wait, with_namespace};
use k8s_openapi::api::core::v1::{ResourceQuota, ServiceAccount};
use kube::api::DeleteParams;
use rstest::rstest;
use serde_json::{Value, json};

/// A spec that asks for an object which is not there, and what is said of it.
#[rstest]
#[case::account(
    json!({"podOverrides": {"serviceAccountName": "nobody"}}),
    "ServiceAccount nobody, which spec.podOverrides.serviceAccountName names"
)]
#[case::priority(
    json!({"placement": {"priorityClassName": "urgent"}}),
    "PriorityClass urgent, which spec.placement.priorityClassName names"
)]
#[case::secret(
    json!({"source": {"oci": null, "http": {
        "url": "http://10.77.0.1:1/model.gguf", "sha256": "0".repeat(64), "headersSecretRef": {"name": "tokens"},
    }}}),
    "Secret tokens that spec.source.http.headersSecretRef names"
)]
#[tokio::test]
async fn what_is_missing_is_named(#[case] change: Value, #[case] words: &str) -> Result<()> {
    with_namespace("missing", async |namespace| {
        let mut spec = model::bundled();
        merge(&mut spec, &change);
        let model = Model::create(&namespace, "m", spec).await?;
        let message = model.not_ready("ReferenceNotFound").await?;
        ensure!(message.contains(words), "{message}");
        if words.starts_with("ServiceAccount") {
            let account = json!({"metadata": {"name": "nobody"}});
            namespace.create_object::<ServiceAccount>(account).await?;
            model.ready().await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_quota_that_is_used_up_is_told_and_does_not_touch_what_serves() -> Result<()> {
    with_namespace("quota", async |namespace| {
        let model = Model::create(&namespace, "m", model::bundled()).await?;
        model.ready().await?;
        let first = model.version().await?;
        // What it serves with, and no more.
        let quota = json!({"metadata": {"name": "small"}, "spec": {"hard": {"pods": "1"}}});
        namespace.create_object::<ResourceQuota>(quota).await?;
        model
            .patch(json!({"spec": {"prompt": {"system": "Be brief."}}}))
            .await?;
        let told = model.condition(types::PROGRESSING, "False", "ApiError").await?;
        ensure!(
            told.message.contains("exceeded quota: small") && told.message.contains("raise the quota"),
            "{}",
            told.message
        );
        ensure!(model.version().await? == first, "another version serves");
        let quotas = namespace.api::<ResourceQuota>();
        quotas.delete("small", &DeleteParams::default()).await?;
        wait::until("the version that had no room", async || {
            Ok((model.version().await? != first).then_some(()))
        })
        .await?;
        model.ready().await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_worker_that_ends_at_once_is_quoted() -> Result<()> {
    with_namespace("crash", async |namespace| {
        let mut spec = model::bundled();
        spec["prompt"] = json!({"templateOverride": "{% for message in messages %}"});
        let model = Model::create(&namespace, "m", spec).await?;
        let message = model.not_ready("CrashLoop").await?;
        ensure!(
            message.contains("template") && !message.contains("timestamp"),
            "{message}"
        );
        let shown = kubectl::succeed(&["get", "llm", "m", "--namespace", &namespace.name], "").await?;
        ensure!(shown.contains("CrashLoop"), "{shown}");
        model.patch(json!({"spec": {"prompt": null}})).await?;
        model.ready().await?;
        Ok(())
    })
    .await
}

/// A merge patch, as the API server does it.
fn merge(object: &mut Value, change: &Value) {
    let Some(fields) = change.as_object() else {
        *object = change.clone();
        return;
    };
    for (key, value) in fields {
        if value.is_null() {
            object.as_object_mut().map(|object| object.remove(key));
        } else {
            merge(&mut object[key], value);
        }
    }
}
