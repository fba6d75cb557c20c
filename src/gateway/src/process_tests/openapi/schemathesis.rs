//! `schemathesis` looks for requests that are answered otherwise than the document says.

use std::{process::Stdio, sync::Arc, time::Duration};

use api::llmmodel::Task;
use axum::{
    Json, Router,
    http::{Uri, header},
    response::{IntoResponse, Response},
};
use rstest::rstest;
use serde_json::{Value, json};
use store::{
    audit::{Log, Mode, Settings},
    testing::Postgres,
};
use tokio::{net::TcpListener, process::Command};

use super::within;
use crate::{
    audit::Recorder,
    catalog::Model,
    testing::{TestGateway, VERSION, model},
};

/// Answers as engines do, whatever it is asked.
async fn engine(uri: Uri, Json(request): Json<Value>) -> Response {
    let answer = match uri.path() {
        "/v1/chat/completions" => json!({"id": "c", "choices": [{"index": 0, "message": {"content": "hi"}}]}),
        "/v1/completions" => json!({"id": "c", "choices": [{"index": 0, "text": "hi"}]}),
        "/v1/embeddings" => json!({"data": [{"index": 0, "embedding": [0.5]}]}),
        _ => json!({"results": [{"index": 0, "relevance_score": 0.5}]}),
    };
    let generates = uri.path().ends_with("completions");
    match generates && request["stream"] == true {
        true => (
            [(header::CONTENT_TYPE, "text/event-stream")],
            format!("data: {answer}\n\ndata: [DONE]\n\n"),
        )
            .into_response(),
        false => Json(answer).into_response(),
    }
}

/// A gateway with a model for each task, and a trail that feedback can be about.
async fn gateway() -> (TestGateway, Arc<Log>) {
    let test = Postgres::shared().database().await;
    let settings = Settings {
        mode: Mode::Strict,
        capacity: 1024,
        patience: Duration::from_secs(30),
        vault: None,
    };
    let log = Log::start(test.database.clone(), settings).unwrap();
    let recorder = Recorder::new(log.clone(), test.database.clone());
    let gateway = TestGateway::start(&[], |timing| timing.audit = recorder).await;
    // Names that nobody makes up by chance: no schema can tell which model is for what.
    gateway.catalog.remove_model("ns", "m");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(engine)).await });
    for (name, task) in [
        ("generating", Task::Generate),
        ("embedding", Task::Embed),
        ("ranking", Task::Rerank),
    ] {
        gateway.catalog.apply_model(Model {
            task: Some(task),
            ..model("ns", name)
        });
        gateway.set_workers(name, VERSION, &[address]);
    }
    // A provider may not be where a worker is.
    let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(engine)).await });
    let provider = json!({"openAICompatible": {"url": url, "model": "theirs"}});
    gateway.catalog.apply_model(Model {
        task: None,
        current_version: None,
        hosted: Some(serde_json::from_value(provider).unwrap()),
        ..model("ns", "hosted")
    });
    while !log.stats().up {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (gateway, log)
}

#[rstest]
#[case::workers("ns/generating", "ns/embedding")]
#[case::a_provider("ns/hosted", "ns/hosted")]
#[tokio::test]
#[ignore = "wants `pip install --target DIR schemathesis==4.*`: SCHEMATHESIS=DIR cargo test -p atelier-gateway schemathesis -- --ignored"]
async fn nothing_is_answered_otherwise_than_described(#[case] generates: &str, #[case] embeds: &str) {
    let packages = std::env::var("SCHEMATHESIS").expect("SCHEMATHESIS is the directory of the package");
    let (gateway, log) = gateway().await;
    let asked = gateway
        .request(reqwest::Method::POST, "/v1/chat/completions")
        .header("x-request-id", "r1");
    let question = json!({"model": "ns/generating", "messages": []}).to_string();
    let answer = within(asked.body(question).send()).await.unwrap();
    assert_eq!(answer.status(), 200);
    within(answer.text()).await.unwrap();
    assert!(log.drain(Duration::from_secs(30)).await);
    let existing = json!({
        "chat": {"model": generates}, "text_completion": {"model": generates}, "embeddings": {"model": embeds},
        "rerank": {"model": "ns/ranking"}, "giveFeedback": {"id": "r1"},
    });
    let status = Command::new("python3")
        .args(["-c", include_str!("schemathesis.py")])
        .env("PYTHONPATH", packages)
        .env("URL", format!("http://{}", gateway.address))
        .env("TOKEN", "good")
        .env("EXISTING", existing.to_string())
        .env("NO_PROXY", "*")
        .stdin(Stdio::null())
        .status()
        .await;
    assert!(status.unwrap().success());
}
