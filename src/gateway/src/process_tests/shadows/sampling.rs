//! Which requests are copied.

use reqwest::Method;
use serde_json::json;

use super::{
    super::within,
    support::{CANDIDATE, LIVE, Stage, asked, copied, question, says, spec},
};
use crate::{
    catalog::Canary,
    testing::{Worker, model},
};

async fn workers() -> (Worker, Worker) {
    (
        Worker::reading(says(&["five"])).await,
        Worker::reading(says(&["six"])).await,
    )
}

#[tokio::test]
async fn a_tenth_of_the_conversations_is_copied_and_each_as_a_whole() {
    let (live, candidate) = workers().await;
    let stage = Stage::start(&live, &candidate, |_| {}).await;
    let mut spec = spec(CANDIDATE);
    spec["sample"] = json!({"percent": "10%"});
    stage.shadow("s", spec, json!({}));
    const CONVERSATIONS: usize = 200;
    for i in 0..CONVERSATIONS {
        let first = json!({"role": "user", "content": format!("question {i}")});
        let second = [
            first.clone(),
            json!({"role": "assistant", "content": "x"}),
            json!({"role": "user", "content": "and then?"}),
        ];
        for messages in [json!([first]), json!(second)] {
            assert_eq!(stage.ask(&json!({"model": "m", "messages": messages})).await.0, 200);
        }
    }
    // Whatever was chosen has been handed over by now.
    let handed_over = || stage.gateway.gateway.shadows.catalog.experiments()[0].copies();
    let pairs = stage
        .collected("s", |pairs| pairs.pairs.len() as u64 == handed_over())
        .await;
    let count = pairs.pairs.len();
    // Three standard deviations of a binomial distribution, of conversations.
    let (mean, spread) = (20.0, 3.0 * (200.0f64 * 0.1 * 0.9).sqrt());
    assert!((count as f64 / 2.0 - mean).abs() <= spread, "{count}");
    let mut clusters = std::collections::BTreeMap::<_, u32>::new();
    for pair in &pairs.pairs {
        *clusters.entry(pair.cluster.as_str()).or_default() += 1;
    }
    assert!(clusters.values().all(|turns| *turns == 2), "{clusters:?}");
}

#[tokio::test]
async fn who_opts_out_is_not_copied() {
    let (live, candidate) = workers().await;
    let stage = Stage::set(&live, &candidate).await;
    for (value, is_copied) in [("off", false), (" OFF ", false), ("on", true)] {
        let request = stage.gateway.request(Method::POST, "/v1/chat/completions");
        let request = request
            .header("x-atelier-shadow", value)
            .body(question("2 + 3?").to_string());
        assert_eq!(within(request.send()).await.unwrap().status(), 200);
        if is_copied {
            stage.until("s", "paired", 1).await;
        }
    }
    assert_eq!((stage.copies("s", "opted_out"), copied(&candidate).len()), (2, 1));
    assert!(
        live.received()
            .iter()
            .all(|it| !it.headers.contains_key("x-atelier-shadow"))
    );
}

#[tokio::test]
async fn a_share_that_is_changed_counts_at_once() {
    let (live, candidate) = workers().await;
    let stage = Stage::set(&live, &candidate).await;
    let with = |percent: &str| {
        let mut spec = spec(CANDIDATE);
        spec["sample"] = json!({"percent": percent});
        stage.shadow("s", spec, json!({}));
    };
    with("0%");
    for i in 0..5 {
        assert_eq!(stage.ask(&question(&format!("before {i}"))).await.0, 200);
    }
    with("100%");
    assert_eq!(stage.ask(&question("after")).await.0, 200);
    stage.until("s", "paired", 1).await;
    assert_eq!(copied(&candidate).len(), 1);
    assert_eq!(asked(&copied(&candidate)[0])["messages"][0]["content"], "after");
}

#[tokio::test]
async fn mirroring_stops_with_the_verdict_and_with_the_operator() {
    let (live, candidate) = workers().await;
    let stage = Stage::set(&live, &candidate).await;
    assert_eq!(stage.ask(&question("1")).await.0, 200);
    stage.until("s", "paired", 1).await;
    // Nobody holds the Lease any more.
    stage.gateway.gateway.shadows.alive.gone();
    assert_eq!(stage.ask(&question("2")).await.0, 200);
    stage.renew("2026-01-01T00:05:00.000000Z");
    assert_eq!(stage.ask(&question("3")).await.0, 200);
    stage.until("s", "paired", 2).await;
    stage.shadow("s", spec(CANDIDATE), json!({"verdict": "Inconclusive"}));
    assert_eq!(stage.ask(&question("4")).await.0, 200);
    let asked: Vec<_> = copied(&candidate)
        .iter()
        .map(|copy| asked(copy)["messages"][0]["content"].clone())
        .collect();
    assert_eq!(asked, ["1", "3"]);
}

#[tokio::test]
async fn two_comparisons_of_one_model_do_not_disturb_each_other() {
    let (live, candidate) = workers().await;
    let second = Worker::answering(axum::http::StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "no").await;
    let stage = Stage::set(&live, &candidate).await;
    stage.gateway.catalog.apply_model(model("ns", "other-model"));
    stage.gateway.set_workers("other-model", LIVE, &[second.address]);
    let mut other = spec(CANDIDATE);
    other["candidate"] = json!({"model": "other-model"});
    stage.shadow("other", other, json!({}));
    for i in 0..4 {
        assert_eq!(stage.ask(&question(&format!("{i}"))).await.0, 200);
    }
    let good = stage.collected("s", |pairs| pairs.pairs.len() == 4).await;
    let bad = stage.collected("other", |pairs| pairs.pairs.len() == 4).await;
    assert!(good.pairs.iter().all(|pair| pair.scores["Errors"].candidate == 0.0));
    assert!(bad.pairs.iter().all(|pair| pair.scores["Errors"].candidate == 1.0));
    // Its own name for the model, and clusters that cannot be matched.
    assert_eq!(asked(&second.received()[0])["model"], "other-model");
    assert!(
        good.pairs
            .iter()
            .all(|pair| bad.pairs.iter().all(|other| other.cluster != pair.cluster))
    );
}

#[tokio::test]
async fn answers_of_another_version_are_no_pair() {
    let (live, candidate) = workers().await;
    let stage = Stage::set(&live, &candidate).await;
    let mut on_trial = model("ns", "m");
    on_trial.canary = Some(Canary {
        version: CANDIDATE.into(),
        weight: 100,
    });
    stage.gateway.catalog.apply_model(on_trial);
    assert_eq!(stage.ask(&question("1")).await.0, 200);
    stage.until("s", "version", 1).await;
    // Whoever names a version is not copied at all.
    let mut body = question("2");
    body["model"] = format!("m@{LIVE}").into();
    assert_eq!(stage.ask(&body).await.0, 200);
    let pairs = stage
        .collected("s", |pairs| pairs.dropped.contains_key("version"))
        .await;
    assert!(pairs.pairs.is_empty());
    assert_eq!(copied(&candidate).len(), 1);
}

#[tokio::test]
async fn no_more_copies_come_in_a_second_than_may() {
    let (live, candidate) = workers().await;
    let stage = Stage::start(&live, &candidate, |_| {}).await;
    let mut spec = spec(CANDIDATE);
    spec["sample"] = json!({"percent": "100%", "maxPerSecond": 1});
    stage.shadow("s", spec, json!({}));
    let questions: Vec<_> = (0..50).map(|i| question(&format!("{i}"))).collect();
    let answers = futures::future::join_all(questions.iter().map(|body| stage.ask(body))).await;
    assert!(answers.iter().all(|(status, _)| *status == 200));
    let pairs = stage
        .collected("s", |pairs| pairs.dropped.get("rate").is_some_and(|rate| *rate > 0))
        .await;
    let rate = pairs.dropped["rate"];
    assert!(rate < 50, "{rate}");
    stage
        .collected("s", |pairs| pairs.pairs.len() as u64 + pairs.dropped["rate"] == 50)
        .await;
}
