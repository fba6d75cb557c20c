//! A rollout that waits for verdicts by itself.

use anyhow::{Context, Result, ensure};
use api::conditions::types;
use api::llmmodel::VersionState;
use atelier_e2e::{Model, Shadow, installation, model, shadow, traffic::Traffic, with_namespace};
use serde_json::json;

#[tokio::test]
async fn a_version_takes_over_when_its_answers_are_no_worse_and_otherwise_never() -> Result<()> {
    with_namespace("shadow-gate", async |namespace| {
        installation::with_contents().await?;
        let compare = json!({"primary": {"metric": "Errors", "margin": "10%"}});
        let stop = json!({"minPairs": 30, "maxPairs": 400});
        Shadow::template(&namespace, "usual", "m", &compare, &stop).await?;
        let mut spec = model::bundled();
        spec["rollout"] = json!({"gates": {"shadow": {"template": "usual"}}});
        let model = Model::create(&namespace, "m", spec).await?;
        model.ready().await?;
        let first = model.version().await?;
        let gateway = namespace.gateway().await?;
        let address = model.address();
        let ask = move |user, number| shadow::question(&address, (user, number), 6, 0.0);
        let traffic = Traffic::asking(&gateway, 2, ask).await?;

        // Its prompts cannot be written.
        let broken = json!({"templateOverride": "{{ raise_exception('broken') }}"});
        model.patch(json!({"spec": {"prompt": broken}})).await?;
        let stopped = model.condition(types::PROGRESSING, "False", "ShadowRejected").await?;
        ensure!(
            stopped.message.contains("Errors") && stopped.message.contains("change the spec"),
            "{}",
            stopped.message
        );
        ensure!(model.version().await? == first, "a broken version serves");
        let status = model.get().await?.status.unwrap_or_default();
        let rejected = status
            .versions
            .iter()
            .find(|it| it.name != first)
            .context("no second version")?;
        ensure!(rejected.state == VersionState::Rejected, "{rejected:?}");

        model
            .patch(json!({"spec": {"prompt": {"templateOverride": null, "system": "Be brief."}}}))
            .await?;
        model.ready().await?;
        let second = model.version().await?;
        ensure!(second != first && second != rejected.name, "{second} serves");
        traffic.answers(3).await?;
        traffic.stop_without_failure().await?;
        Ok(())
    })
    .await
}
