//! Engines of others in place of our worker.

use anyhow::{Context, Result, ensure};
use api::conditions::types;
use atelier_e2e::settings::{ENGINE_IMAGE, MODEL_IMAGE};
use atelier_e2e::traffic::Traffic;
use atelier_e2e::{Model, model, wait, with_namespace};
use serde_json::{Value, json};

const PORT: u16 = 8081;

fn llama(more: &[&str]) -> Value {
    let port = PORT.to_string();
    let mut args = vec![
        "--model",
        "$(MODEL_PATH)",
        "--alias",
        "$(SERVED_NAME)",
        "--ctx-size",
        "1024",
    ];
    args.extend(["--parallel", "2", "--host", "0.0.0.0", "--port", &port, "--metrics"]);
    args.extend(more);
    json!({"image": ENGINE_IMAGE, "port": PORT, "args": args})
}

fn served_by(engine: &Value) -> Value {
    json!({
        "source": {"oci": {"image": MODEL_IMAGE, "pullPolicy": "Never"}},
        "engine": {"openAICompatible": engine},
        "resources": {"cpu": "100m"},
    })
}

#[tokio::test]
#[ignore = "builds llama.cpp: cargo xtask e2e calm --peers --case another_engine"]
async fn another_engine_takes_over_without_a_failed_request() -> Result<()> {
    with_namespace("engines", async |namespace| {
        let model = Model::create(&namespace, "m", model::bundled()).await?;
        model.ready().await?;
        let ours = model.version().await?;
        let gateway = namespace.gateway().await?;
        let always = Traffic::start(&gateway, &model.address(), 1).await?;

        model
            .patch(json!({"spec": {"engine": {"atelier": null, "openAICompatible": llama(&[])}}}))
            .await?;
        wait::until("llama.cpp to serve", async || {
            Ok((model.version().await? != ours).then_some(()))
        })
        .await?;
        let answer = gateway.ask(&model.address(), "Name the capital city of France.").await?;
        ensure!(answer.contains("Paris"), "{answer}");
        let streamed = gateway.stream(&model.address(), "Count to three.", 16).await?;
        ensure!(!streamed.text.is_empty(), "nothing was streamed");
        always.answers(6).await?;

        // And back to the very version that was there before.
        model
            .patch(json!({"spec": {"engine": {"openAICompatible": null, "atelier": model::bundled()["engine"]["atelier"]}}}))
            .await?;
        wait::until("our engine to serve again", async || {
            Ok((model.version().await? == ours).then_some(()))
        })
        .await?;
        always.answers(2).await?;
        always.stop_without_failure().await?;
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "builds llama.cpp: cargo xtask e2e calm --peers --case what_another_engine"]
async fn what_another_engine_says_when_it_fails_is_passed_on() -> Result<()> {
    with_namespace("engine-fails", async |namespace| {
        let model = Model::create(&namespace, "m", served_by(&llama(&["--no-such-flag"]))).await?;
        let condition = model.condition(types::READY, "False", "CrashLoop").await?;
        ensure!(condition.message.contains("no-such-flag"), "{}", condition.message);

        model
            .patch(json!({"spec": {"engine": {"openAICompatible": llama(&[])}}}))
            .await?;
        let object = model.ready().await?;
        let status = object.status.context("no status")?;
        ensure!(status.current_version.is_some(), "{status:?}");
        Ok(())
    })
    .await
}
