//! A candidate answers in the dark, and nobody notices.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use api::shadowdeployment::Verdict;
use atelier_e2e::{Model, Shadow, installation, model, plugin, shadow, traffic::Traffic, wait, with_namespace};
use serde_json::json;

const PAIRS: &str = "shadow_pair";

#[tokio::test]
async fn a_candidate_answers_in_the_dark_until_there_is_a_verdict() -> Result<()> {
    with_namespace("dark", async |namespace| {
        installation::with_contents().await?;
        let model = Model::create(&namespace, "m", model::bundled()).await?;
        let twin = Model::create(&namespace, "twin", model::bundled()).await?;
        model.ready().await?;
        twin.ready().await?;
        let compare = json!({
            "primary": {"metric": "Errors", "margin": "10%"},
            "guardrails": [{"metric": "RougeL", "margin": "30%"}],
        });
        let spec = shadow::spec(
            "m",
            &json!({"model": "twin"}),
            &compare,
            &json!({"minPairs": 30, "maxPairs": 400}),
        );
        let shadow = Shadow::create(&namespace, "same", spec).await?;
        let gateway = namespace.gateway().await?;
        let address = model.address();
        let ask = move |user, number| shadow::question(&address, (user, number), 6, 0.0);
        let traffic = Traffic::asking(&gateway, 2, ask).await?;

        let early = shadow.pairs(5).await?;
        ensure!(early.verdict.is_none(), "{early:?}");
        let name = &namespace.name;
        let told = plugin::succeed(&["shadow", "report", "same", "--namespace", name]).await?;
        ensure!(told.contains("no verdict yet") && told.contains("Errors"), "{told}");

        let (verdict, status) = shadow.verdict().await?;
        traffic.answers(2).await?;
        traffic.stop_without_failure().await?;
        ensure!(verdict == Verdict::Promote, "{status:#?}");
        let report = shadow.report().await?;
        ensure!(
            report["verdict"] == "Promote" && report["pairs"].as_u64() >= Some(30),
            "{report:#}"
        );
        ensure!(
            report["content"] == "withheld",
            "words were kept: {}",
            report["content"]
        );
        let told = plugin::succeed(&["shadow", "report", "same", "--namespace", name]).await?;
        ensure!(told.contains("Promote (NotWorse)") && told.contains("RougeL"), "{told}");
        let page = plugin::succeed(&["shadow", "report", "same", "--namespace", name, "--output", "html"]).await?;
        ensure!(
            page.starts_with("<!DOCTYPE html>") && !page.contains("<script"),
            "{page}"
        );
        let listed = plugin::succeed(&["shadow", "list", "--namespace", name]).await?;
        ensure!(listed.contains("twin") && listed.contains("NotWorse"), "{listed}");

        // With the verdict nothing is copied any more.
        let uid = shadow.get().await?.metadata.uid.context("no uid")?;
        // What was under way then still ends.
        let mut before = 0;
        wait::until("the last copies to end", async || {
            let earlier = std::mem::replace(&mut before, shadow::rows(PAIRS, &uid).await?);
            tokio::time::sleep(Duration::from_secs(2)).await;
            Ok((before == earlier).then_some(()))
        })
        .await?;
        ensure!(before >= 30, "the test looks where nothing is");
        gateway.ask(&model.address(), "Is anybody else listening?").await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let after = shadow::rows(PAIRS, &uid).await?;
        ensure!(
            after == before,
            "{} requests were copied after the verdict",
            after - before
        );

        // With the object all of its numbers go.
        shadow.delete().await?;
        wait::until("pairs to be gone", async || {
            Ok((shadow::rows(PAIRS, &uid).await? == 0).then_some(()))
        })
        .await
    })
    .await
}
