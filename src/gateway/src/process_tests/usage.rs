//! What is counted of answers: for whom, and of which version.

use axum::http::StatusCode;

use super::{EVENTS, STREAM, within};
use crate::testing::{TestGateway, Worker, model};

const CHUNKS: &str = concat!(
    "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}\n\n",
    "data: [DONE]\n\n",
);

#[tokio::test]
async fn tokens_count_for_a_version_and_a_tenant() {
    let worker = Worker::answering(StatusCode::OK, EVENTS, CHUNKS).await;
    let gateway = TestGateway::with_workers(&[&worker]).await;
    within(gateway.chat(STREAM).await.text()).await.unwrap();
    let text = || {
        let families = gateway.metrics.registry.gather();
        prometheus::TextEncoder::new().encode_to_string(&families).unwrap()
    };
    // The client may see the end before it is counted.
    within(async {
        while !text().contains("atelier_gateway_requests_in_flight 0") {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    let metrics = text();
    let user = worker.received()[0].headers["x-atelier-user"]
        .to_str()
        .unwrap()
        .to_owned();
    let of = r#"gen_ai_operation_name="chat",gen_ai_provider_name="atelier",gen_ai_request_model="ns/m""#;
    for line in [
        format!(
            r#"atelier_tokens_total{{gen_ai_token_type="input",model="m",namespace="ns",tenant="{user}",version="v-0123456789"}} 7"#
        ),
        format!(
            r#"atelier_tokens_total{{gen_ai_token_type="output",model="m",namespace="ns",tenant="{user}",version="v-0123456789"}} 2"#
        ),
        format!(r#"gen_ai_client_token_usage_sum{{{of},gen_ai_token_type="output"}} 2"#),
        format!(r#"gen_ai_client_operation_time_to_first_chunk_seconds_count{{{of}}} 1"#),
        format!(r#"gen_ai_client_operation_duration_seconds_count{{error_type="",{of}}} 1"#),
        // The conventions' own bounds.
        format!(r#"gen_ai_client_operation_duration_seconds_bucket{{error_type="",{of},le="81.92"}} 1"#),
        format!(r#"gen_ai_client_token_usage_bucket{{{of},gen_ai_token_type="input",le="67108864"}} 1"#),
    ] {
        assert!(metrics.lines().any(|known| known == line), "{line} is not in {metrics}");
    }
    gateway.metrics.forget(&model("ns", "m"));
    assert!(
        !text().contains("\"ns/m\"") && !text().contains("version=\"v-"),
        "{}",
        text()
    );
}

#[tokio::test]
async fn the_time_between_pieces_is_measured() {
    let (worker, pieces) = Worker::streaming(EVENTS).await;
    let gateway = TestGateway::with_workers(&[&worker]).await;
    let mut response = within(gateway.chat(STREAM)).await;
    for _ in 0..3 {
        pieces.send("data: {}\n\n".into()).await.unwrap();
        within(response.chunk()).await.unwrap().unwrap();
    }
    let families = gateway.metrics.registry.gather();
    let text = prometheus::TextEncoder::new().encode_to_string(&families).unwrap();
    let name = "gen_ai_client_operation_time_per_output_chunk_seconds_count{";
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(line.ends_with("} 2"), "{line}");
}
