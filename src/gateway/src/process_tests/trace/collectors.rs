//! Collectors that do not do what they should.

use axum::http::StatusCode;
use telemetry::{Tracing, trace::Settings};

use crate::{
    process_tests::{CHAT, within},
    testing::{TestGateway, Worker},
};

/// More requests than a queue of 16 spans and a batch hold.
const REQUESTS: usize = 50;

#[tokio::test]
async fn a_collector_that_hangs_costs_spans_and_no_request() {
    // The kernel accepts connections, and nobody answers.
    let hanging = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/v1/traces", hanging.local_addr().unwrap());
    let mut settings = Settings::to(endpoint.parse().unwrap());
    (settings.queue, settings.batch) = (16, 8);
    let registry = prometheus::Registry::new();
    let tracing = Tracing::start(settings, "atelier-gateway", &registry).unwrap();

    let worker = Worker::answering(StatusCode::OK, "application/json", "{}").await;
    let mut gateway = TestGateway::start(&[&worker], |timing| timing.tracing = tracing.clone()).await;
    for _ in 0..REQUESTS {
        assert_eq!(within(gateway.chat(CHAT)).await.status(), 200);
    }
    let text = prometheus::TextEncoder::new()
        .encode_to_string(&registry.gather())
        .unwrap();
    let dropped = text
        .lines()
        .find_map(|line| line.strip_prefix("atelier_trace_spans_total{outcome=\"queue_full\"} "));
    let dropped: usize = dropped.unwrap().parse().unwrap();
    assert!(dropped >= REQUESTS * 4 - 16 - 8 - 4, "{text}");
    // Both end although the collector does not answer.
    within(gateway.stop()).await.unwrap();
    within(tracing.shutdown()).await;
}
