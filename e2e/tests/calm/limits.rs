//! What callers may use of a model, and who answers in its place.

use anyhow::{Context, Result, ensure};
use api::conditions::types;
use atelier_e2e::gateway::question;
use atelier_e2e::{Model, model, wait, with_namespace};
use reqwest::StatusCode;
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

/// The bundled model with more of a spec.
fn bundled_with(more: Value) -> Result<Value> {
    let mut spec = model::bundled();
    let fields = spec.as_object_mut().context("a spec is an object")?;
    fields.extend(more.as_object().context("so is the rest")?.clone());
    Ok(spec)
}

#[tokio::test]
async fn callers_use_what_the_spec_allows_and_hear_when_there_is_more() -> Result<()> {
    with_namespace("limits", async |namespace| {
        let limits = json!({"limits": {"perUser": {"requestsPerMinute": 3}, "maxTokens": 4}});
        let model = Model::create(&namespace, "m", bundled_with(limits)?).await?;
        model.ready().await?;
        let jane = namespace.gateway().await?;
        for asked in [2, 64, 64] {
            let body = question(&model.address(), "Count to twenty.", asked, false);
            let (status, answer) = jane.send(CHAT, &body).await?;
            ensure!(status == StatusCode::OK, "{status} {answer}");
            let used = answer["usage"]["completion_tokens"].as_u64().context("no usage")?;
            ensure!(used == u64::from(asked.min(4)), "{answer}");
            ensure!(answer["choices"][0]["finish_reason"] == "length", "{answer}");
        }
        let body = question(&model.address(), "Count to twenty.", 2, false);
        let response = jane.post(CHAT, body.to_string()).await?;
        ensure!(
            response.status() == StatusCode::TOO_MANY_REQUESTS,
            "{}",
            response.status()
        );
        let wait = response.headers().get("retry-after").context("no retry-after")?;
        let wait: u64 = wait.to_str()?.parse()?;
        ensure!((1..=61).contains(&wait), "{wait}");
        let refusal: Value = serde_json::from_str(&response.text().await?)?;
        ensure!(refusal["error"]["code"] == "rate_limit_exceeded", "{refusal}");

        // A higher limit holds at once, and no version changes for it.
        let version = model.version().await?;
        model
            .patch(json!({"spec": {"limits": {"perUser": {"requestsPerMinute": 100}}}}))
            .await?;
        wait::until("the higher limit to hold", async || {
            let (status, _) = jane.send(CHAT, &body).await?;
            Ok((status == StatusCode::OK).then_some(()))
        })
        .await?;
        ensure!(model.version().await? == version, "limits are no part of a version");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn another_model_answers_for_one_that_is_down() -> Result<()> {
    with_namespace("fallback", async |namespace| {
        let other = Model::create(&namespace, "other", model::bundled()).await?;
        let down = json!({"replicas": 0, "fallback": [{"model": "missing"}, {"model": "other"}]});
        let down = Model::create(&namespace, "down", bundled_with(down)?).await?;
        other.ready().await?;
        down.condition(types::SERVING, "False", "ScaledToZero").await?;
        let gateway = namespace.gateway().await?;
        let body = question(&down.address(), "Name the capital city of France.", 24, false);
        let response = gateway.post(CHAT, body.to_string()).await?;
        ensure!(response.status() == StatusCode::OK, "{}", response.status());
        let by = response.headers().get("x-atelier-answered-by").context("unsigned")?;
        ensure!(by.to_str()? == other.address(), "{by:?}");
        let answer = response.text().await?;
        ensure!(answer.contains("Paris"), "{answer}");

        // Who insists on this very model's version is told about this very model.
        let versioned = format!("{}@{}", down.address(), other.version().await?);
        let (status, answer) = gateway.chat(&versioned, "Hello").await?;
        ensure!(!status.is_success(), "{answer}");
        Ok(())
    })
    .await
}
