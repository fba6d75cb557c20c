//! The API over gRPC, as a client of any language meets it.

use axum::http::StatusCode;
use bytes::Bytes;
use rpc::v1::{self, FinishReason, inference_client::InferenceClient};
use tokio::net::TcpListener;
use tonic::{Code, Request, transport::Channel};

use super::{EVENTS, within};
use crate::{
    grpc,
    server::{self, Protocol, ServerSettings},
    testing::{TestGateway, Worker},
};

const ANSWER: &str = r#"{"id":"c","model":"m","created":1,"choices":[{"index":0,"finish_reason":"stop",
    "message":{"role":"assistant","content":"Paris."}}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;

/// A client of `gateway` over HTTP/2.
async fn client(gateway: &TestGateway) -> InferenceClient<Channel> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = grpc::router(gateway.gateway.clone()).await.unwrap();
    let settings = ServerSettings {
        protocol: Protocol::Http2,
        ..ServerSettings::default()
    };
    tokio::spawn(server::serve(
        listener,
        router,
        None,
        settings,
        std::future::pending(),
        || {},
    ));
    InferenceClient::connect(url).await.unwrap()
}

fn question() -> v1::ChatRequest {
    v1::ChatRequest {
        model: "m".into(),
        messages: vec![v1::Message {
            role: "user".into(),
            content: "What is the capital of France?".into(),
            ..Default::default()
        }],
        max_tokens: Some(8),
        ..Default::default()
    }
}

fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    metadata.insert("authorization", format!("Bearer {token}").parse().unwrap());
    metadata.insert("x-atelier-user", "somebody-else".parse().unwrap());
    request
}

#[tokio::test]
async fn a_call_is_answered_as_a_request_would_be() {
    let worker = Worker::answering(StatusCode::OK, "application/json", ANSWER).await;
    let gateway = TestGateway::with_workers(&[&worker]).await;
    let mut client = client(&gateway).await;
    let answer = within(client.chat(with_token(question(), "good")))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.choices[0].message.as_ref().unwrap().content, "Paris.");
    assert_eq!(answer.choices[0].finish_reason(), FinishReason::Stop);
    assert_eq!(answer.usage.unwrap().completion_tokens, 2);
    let received = worker.received();
    assert_eq!(received[0].path, "/v1/chat/completions");
    assert_ne!(received[0].headers[protocol::headers::USER], "somebody-else");

    let models = client
        .list_models(with_token(v1::ListModelsRequest {}, "good"))
        .await
        .unwrap();
    assert_eq!(models.into_inner().models[0].id, "m");
}

#[tokio::test]
async fn a_stream_is_passed_on_as_it_comes() {
    let (worker, tokens) = Worker::streaming(EVENTS).await;
    let gateway = TestGateway::with_workers(&[&worker]).await;
    let mut client = client(&gateway).await;
    let piece = |text: &str| {
        let choice = serde_json::json!({"index": 0, "delta": {"content": text}, "finish_reason": null});
        Bytes::from(format!(
            "data: {}\n\n",
            serde_json::json!({"id": "c", "choices": [choice]})
        ))
    };
    tokens.send(piece("Pa")).await.unwrap();
    let mut stream = within(client.chat_stream(with_token(question(), "good")))
        .await
        .unwrap()
        .into_inner();
    for text in ["Pa", "ris"] {
        let chunk = within(stream.message()).await.unwrap().unwrap();
        assert_eq!(chunk.choice.unwrap().content, text);
        let next = match text {
            "Pa" => piece("ris"),
            _ => Bytes::from_static(
                b"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n",
            ),
        };
        tokens.send(next).await.unwrap();
    }
    let last = within(stream.message()).await.unwrap().unwrap();
    assert_eq!(last.usage.unwrap().completion_tokens, 2);
    drop(tokens);
    assert!(within(stream.message()).await.unwrap().is_none());
    assert!(worker.received()[0].body.contains(r#""include_usage":true"#));
}

#[tokio::test]
async fn refusals_have_their_code() {
    let worker = Worker::answering(
        StatusCode::BAD_REQUEST,
        "application/json",
        r#"{"error":{"message":"no","code":"bad"}}"#,
    )
    .await;
    let gateway = TestGateway::with_workers(&[&worker]).await;
    let mut client = client(&gateway).await;
    let refused = client.chat(Request::new(question())).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let refused = client.chat(with_token(question(), "other")).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(refused.metadata().get("x-atelier-code").unwrap(), "model_forbidden");
    let refused = client.chat(with_token(question(), "good")).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, "no"));
    let embed = v1::EmbedRequest {
        model: "m".into(),
        ..Default::default()
    };
    let refused = client.embed(with_token(embed, "good")).await.unwrap_err();
    assert_eq!(refused.metadata().get("x-atelier-code").unwrap(), "wrong_task");
    let schema = v1::Constraint {
        form: Some(v1::constraint::Form::JsonSchema("{".into())),
    };
    let broken = v1::ChatRequest {
        constraint: Some(schema),
        ..question()
    };
    let refused = client.chat(with_token(broken, "good")).await.unwrap_err();
    assert!(refused.message().contains("constraint.json_schema"), "{refused}");
}
