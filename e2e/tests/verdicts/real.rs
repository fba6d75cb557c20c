//! Candidates made of the bundled model: the same, in four bits, with layers left out, slow, and one that hardly anybody asks.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use api::shadowdeployment::{ShadowDeploymentStatus, Verdict};
use atelier_e2e::{Model, Namespace, Shadow, installation, model, plugin, shadow, traffic::Traffic, with_namespace};
use serde_json::{Value, json};

use crate::ALONE;

/// How free answers are where two of one model are to differ.
const FREE: f64 = 0.8;

/// The bundled model for as many users as ask here.
fn bundled() -> Value {
    let mut spec = model::bundled();
    spec["engine"]["atelier"]["maxConcurrentSequences"] = json!(8);
    spec
}

/// What users do while a verdict is waited for.
struct Users {
    count: u64,
    tokens: u32,
    temperature: f64,
}

/// Lets users ask `m` until `shadow` has its verdict. None of them may notice anything.
async fn verdict(namespace: &Namespace, shadow: &Shadow, users: Users) -> Result<(Verdict, ShadowDeploymentStatus)> {
    let gateway = namespace.gateway().await?;
    let address = format!("{}/m", namespace.name);
    let Users {
        count,
        tokens,
        temperature,
    } = users;
    let ask = move |user, number| shadow::question(&address, (user, number), tokens, temperature);
    let began = Instant::now();
    let traffic = Traffic::asking(&gateway, count, ask).await?;
    let (verdict, status) = shadow.verdict().await?;
    let answered = traffic.stop_without_failure().await?;
    println!(
        "{}: {verdict:?} ({}) after {} pairs and {:.0} s; {} dropped, {answered} answers to users, 0 of them failed",
        shadow.name,
        status.reason.as_deref().unwrap_or_default(),
        status.pairs.unwrap_or_default(),
        began.elapsed().as_secs_f64(),
        status.dropped.unwrap_or_default(),
    );
    let report = ["shadow", "report", &shadow.name, "--namespace", &namespace.name];
    println!("{}", plugin::succeed(&report).await?);
    if let Ok(directory) = std::env::var("ATELIER_REPORTS_DIR") {
        let page = plugin::succeed(&[&report[..], &["--output", "html"]].concat()).await?;
        std::fs::write(format!("{directory}/{}.html", shadow.name), page)?;
    }
    Ok((verdict, status))
}

/// What most candidates are held against.
fn usual() -> Value {
    json!({
        "primary": {"metric": "RougeL", "margin": "5%"},
        "guardrails": [
            {"metric": "Errors", "margin": "5%"},
            {"metric": "Length", "margin": "20%"},
            {"metric": "TTFT", "margin": "100%"},
        ],
    })
}

#[tokio::test]
#[ignore = "hundreds of pairs: cargo xtask e2e verdicts"]
async fn the_same_model_is_never_rejected() -> Result<()> {
    let _alone = ALONE.lock().await;
    with_namespace("same", async |namespace| {
        installation::with_database().await?;
        Model::create(&namespace, "m", bundled()).await?.ready().await?;
        Model::create(&namespace, "twin", bundled()).await?.ready().await?;
        // Answers of one model to one question differ as much as those of two, or not at all.
        for (name, temperature) in [("same-free", FREE), ("same-strict", 0.0), ("same-free-again", FREE)] {
            let stop = json!({"minPairs": 100, "maxPairs": 600});
            let spec = shadow::spec("m", &json!({"model": "twin"}), &usual(), &stop);
            let shadow = Shadow::create(&namespace, name, spec).await?;
            let users = Users {
                count: 4,
                tokens: 12,
                temperature,
            };
            let (verdict, status) = verdict(&namespace, &shadow, users).await?;
            ensure!(verdict != Verdict::Reject, "{name}: {status:#?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "hundreds of pairs: cargo xtask e2e verdicts"]
async fn four_bits_are_no_worse_than_a_margin_of_five_percent() -> Result<()> {
    let _alone = ALONE.lock().await;
    with_namespace("int4", async |namespace| {
        installation::with_database().await?;
        Model::create(&namespace, "m", bundled()).await?.ready().await?;
        let mut spec = bundled();
        // The file has four bits in the same groups: what differs is what is computed with. Larger groups lose so much that
        // they are rejected.
        spec["compress"] = json!({"quantization": "Int4", "method": "HQQ", "maxPerplexityIncrease": "10%"});
        Model::create(&namespace, "int4", spec).await?.ready().await?;
        let compare = json!({
            // Of all that answers can be held against, this needs the fewest pairs: both models read the same words.
            "primary": {"metric": "CrossPerplexity", "margin": "5%"},
            "guardrails": [{"metric": "Errors", "margin": "5%"}, {"metric": "Refusals", "margin": "5%"}],
        });
        let stop = json!({"minPairs": 100, "maxPairs": 3000});
        let spec = shadow::spec("m", &json!({"model": "int4"}), &compare, &stop);
        let shadow = Shadow::create(&namespace, "int4", spec).await?;
        let users = Users {
            count: 4,
            tokens: 24,
            temperature: FREE,
        };
        let (verdict, status) = verdict(&namespace, &shadow, users).await?;
        ensure!(verdict == Verdict::Promote, "{status:#?}");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "hundreds of pairs: cargo xtask e2e verdicts"]
async fn a_model_with_layers_left_out_is_rejected_by_what_it_says() -> Result<()> {
    let _alone = ALONE.lock().await;
    with_namespace("pruned", async |namespace| {
        installation::with_database().await?;
        Model::create(&namespace, "m", bundled()).await?.ready().await?;
        let mut spec = bundled();
        spec["compress"] = json!({
            "pruning": {"method": "Structured", "structure": "Layers", "sparsity": "10%"},
            "maxPerplexityIncrease": "100%",
        });
        Model::create(&namespace, "pruned", spec).await?.ready().await?;
        let stop = json!({"minPairs": 50, "maxPairs": 500});
        let spec = shadow::spec("m", &json!({"model": "pruned"}), &usual(), &stop);
        let shadow = Shadow::create(&namespace, "pruned", spec).await?;
        let users = Users {
            count: 4,
            tokens: 12,
            temperature: FREE,
        };
        let (verdict, status) = verdict(&namespace, &shadow, users).await?;
        ensure!(verdict == Verdict::Reject && status.pairs <= Some(500), "{status:#?}");
        let report = shadow.report().await?;
        let message = report["message"].as_str().unwrap_or_default();
        ensure!(
            message.contains("RougeL is worse") || message.contains("Length is worse"),
            "{message}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "hundreds of pairs: cargo xtask e2e verdicts"]
async fn a_model_that_answers_one_at_a_time_is_rejected_by_its_time_to_the_first_token() -> Result<()> {
    let _alone = ALONE.lock().await;
    with_namespace("slow", async |namespace| {
        installation::with_database().await?;
        Model::create(&namespace, "m", bundled()).await?.ready().await?;
        let mut spec = bundled();
        spec["engine"]["atelier"]["maxConcurrentSequences"] = json!(1);
        Model::create(&namespace, "slow", spec).await?.ready().await?;
        let compare = json!({
            "primary": {"metric": "Errors", "margin": "5%"},
            "guardrails": [{"metric": "TTFT", "margin": "50%"}],
        });
        let spec = shadow::spec(
            "m",
            &json!({"model": "slow"}),
            &compare,
            &json!({"minPairs": 50, "maxPairs": 500}),
        );
        let shadow = Shadow::create(&namespace, "slow", spec).await?;
        let users = Users {
            count: 6,
            tokens: 16,
            temperature: 0.0,
        };
        let (verdict, status) = verdict(&namespace, &shadow, users).await?;
        ensure!(verdict == Verdict::Reject, "{status:#?}");
        let report = shadow.report().await?;
        let message = report["message"].as_str().unwrap_or_default();
        ensure!(message.contains("TTFT is worse"), "{message}");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "hundreds of pairs: cargo xtask e2e verdicts"]
async fn where_hardly_anybody_asks_the_difference_that_could_be_seen_is_told() -> Result<()> {
    let _alone = ALONE.lock().await;
    with_namespace("quiet", async |namespace| {
        installation::with_database().await?;
        let model = Model::create(&namespace, "m", bundled()).await?;
        model.ready().await?;
        Model::create(&namespace, "twin", bundled()).await?.ready().await?;
        let stop = json!({"minPairs": 30, "maxPairs": 5000, "maxDuration": "45s"});
        let spec = shadow::spec("m", &json!({"model": "twin"}), &usual(), &stop);
        let shadow = Shadow::create(&namespace, "quiet", spec).await?;
        shadow.pairs(0).await?;
        let gateway = namespace.gateway().await?;
        for number in 0..12 {
            let body = shadow::question(&model.address(), (0, number), 8, FREE);
            let mut stream = gateway.open(&body).await?;
            while stream.next().await? {}
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        let (verdict, status) = shadow.verdict().await?;
        println!(
            "{}",
            plugin::succeed(&["shadow", "report", "quiet", "--namespace", &namespace.name]).await?
        );
        ensure!(verdict == Verdict::Inconclusive, "{status:#?}");
        ensure!(status.reason.as_deref() == Some("Deadline"), "{:?}", status.reason);
        ensure!(status.smallest_detectable_difference.is_some(), "{status:#?}");
        Ok(())
    })
    .await
}
