//! Pairs, and how the operator gets them.

use axum::http::StatusCode;
use reqwest::Method;
use serde_json::{Value, json};
use store::audit::{Log, Mode, Settings};

use super::{
    super::{refused, within},
    support::{CANDIDATE, LIVE, OPERATOR, Stage, asked, copied, question, says, spec},
};
use crate::{audit::Recorder, testing::Worker};

#[tokio::test]
async fn a_copied_request_gives_a_pair_with_both_arms() {
    let live = Worker::reading(says(&["The ", "sum ", "is ", "five."])).await;
    let candidate = Worker::reading(says(&["The ", "sum ", "is ", "six."])).await;
    let stage = Stage::set(&live, &candidate).await;
    let mut body = question("2 + 3?");
    body["stream"] = true.into();
    body["user"] = "somebody".into();
    let (status, text) = stage.ask(&body).await;
    assert_eq!(
        (status, text),
        (200, super::support::events(&["The ", "sum ", "is ", "five."]))
    );

    let pairs = stage
        .collected("s", |pairs| pairs.pairs.len() == 1 && pairs.tokens > 0)
        .await;
    assert_eq!(
        (pairs.object.as_str(), pairs.uid.as_str(), pairs.more),
        ("list", "uid-s", false)
    );
    let pair = &pairs.pairs[0];
    assert_eq!(pair.cluster.len(), 16);
    let score = |name: &str| pair.scores[name];
    assert_eq!((score("Errors").primary, score("Errors").candidate), (Some(0.0), 0.0));
    assert!(score("TTFT").primary.unwrap() > 0.0 && score("TTFT").candidate > 0.0);
    let alike = score("RougeL");
    // Three of four words, and the serving version said the same again.
    assert_eq!(
        (alike.primary, alike.candidate, alike.baseline),
        (None, 0.75, Some(1.0))
    );
    // Both copies, prompts and answers.
    assert_eq!((pairs.tokens, pairs.cost.clone()), (14, None));
    assert!(pairs.dropped.is_empty(), "{pairs:?}");
    // After it, there is nothing.
    assert!(stage.collect("s", pair.seq).await.pairs.is_empty());

    let copies = copied(&candidate);
    assert_eq!(copies.len(), 1);
    let copy = asked(&copies[0]);
    assert_eq!(
        (copy["model"].as_str(), copy["stream"].as_bool()),
        (Some("m"), Some(true))
    );
    assert_eq!(copy["messages"], body["messages"]);
    assert!(copy.get("user").is_none());
    for name in ["authorization", "x-request-id", "x-atelier-user", "traceparent"] {
        assert!(!copies[0].headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_stream_is_compared_as_well() {
    let live = Worker::reading(says(&["five"])).await;
    let candidate = Worker::reading(says(&["five"])).await;
    let stage = Stage::set(&live, &candidate).await;
    assert_eq!(stage.ask(&question("2 + 3?")).await.0, 200);
    let pairs = stage.collected("s", |pairs| pairs.pairs.len() == 1).await;
    let scores = &pairs.pairs[0].scores;
    assert_eq!(scores["RougeL"].candidate, 1.0);
    assert!(!scores.contains_key("TTFT"), "the live answer has no such time");
    // Completions, too.
    let completion = json!({"model": "m", "prompt": "2 + 3 ="}).to_string();
    let request = stage.gateway.request(Method::POST, "/v1/completions").body(completion);
    assert_eq!(within(request.send()).await.unwrap().status(), 200);
    stage.collected("s", |pairs| pairs.pairs.len() == 2).await;
    assert_eq!(copied(&candidate).last().unwrap().path, "/v1/completions");
}

#[tokio::test]
async fn nothing_is_billed_observed_or_written_down_as_the_users() {
    let live = Worker::reading(says(&["five"])).await;
    let candidate = Worker::reading(says(&["six"])).await;
    let mut log = None;
    let stage = {
        let kept = &mut log;
        let stage = Stage::start(&live, &candidate, |timing| {
            let settings = Settings {
                mode: Mode::Strict,
                capacity: 1024,
                patience: std::time::Duration::from_secs(30),
                vault: None,
            };
            let database = timing.database.clone().unwrap();
            let started = Log::start(database.clone(), settings).unwrap();
            timing.audit = Recorder::new(started.clone(), database);
            *kept = Some(started);
        })
        .await;
        stage.shadow("s", spec(CANDIDATE), json!({}));
        stage
    };
    let log = log.unwrap();
    within(async {
        while !log.stats().up {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    for i in 0..3 {
        assert_eq!(stage.ask(&question(&format!("question {i}"))).await.0, 200);
    }
    stage.collected("s", |pairs| pairs.pairs.len() == 3).await;

    let traffic = stage.gateway.catalog.traffic();
    let of = |version| traffic.of("ns", "m", version).unwrap();
    assert_eq!((of(LIVE).succeeded, of(LIVE).in_flight), (3, 0));
    assert_eq!((of(CANDIDATE).succeeded, of(CANDIDATE).failed), (0, 0));
    let shown = telemetry_text(&stage);
    assert!(shown.contains("gen_ai_client_token_usage_count{"), "{shown}");
    for line in shown
        .lines()
        .filter(|line| line.starts_with("gen_ai_") && line.contains("_count{"))
    {
        let count: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
        assert!(count <= 3.0, "{line}");
    }
    assert!(
        shown.contains("atelier_shadow_copies_total{namespace=\"ns\",outcome=\"paired\",shadow=\"s\"} 3"),
        "{shown}"
    );
    assert!(log.drain(std::time::Duration::from_secs(60)).await);
    assert_eq!(
        stage
            .test
            .number("SELECT count(*) FROM audit WHERE kind = 'opened'")
            .await,
        3
    );
}

fn telemetry_text(stage: &Stage) -> String {
    let families = stage.gateway.metrics.registry.gather();
    prometheus::TextEncoder::new().encode_to_string(&families).unwrap()
}

#[tokio::test]
async fn only_who_may_collect_gets_pairs_and_has_them_forgotten() {
    let live = Worker::reading(says(&["five"])).await;
    let candidate = Worker::reading(says(&["six"])).await;
    let stage = Stage::set(&live, &candidate).await;
    assert_eq!(stage.ask(&question("2 + 3?")).await.0, 200);
    stage.collected("s", |pairs| pairs.pairs.len() == 1).await;
    let pairs = "/v1/shadows/ns/s/pairs?uid=uid-s";
    let one = "/v1/shadows/ns/s?uid=uid-s";
    for (token, method, path) in [
        ("good", Method::GET, pairs),
        ("good", Method::DELETE, one),
        // Not that one, whatever its uid.
        (OPERATOR, Method::GET, "/v1/shadows/ns/unknown/pairs?uid=uid-s"),
        (OPERATOR, Method::DELETE, "/v1/shadows/elsewhere/s?uid=uid-s"),
    ] {
        refused(stage.send(token, method, path).await, 404, "shadow_not_found").await;
    }
    refused(
        stage.send(OPERATOR, Method::GET, "/v1/shadows/ns/s/pairs").await,
        400,
        "missing_field",
    )
    .await;
    let bad = format!("{pairs}&after=x");
    refused(stage.send(OPERATOR, Method::GET, &bad).await, 400, "invalid_field").await;
    refused(stage.send("unknown", Method::GET, pairs).await, 401, "invalid_api_key").await;
    // By another name of its own, there is nothing of it.
    let other = stage
        .send(OPERATOR, Method::GET, "/v1/shadows/ns/other/pairs?uid=uid-s")
        .await;
    let other: Value = within(other.json()).await.unwrap();
    assert_eq!(other["pairs"], json!([]));

    stage.shadow("s", spec(CANDIDATE), json!({"verdict": "Promote"}));
    let forgotten = stage.send(OPERATOR, Method::DELETE, one).await;
    assert_eq!(forgotten.status(), StatusCode::NO_CONTENT);
    assert!(stage.collect("s", 0).await.pairs.is_empty());
    for table in ["shadow", "shadow_pair", "shadow_count", "shadow_drop"] {
        assert_eq!(
            stage.test.number(&format!("SELECT count(*) FROM {table}")).await,
            0,
            "{table}"
        );
    }
    // Again is as good.
    assert_eq!(
        stage.send(OPERATOR, Method::DELETE, one).await.status(),
        StatusCode::NO_CONTENT
    );
}

#[tokio::test]
async fn what_models_say_of_a_pair_is_asked_in_the_dark() {
    let live = Worker::reading(says(&["five"])).await;
    let candidate = Worker::reading(says(&["six"])).await;
    let stage = Stage::start(&live, &candidate, |_| {}).await;
    // The same vector for both, and a judge that likes whatever comes second.
    let embedder = Worker::reading(|received| {
        let body: Value = serde_json::from_str(&received.body).unwrap();
        let texts = body["input"].as_array().unwrap().len();
        let data = vec![json!({"embedding": [0.6, 0.8]}); texts];
        axum::http::Response::new(axum::body::Body::from(json!({"data": data}).to_string()))
    })
    .await;
    let judge = Worker::answering(
        StatusCode::OK,
        "application/json",
        r#"{"choices":[{"message":{"content":"{\"winner\": \"B\"}"},"finish_reason":"stop"}]}"#,
    )
    .await;
    for (name, worker) in [("e", &embedder), ("judge", &judge)] {
        stage.gateway.catalog.apply_model(crate::testing::model("ns", name));
        stage.gateway.set_workers(name, LIVE, &[worker.address]);
    }
    let mut spec = spec(CANDIDATE);
    spec["compare"]["guardrails"] = json!([
        {"metric": "Embedding", "model": {"name": "e"}}, {"metric": "Judge", "model": {"name": "judge"}},
    ]);
    stage.shadow("s", spec, json!({}));
    assert_eq!(stage.ask(&question("2 + 3?")).await.0, 200);
    let pairs = stage.collected("s", |pairs| pairs.pairs.len() == 1).await;
    let scores = &pairs.pairs[0].scores;
    assert!((scores["Embedding"].candidate - 1.0).abs() < 1e-6 && scores["Embedding"].baseline.is_some());
    assert_eq!(scores["Judge"].candidate, 0.5, "its verdict follows the place");
    assert_eq!((embedder.received().len(), judge.received().len()), (1, 2));
    assert!(
        stage
            .gateway
            .catalog
            .traffic()
            .of("ns", "e", LIVE)
            .is_none_or(|it| it.succeeded == 0)
    );
}
