//! A version answers questions with known answers before anybody else asks it.

use anyhow::{Context, Result, ensure};
use api::conditions::{self, types};
use api::llmmodel::VersionState;
use atelier_e2e::traffic::Traffic;
use atelier_e2e::{Model, model, wait, with_namespace};
use serde_json::json;

#[tokio::test]
async fn a_version_that_knows_too_little_never_serves() -> Result<()> {
    with_namespace("evaluation", async |namespace| {
        let mut spec = model::bundled();
        let suites = json!([{"name": "facts", "minScore": "0.3", "maxRegression": "0.5"}]);
        spec["rollout"] = json!({"gates": {"evaluation": {"suites": suites}}});
        let model = Model::create(&namespace, "m", spec).await?;
        wait::until("the evaluation", async || {
            let status = model.get().await?.status.unwrap_or_default();
            let is_evaluated = |it: &api::llmmodel::VersionStatus| it.state == VersionState::Evaluating;
            Ok(status.versions.iter().any(is_evaluated).then_some(()))
        })
        .await?;
        let object = model.ready().await?;
        let status = object.status.clone().unwrap_or_default();
        let first = model::current_version(&object)?;
        ensure!(conditions::is_true(&status.conditions, types::EVALUATED), "{:?}", status.conditions);
        let [score] = &status.versions[0].evaluation[..] else {
            anyhow::bail!("{:?}", status.versions)
        };
        ensure!(score.passed && score.suite == "facts" && score.questions == 20, "{score:?}");
        let gateway = namespace.gateway().await?;
        let traffic = Traffic::start(&gateway, &model.address(), 1).await?;

        // It never gets to see the question.
        model.patch(json!({"spec": {"prompt": {"templateOverride": "{{ 'Cheese.' }}"}}})).await?;
        let failed = model.condition(types::EVALUATED, "False", "EvaluationFailed").await?;
        ensure!(failed.message.contains("minScore 0.3"), "{}", failed.message);
        let object = model.get().await?;
        let status = object.status.clone().unwrap_or_default();
        ensure!(model::current_version(&object)? == first && conditions::is_true(&status.conditions, types::READY));
        let rejected = status.versions.iter().find(|it| it.name != first).context("no second version")?;
        ensure!(rejected.state == VersionState::Rejected && !rejected.evaluation[0].passed, "{rejected:?}");
        ensure!(namespace.serving_pods("m", &rejected.name).await?.is_empty(), "it has pods");

        // More is allowed: it is judged by what it scored.
        model
            .patch(json!({"spec": {"rollout": {"gates": {"evaluation": {"suites": [{"name": "facts", "minScore": "0", "maxRegression": "1"}]}}}}}))
            .await?;
        let second = rejected.name.clone();
        wait::until("the version that is good enough now", async || {
            Ok((model.version().await? == second).then_some(()))
        })
        .await?;
        traffic.stop_without_failure().await?;
        Ok(())
    })
    .await
}
