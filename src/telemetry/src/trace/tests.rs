//! Over real sockets, to a collector that behaves or does not.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use prometheus::Registry;

use super::{Kind, Settings, Tracing, w3c};
use crate::testing::Collector;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn parent(flags: &str) -> HeaderMap {
    let parent = format!("00-{TRACE}-b7ad6b7169203331-{flags}");
    HeaderMap::from_iter([
        (w3c::TRACEPARENT, HeaderValue::from_str(&parent).unwrap()),
        (w3c::TRACESTATE, HeaderValue::from_static("vendor=1")),
    ])
}

fn start(settings: Settings) -> (Tracing, Registry) {
    let registry = Registry::new();
    (Tracing::start(settings, "component", &registry).unwrap(), registry)
}

fn count(registry: &Registry, outcome: &str) -> u64 {
    let families = registry.gather();
    let family = families
        .iter()
        .find(|family| family.name() == "atelier_trace_spans_total")
        .unwrap();
    let metrics = family.get_metric().iter();
    let mut of = metrics.filter(|metric| metric.get_label()[0].value() == outcome);
    of.next().unwrap().get_counter().get_value() as u64
}

#[tokio::test]
async fn spans_arrive_with_their_parents() {
    let collector = Collector::start().await.unwrap();
    let (tracing, registry) = start(collector.settings());
    let span = tracing.begin("request", Kind::Server, &parent("01"));
    span.set("n", 7);
    let step = span.child("step", Kind::Client);
    let mut headers = HeaderMap::new();
    step.inject(&mut headers);
    step.fail("timeout");
    drop((step, span));
    tracing.shutdown().await;

    let spans = collector.spans();
    let [step, request] = &spans[..] else {
        panic!("{spans:#?}")
    };
    assert_eq!(
        (request.service.as_str(), request.name.as_str()),
        ("component", "request")
    );
    assert_eq!(
        (request.trace.as_str(), request.parent.as_str()),
        (TRACE, "b7ad6b7169203331")
    );
    assert_eq!((request.get("n"), request.is_error), ("7", false));
    assert_eq!((&step.trace, &step.parent), (&request.trace, &request.id));
    assert_eq!((step.get("error.type"), step.is_error), ("timeout", true));
    assert_eq!(headers[w3c::TRACEPARENT], format!("00-{TRACE}-{}-01", step.id));
    assert_eq!(headers[w3c::TRACESTATE], "vendor=1");
    assert_eq!(count(&registry, "exported"), 2);
}

#[tokio::test]
async fn a_trace_that_is_not_sampled_is_only_passed_on() {
    let collector = Collector::start().await.unwrap();
    let (tracing, _) = start(collector.settings());
    let span = tracing.begin("request", Kind::Server, &parent("00"));
    assert!(!span.is_recording());
    let mut headers = HeaderMap::new();
    span.inject(&mut headers);
    let passed = headers[w3c::TRACEPARENT].to_str().unwrap();
    assert!(
        passed.starts_with(&format!("00-{TRACE}-")) && passed.ends_with("-00"),
        "{passed}"
    );
    assert!(!passed.contains("b7ad6b7169203331"), "{passed}");
    drop(span);
    tracing.shutdown().await;
    assert!(collector.spans().is_empty());
}

#[tokio::test]
async fn what_has_no_room_is_dropped_and_counted() {
    // Connections are accepted by the kernel, and nobody answers.
    let hanging = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/v1/traces", hanging.local_addr().unwrap());
    let mut settings = Settings::to(endpoint.parse().unwrap());
    (settings.queue, settings.batch) = (8, 4);
    let (tracing, registry) = start(settings);
    for _ in 0..100 {
        drop(tracing.begin("request", Kind::Server, &HeaderMap::new()));
        tokio::task::yield_now().await;
    }
    assert!(count(&registry, "queue_full") >= 100 - 8 - 2 * 4);
    assert_eq!(count(&registry, "exported"), 0);
    // It ends although the collector does not answer.
    tokio::time::timeout(Duration::from_secs(60), tracing.shutdown())
        .await
        .unwrap();
}

#[tokio::test]
async fn what_the_collector_refuses_is_counted() {
    let collector = Collector::start().await.unwrap();
    let (tracing, registry) = start(collector.settings());
    collector.answer(StatusCode::UNAUTHORIZED);
    drop(tracing.begin("request", Kind::Server, &HeaderMap::new()));
    tracing.shutdown().await;
    assert_eq!(count(&registry, "failed"), 1);
}

#[tokio::test]
async fn a_collector_that_is_busy_gets_the_spans_later() {
    let collector = Collector::start().await.unwrap();
    let (tracing, registry) = start(collector.settings());
    collector.answer(StatusCode::SERVICE_UNAVAILABLE);
    drop(tracing.begin("request", Kind::Server, &HeaderMap::new()));
    // Let it ask once in vain.
    tokio::time::sleep(Duration::from_millis(100)).await;
    collector.answer(StatusCode::OK);
    collector.wait(|spans| spans.len() == 1).await;
    tracing.shutdown().await;
    assert_eq!((count(&registry, "exported"), count(&registry, "failed")), (1, 0));
}

#[tokio::test]
async fn where_nothing_is_traced_headers_stay() {
    let tracing = Tracing::default();
    let span = tracing
        .begin("request", Kind::Server, &parent("01"))
        .child("step", Kind::Client);
    assert!(!span.is_recording() && !tracing.is_on());
    let mut headers = parent("01");
    span.inject(&mut headers);
    assert_eq!(headers, parent("01"));
    tracing.shutdown().await;
}
