//! What is told of a second try beside a late one.

use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use telemetry::testing::Seen;

use super::Traced;
use crate::{
    process_tests::{
        EVENTS, STREAM,
        hedges::{attempts, learned, moody},
        within,
    },
    testing::{VERSION, Worker},
};

#[tokio::test]
async fn both_tries_are_spans_and_the_one_that_answers_is_no_error() {
    let moody = moody().await;
    let good = Worker::answering(StatusCode::OK, EVENTS, "data: {}\n\n").await;
    let traced = Traced::start(&[], |timing| timing.hedges = true).await;
    traced.gateway.set_workers("m", VERSION, &[moody.address, good.address]);
    learned(&traced.gateway).await;
    moody.hangs.store(true, Ordering::Relaxed);
    while attempts(&traced.gateway, "hedge_won") == 0 {
        within(traced.chat(STREAM).await.text()).await.unwrap();
    }
    let is_late = |span: &&Seen| span.get("error.type") == "hedged";
    let is_there = |spans: &[Seen]| {
        let late = spans.iter().find(is_late);
        late.is_some_and(|late| spans.iter().any(|span| span.id == late.parent))
    };
    within(traced.collector.wait(is_there)).await;
    let spans = traced.collector.spans();
    let late = spans.iter().find(is_late).unwrap();
    assert_eq!(late.get("server.port"), moody.address.port().to_string());
    let request = spans.iter().find(|span| span.id == late.parent).unwrap();
    assert!(!request.is_error);
    let mut others = spans
        .iter()
        .filter(|span| span.parent == request.id && span.name == late.name && span.id != late.id);
    let won = others.next().unwrap();
    assert!(others.next().is_none() && !won.is_error, "{spans:#?}");
    assert_eq!(won.get("server.port"), good.address.port().to_string());
    // The worker goes on with its own try.
    let parents = good.received().into_iter();
    let mut parents = parents.map(|it| it.headers["traceparent"].to_str().unwrap().to_owned());
    assert!(parents.any(|parent| parent.contains(&won.id)));
}
