//! A new version gets a growing share of the traffic, with users who never stop asking.

use anyhow::{Context, Result, ensure};
use api::conditions::{self, types};
use api::names::ANNOTATION_PROMOTE;
use atelier_e2e::traffic::Traffic;
use atelier_e2e::{Model, kubectl, model, wait, with_namespace};
use rstest::rstest;
use serde_json::{Value, json};

/// The bundled model with a strategy, and objectives that it surely holds.
fn spec(steps: &Value, slo: &Value) -> Value {
    let mut spec = model::bundled();
    spec["rollout"] = json!({"strategy": "Canary", "canary": {"steps": steps}});
    spec["monitoring"] = json!({"slo": slo});
    spec
}

async fn step(model: &Model, wanted: i32) -> Result<(String, i32)> {
    wait::until(&format!("step {wanted} of the canary"), async || {
        let status = model.get().await?.status.unwrap_or_default();
        let canary = status.canary.filter(|canary| canary.step == wanted);
        Ok(canary.map(|canary| (canary.version, canary.weight)))
    })
    .await
}

#[tokio::test]
async fn a_canary_goes_to_all_of_the_traffic_and_fails_no_request() -> Result<()> {
    with_namespace("canary", async |namespace| {
        let steps =
            json!([{"weight": 20, "pause": "3s"}, {"weight": 60, "gate": "Slo"}, {"weight": 90, "gate": "Manual"}]);
        let slo = json!({"ttftP95": "1h", "errorRate": "1%"});
        let model = Model::create(&namespace, "m", spec(&steps, &slo)).await?;
        model.ready().await?;
        let first = model.version().await?;
        let gateway = namespace.gateway().await?;
        let traffic = Traffic::start(&gateway, &model.address(), 2).await?;

        model
            .patch(json!({"spec": {"prompt": {"system": "Be brief."}}}))
            .await?;
        let (second, weight) = step(&model, 1).await?;
        ensure!(weight == 20 && second != first);
        ensure!(model.version().await? == first, "the candidate took over at once");
        ensure!(step(&model, 2).await?.1 == 60);
        let object = model.get().await?;
        let status = object.status.clone().unwrap_or_default();
        let state = status
            .versions
            .iter()
            .find(|it| it.name == second)
            .map(|it| (it.state, it.canary_step));
        ensure!(
            state == Some((api::llmmodel::VersionState::Canary, Some(2))),
            "{state:?}"
        );
        let table = kubectl::succeed(
            &["get", "llm", "m", "--output", "wide", "--namespace", &namespace.name],
            "",
        )
        .await?;
        ensure!(
            table.contains("ServingPreviousVersion") && table.contains(&second),
            "{table}"
        );

        // The objectives hold, so the last step comes; a person's word ends it.
        step(&model, 3).await?;
        let progressing = model.condition(types::PROGRESSING, "True", "Canary").await?;
        let word = format!("{second}/3");
        ensure!(progressing.message.contains(&word), "{}", progressing.message);
        traffic.answers(5).await?;
        ensure!(model.version().await? == first, "nobody promoted it");
        model
            .patch(json!({"metadata": {"annotations": {ANNOTATION_PROMOTE: word}}}))
            .await?;
        model.ready().await?;
        ensure!(model.version().await? == second);
        ensure!(model.get().await?.status.unwrap_or_default().canary.is_none());
        model.settled().await?;
        traffic.answers(4).await?;
        traffic.stop_without_failure().await?;

        // Back at once, without a trial, by a pin.
        model.patch(json!({"spec": {"version": first}})).await?;
        model.ready().await?;
        ensure!(model.version().await? == first);
        Ok(())
    })
    .await
}

#[rstest]
// Nothing answers within a millisecond.
#[case::slow("slow", json!({"ttftP95": "1ms"}), json!({"system": "Be brief."}), "took longer than the 1 ms")]
#[case::erroring("erroring", json!({"errorRate": "1%"}), json!({"templateOverride": "{{ raise_exception('broken') }}"}), "requests failed")]
#[tokio::test]
async fn a_canary_that_breaks_its_objectives_is_stopped_and_fails_no_request(
    #[case] name: &str,
    #[case] slo: Value,
    #[case] prompt: Value,
    #[case] why: &str,
) -> Result<()> {
    with_namespace(&format!("canary-{name}"), async |namespace| {
        let steps = json!([{"weight": 50, "pause": "1h"}]);
        let model = Model::create(&namespace, "m", spec(&steps, &slo)).await?;
        model.ready().await?;
        let first = model.version().await?;
        let gateway = namespace.gateway().await?;
        let traffic = Traffic::start(&gateway, &model.address(), 2).await?;

        model.patch(json!({"spec": {"prompt": prompt}})).await?;
        let stopped = model.condition(types::PROGRESSING, "False", "CanaryStopped").await?;
        ensure!(stopped.message.contains(why), "{}", stopped.message);
        let object = model.get().await?;
        let status = object.status.clone().unwrap_or_default();
        ensure!(status.canary.is_none() && model::current_version(&object)? == first);
        ensure!(conditions::is_true(&status.conditions, types::READY));
        let rejected = status
            .versions
            .iter()
            .find(|it| it.name != first)
            .context("no second version")?;
        ensure!(
            rejected.state == api::llmmodel::VersionState::Rejected,
            "{:?}",
            rejected.state
        );
        ensure!(
            rejected.message.as_deref().is_some_and(|text| text.contains(why)),
            "{rejected:?}"
        );
        model.settled().await?;
        let told = kubectl::succeed(&["describe", "llm", "m", "--namespace", &namespace.name], "").await?;
        ensure!(
            told.contains("CanaryStopped") && told.contains("change the spec"),
            "{told}"
        );

        // The same version is not tried again; the spec of before is fine.
        model.patch(json!({"spec": {"prompt": null}})).await?;
        model.ready().await?;
        ensure!(model.version().await? == first);
        traffic.answers(4).await?;
        traffic.stop_without_failure().await?;
        Ok(())
    })
    .await
}
