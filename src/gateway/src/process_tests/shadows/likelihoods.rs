//! How likely each model finds the other's answer.

use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use serde_json::{Value, json};

use super::support::{CANDIDATE, Stage, asked, copied, question, says, spec};
use crate::testing::{Received, Worker};

const SCORE: &str = protocol::score::PATH;

/// A worker that answers `words`, and finds each answer as likely as `scores` says: tokens and nats.
async fn worker(words: &'static [&'static str], scores: fn(&str) -> Option<(u64, f64)>) -> Worker {
    let says = says(words);
    Worker::reading(move |received| {
        if received.path != SCORE {
            return says(received);
        }
        let body = asked(received);
        let answer = body["messages"].as_array().unwrap().last().unwrap().clone();
        assert_eq!((&answer["role"], &body["model"]), (&json!("assistant"), &json!("m")));
        match scores(answer["content"].as_str().unwrap()) {
            Some((tokens, nll)) => Response::new(Body::from(json!({"tokens": tokens, "nll": nll}).to_string())),
            None => Response::builder()
                .status(StatusCode::NOT_FOUND)
                .body(Body::empty())
                .unwrap(),
        }
    })
    .await
}

fn scored(worker: &Worker) -> Vec<Received> {
    worker.received().into_iter().filter(|it| it.path == SCORE).collect()
}

fn compared() -> Value {
    let mut spec = spec(CANDIDATE);
    spec["compare"]["guardrails"] = json!([{"metric": "CrossPerplexity"}]);
    spec
}

#[tokio::test]
async fn each_model_says_how_likely_it_finds_the_others_answer() {
    let live = worker(&["five"], |answer| match answer {
        "five" => Some((2, 1.0)),
        _ => Some((4, 6.0)),
    })
    .await;
    // It cuts texts into other tokens.
    let candidate = worker(&["six"], |answer| (answer == "five").then_some((8, 1.5))).await;
    let stage = Stage::start(&live, &candidate, |_| {}).await;
    stage.shadow("s", compared(), json!({}));
    let mut body = question("2 + 3?");
    body["user"] = "somebody".into();
    assert_eq!(stage.ask(&body).await.0, 200);
    let pairs = stage.collected("s", |pairs| pairs.pairs.len() == 1).await;
    let scores = &pairs.pairs[0].scores;
    let (forth, back) = (scores["CrossPerplexity"], scores["CrossPerplexityBack"]);
    assert_eq!((forth.primary, forth.candidate), (Some(0.5), 1.5));
    // In tokens of the model that serves.
    assert_eq!((back.primary, back.candidate), (Some(0.5), 0.75));
    assert_eq!((scored(&live).len(), scored(&candidate).len()), (2, 1));
    for request in scored(&live).iter().chain(&scored(&candidate)) {
        assert!(!request.body.contains("somebody"), "{}", request.body);
        assert!(!request.headers.contains_key("authorization"));
        assert_eq!(asked(request)["messages"][0]["content"], "2 + 3?");
    }
    // The user's call alone was counted as one, and no client gets there.
    let traffic = stage.gateway.catalog.traffic();
    let of = |version| traffic.of("ns", "m", version).unwrap();
    assert_eq!((of(super::support::LIVE).succeeded, of(CANDIDATE).succeeded), (1, 0));
    let request = stage.gateway.request(reqwest::Method::POST, SCORE).body("{}");
    assert_eq!(request.send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn equal_answers_are_scored_once_and_nobody_is_asked_unless_the_metric_is() {
    let live = worker(&["five"], |_| Some((1, 0.5))).await;
    let candidate = worker(&["five"], |_| Some((1, 0.25))).await;
    let stage = Stage::start(&live, &candidate, |_| {}).await;
    stage.shadow("s", compared(), json!({}));
    assert_eq!(stage.ask(&question("2 + 3?")).await.0, 200);
    let pairs = stage.collected("s", |pairs| pairs.pairs.len() == 1).await;
    let score = pairs.pairs[0].scores["CrossPerplexity"];
    assert_eq!((score.primary, score.candidate), (Some(0.5), 0.5));
    assert_eq!((scored(&live).len(), scored(&candidate).len()), (1, 1));
    stage.shadow("s", compared(), json!({"verdict": "Promote"}));
    stage.shadow("other", spec(CANDIDATE), json!({}));
    assert_eq!(stage.ask(&question("2 + 4?")).await.0, 200);
    stage.collected("other", |pairs| pairs.pairs.len() == 1).await;
    assert_eq!((scored(&live).len(), scored(&candidate).len()), (1, 1));
}

#[tokio::test]
async fn an_engine_that_cannot_tell_leaves_the_metric_out() {
    let live = worker(&["five"], |_| None).await;
    let candidate = worker(&["six"], |_| Some((1, 1.0))).await;
    let stage = Stage::start(&live, &candidate, |_| {}).await;
    stage.shadow("s", compared(), json!({}));
    assert_eq!(stage.ask(&question("2 + 3?")).await.0, 200);
    let pairs = stage.collected("s", |pairs| pairs.pairs.len() == 1).await;
    let names: Vec<_> = pairs.pairs[0].scores.keys().collect();
    assert_eq!(names, ["Errors"]);
    assert_eq!(copied(&candidate).len(), 2, "a copy, and what was asked of it");
}
