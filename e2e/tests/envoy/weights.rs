//! A model's own route: users who come by Envoy get the model's words, and each version its share of them.

use anyhow::{Result, ensure};
use api::conditions::types;
use api::names::ANNOTATION_PROMOTE;
use atelier_e2e::envoy::{self, CONTROLLER, Envoy, with_envoy};
use atelier_e2e::traffic::Traffic;
use atelier_e2e::{Model, Namespace, model, wait, with_namespace};
use reqwest::StatusCode;
use serde_json::json;

use crate::ALONE;
use crate::count::{grows, is_share, question, settled, told};

/// Answers that shares are counted from.
const ANSWERS: u64 = 400;
const HOST: &str = "m.example.com";

#[tokio::test]
#[ignore = "builds Envoy Gateway: cargo xtask e2e envoy"]
async fn envoy_leads_users_to_the_versions_of_a_model_by_their_weights() -> Result<()> {
    let _alone = ALONE.lock().await;
    with_namespace("weights", async |namespace| {
        with_envoy(async |envoy| go_through(&namespace, &envoy).await).await
    })
    .await
}

async fn go_through(namespace: &Namespace, envoy: &Envoy) -> Result<()> {
    let mut spec = model::bundled();
    spec["engine"]["atelier"]["maxConcurrentSequences"] = json!(4);
    spec["rollout"] = json!({"strategy": "Canary", "canary": {"steps": [{"weight": 30, "gate": "Manual"}]}});
    spec["route"] = envoy::route(&[HOST]);
    let model = Model::create(namespace, "m", spec).await?;
    model.ready().await?;
    model.condition(types::ROUTE_ACCEPTED, "True", "RouteAccepted").await?;
    let [(controller, conditions)] = &told(namespace, "m").await?[..] else {
        anyhow::bail!("not one controller has looked at the route");
    };
    ensure!(
        controller == CONTROLLER && conditions.contains(&"ResolvedRefs".into()),
        "{conditions:?}"
    );

    // Its words are those that it has for users of Atelier's gateway.
    let users = envoy.users(HOST)?;
    let asked = "What is the capital of France?";
    let words = wait::until("an answer by Envoy", async || users.ask("m", asked).await.map(Some)).await?;
    let same = namespace.gateway().await?.ask(&model.address(), asked).await?;
    println!("by Envoy: {words:?}");
    ensure!(words == same && !words.is_empty(), "{words:?} is not {same:?}");
    // Other hosts and other paths are nobody's.
    for (users, path) in [
        (envoy.users("other.example.com")?, "/v1/models"),
        (users.clone(), "/metrics"),
    ] {
        let status = users.get(path).await?.status();
        ensure!(status == StatusCode::NOT_FOUND, "{path} answered {status}");
    }

    let first = model.version().await?;
    let always = Traffic::asking(&users, 2, question).await?;
    model
        .patch(json!({"spec": {"prompt": {"system": "Be brief."}}}))
        .await?;
    let second = wait::until("the canary", async || {
        let status = model.get().await?.status.unwrap_or_default();
        Ok(status.canary.map(|canary| canary.version))
    })
    .await?;
    model.condition(types::ROUTE_ACCEPTED, "True", "RouteAccepted").await?;
    grows(namespace, "m", &second).await?;
    let during = always.stop_without_failure().await?;

    let before = (
        settled(namespace, "m", &first).await?,
        settled(namespace, "m", &second).await?,
    );
    let traffic = Traffic::asking(&users, 4, question).await?;
    traffic.answers(ANSWERS).await?;
    let all = traffic.stop_without_failure().await?;
    let old = settled(namespace, "m", &first).await? - before.0;
    let new = settled(namespace, "m", &second).await? - before.1;
    is_share("the canary's weight", new.answers, all, 0.3)?;
    ensure!(old.answers + new.answers == all, "{old:?} and {new:?} of {all}");

    // A person promotes it while users go on.
    let always = Traffic::asking(&users, 2, question).await?;
    model
        .patch(json!({"metadata": {"annotations": {ANNOTATION_PROMOTE: format!("{second}/1")}}}))
        .await?;
    model.ready().await?;
    ensure!(model.version().await? == second);
    model.condition(types::ROUTE_ACCEPTED, "True", "RouteAccepted").await?;
    model.settled().await?;
    always.answers(20).await?;
    let after = always.stop_without_failure().await?;
    println!("{during} answers while the canary came and {after} while it took over, 0 failed");
    Ok(())
}
