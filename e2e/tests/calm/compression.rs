//! Weights that are made smaller before they are served, and those that lose too much.

use anyhow::{Context, Result, ensure};
use api::conditions::{self, types};
use api::llmmodel::{VersionState, VersionStatus};
use atelier_e2e::traffic::Traffic;
use atelier_e2e::{Model, Namespace, model, wait, with_namespace};
use k8s_openapi::api::core::v1::{Event, PersistentVolumeClaim};
use kube::api::ListParams;
use serde_json::{Value, json};

const QUESTION: &str = "Name the capital city of France.";

/// The bundled model in four bits.
fn int4(limit: &str) -> Value {
    let mut spec = model::bundled();
    spec["compress"] = json!({"quantization": "Int4", "method": "HQQ", "maxPerplexityIncrease": limit});
    spec
}

/// The file has 4 bits in groups of 32 already, so that costs nothing; larger groups do.
fn lossy(limit: &str) -> Value {
    let mut spec = int4(limit);
    spec["compress"]["groupSize"] = json!(128);
    spec
}

/// A percentage as a number.
fn percent(text: &str) -> Result<f64> {
    let digits = text
        .strip_suffix('%')
        .with_context(|| format!("{text:?} is no percentage"))?;
    digits.parse().with_context(|| format!("{text:?} is no percentage"))
}

/// Perplexities before and after, as far as they belong together.
fn perplexities(version: &VersionStatus) -> Result<(f64, f64)> {
    let change = version.perplexity.as_ref().context("no perplexity in the status")?;
    let (before, after): (f64, f64) = (change.before.parse()?, change.after.parse()?);
    let increase = (after / before - 1.0) * 100.0;
    ensure!((increase - percent(&change.increase)?).abs() < 0.05, "{change:?}");
    Ok((before, after))
}

async fn claims(namespace: &Namespace) -> Result<Vec<String>> {
    let children = namespace.children().await?;
    let names = children
        .iter()
        .filter_map(|child| child.strip_prefix("PersistentVolumeClaim/"));
    Ok(names.map(Into::into).collect())
}

#[tokio::test]
async fn compressed_weights_serve_and_the_status_says_what_that_cost() -> Result<()> {
    with_namespace("compress", async |namespace| {
        let model = Model::create(&namespace, "m", int4("10%")).await?;
        model.condition(types::READY, "False", "Preparing").await?;
        model.condition(types::COMPRESSED, "False", "Compressing").await?;
        let object = model.ready().await?;
        let status = object.status.unwrap_or_default();
        let [version] = &status.versions[..] else {
            anyhow::bail!("one version is expected: {:#?}", status.versions)
        };
        ensure!(version.state == VersionState::Serving, "{version:?}");
        let (before, after) = perplexities(version)?;
        ensure!(1.0 < before && before < after * 1.5, "{before} and {after}");
        ensure!(conditions::is_true(&status.conditions, types::COMPRESSED));
        let answer = namespace.gateway().await?.ask(&model.address(), QUESTION).await?;
        ensure!(answer.contains("Paris"), "{answer}");

        // Another prompt is another version over the same weights.
        let [claim] = &claims(&namespace).await?[..] else {
            anyhow::bail!("one claim is expected")
        };
        model
            .patch(json!({"spec": {"prompt": {"system": "Answer in one word."}}}))
            .await?;
        model.ready().await?;
        ensure!(claims(&namespace).await? == [claim.as_str()]);
        // They go with the model.
        namespace.delete_model("m").await?;
        wait::until("the claim to be gone", async || {
            Ok(claims(&namespace).await?.is_empty().then_some(()))
        })
        .await
    })
    .await
}

#[tokio::test]
async fn too_great_a_loss_is_rejected_with_evidence_while_the_version_before_serves() -> Result<()> {
    with_namespace("gate", async |namespace| {
        let model = Model::create(&namespace, "m", model::bundled()).await?;
        model.ready().await?;
        let first = model.version().await?;
        let gateway = namespace.gateway().await?;
        let traffic = Traffic::start(&gateway, &model.address(), 1).await?;

        model.patch(json!({"spec": lossy("0.1%")})).await?;
        let condition = model
            .condition(types::PROGRESSING, "False", "PerplexityExceeded")
            .await?;
        for part in ["0.1%", "spec.compress.maxPerplexityIncrease", "Int4 by HQQ"] {
            ensure!(condition.message.contains(part), "{}", condition.message);
        }
        let rejected = wait::until("the evidence", async || {
            let versions = model.get().await?.status.unwrap_or_default().versions;
            Ok(versions
                .into_iter()
                .find(|version| version.state == VersionState::Rejected))
        })
        .await?;
        ensure!(rejected.reason.as_deref() == Some("PerplexityExceeded"), "{rejected:?}");
        let (before, after) = perplexities(&rejected)?;
        ensure!(after > before * 1.001, "{before} and {after}");
        ensure!(rejected.perplexity.is_some_and(|change| change.limit == "0.1%"));
        ensure!(model.version().await? == first);

        // What was tried leaves nothing but the evidence, and is told once.
        wait::until("the Job and the claim to be gone", async || {
            let children = namespace.children().await?;
            let left = children
                .iter()
                .any(|child| child.contains("prepare") || child.starts_with("PersistentVolumeClaim"));
            Ok((!left).then_some(()))
        })
        .await?;
        let events = namespace.api::<Event>().list(&ListParams::default()).await?;
        let told: Vec<_> = events
            .iter()
            .filter(|event| event.reason.as_deref() == Some("PerplexityExceeded"))
            .collect();
        ensure!(told.len() == 1 && told[0].count.unwrap_or(1) <= 1, "{told:#?}");
        traffic.answers(2).await?;

        // More is allowed: the same compression serves.
        model.patch(json!({"spec": lossy("100%")})).await?;
        model.ready().await?;
        ensure!(model.version().await? != first);
        traffic.stop_without_failure().await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_claim_of_somebody_else_is_not_written_to() -> Result<()> {
    with_namespace("foreign-claim", async |namespace| {
        let model = Model::create(&namespace, "m", int4("10%")).await?;
        let claim = wait::until("the claim", async || Ok(claims(&namespace).await?.pop())).await?;
        namespace.delete_model("m").await?;
        wait::until("the claim to be gone", async || {
            Ok(claims(&namespace).await?.is_empty().then_some(()))
        })
        .await?;
        namespace
            .create_object::<PersistentVolumeClaim>(json!({
                "metadata": {"name": claim},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
            }))
            .await?;
        let model = Model::create(&namespace, &model.name, int4("10%")).await?;
        let message = model.not_ready("NameConflict").await?;
        ensure!(message.contains(&claim), "{message}");
        Ok(())
    })
    .await
}
