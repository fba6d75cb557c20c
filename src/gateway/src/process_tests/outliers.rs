//! Workers that fail more than the others get no requests for a while.

use axum::http::StatusCode;

use super::{CHAT, within};
use crate::testing::{TestGateway, VERSION, Worker};

const JSON: &str = "application/json";

fn metrics(gateway: &TestGateway) -> String {
    let families = gateway.metrics.registry.gather();
    prometheus::TextEncoder::new().encode_to_string(&families).unwrap()
}

fn series(name: &str, rest: &str, value: u32) -> String {
    format!("{name}{{model=\"m\",namespace=\"ns\"{rest},version=\"{VERSION}\"}} {value}\n")
}

#[tokio::test]
async fn a_worker_that_fails_again_and_again_is_ejected() {
    let bad = Worker::answering(StatusCode::INTERNAL_SERVER_ERROR, JSON, "{}").await;
    let good = Worker::answering(StatusCode::OK, JSON, "{}").await;
    let gateway = TestGateway::with_workers(&[&bad, &good]).await;
    let mut answers = Vec::new();
    while bad.received().len() < 5 {
        answers.push(within(gateway.chat(CHAT)).await.status());
    }
    let failed = answers.iter().filter(|status| **status == 500).count();
    assert_eq!(failed, 5);
    for _ in 0..40 {
        assert_eq!(within(gateway.chat(CHAT)).await.status(), 200);
    }
    assert_eq!(bad.received().len(), 5);
    let text = metrics(&gateway);
    let ejected = series("atelier_gateway_outliers_ejected", "", 1);
    let ejections = series("atelier_gateway_outlier_ejections_total", ",reason=\"consecutive\"", 1);
    assert!(text.contains(&ejected) && text.contains(&ejections), "{text}");
    // It is a last resort, and better than none.
    gateway.set_workers("m", VERSION, &[bad.address]);
    assert_eq!(within(gateway.chat(CHAT)).await.status(), 500);
    // Series go with the version.
    gateway.set_workers("m", VERSION, &[]);
    assert!(!metrics(&gateway).contains("atelier_gateway_outlier"));
}

#[tokio::test]
async fn what_all_fail_alike_ejects_a_few_and_never_the_last() {
    let mut workers = Vec::new();
    for _ in 0..3 {
        workers.push(Worker::answering(StatusCode::INTERNAL_SERVER_ERROR, JSON, "{}").await);
    }
    let gateway = TestGateway::with_workers(&workers.iter().collect::<Vec<_>>()).await;
    for _ in 0..60 {
        assert_eq!(within(gateway.chat(CHAT)).await.status(), 500);
    }
    assert!(metrics(&gateway).contains(&series("atelier_gateway_outliers_ejected", "", 1)));
    let mut received: Vec<_> = workers.iter().map(|worker| worker.received().len()).collect();
    received.sort_unstable();
    assert_eq!(received[0], 5);
    assert!(received[1] > 5, "{received:?}");

    let alone = Worker::answering(StatusCode::INTERNAL_SERVER_ERROR, JSON, "{}").await;
    let gateway = TestGateway::with_workers(&[&alone]).await;
    for _ in 0..20 {
        assert_eq!(within(gateway.chat(CHAT)).await.status(), 500);
    }
    assert_eq!(alone.received().len(), 20);
    assert!(!metrics(&gateway).contains("atelier_gateway_outlier"));
}

#[tokio::test]
async fn a_worker_that_refuses_requests_is_ejected_and_costs_none() {
    let stuck = Worker::answering(StatusCode::SERVICE_UNAVAILABLE, JSON, "{}").await;
    let good = Worker::answering(StatusCode::OK, JSON, "{}").await;
    let gateway = TestGateway::with_workers(&[&stuck, &good]).await;
    while stuck.received().len() < 5 {
        assert_eq!(within(gateway.chat(CHAT)).await.status(), 200);
    }
    for _ in 0..40 {
        assert_eq!(within(gateway.chat(CHAT)).await.status(), 200);
    }
    assert_eq!(stuck.received().len(), 5);
    // That tells nothing about its version.
    assert_eq!(gateway.catalog.traffic().of("ns", "m", VERSION).unwrap().failed, 0);
}
