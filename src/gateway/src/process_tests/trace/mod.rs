//! Traces as a collector gets them: real OTLP on loopback.

mod attempts;
mod collectors;
mod hedges;
mod requests;

use reqwest::{Method, Response};
use telemetry::{
    Tracing,
    testing::{Collector, Seen},
};

use super::within;
use crate::testing::{TestGateway, Timing, Worker};

/// The trace that clients name, and their span in it.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A gateway whose traces a collector gets.
struct Traced {
    gateway: TestGateway,
    collector: Collector,
    tracing: Tracing,
}

impl Traced {
    async fn start(workers: &[&Worker], adjust: impl FnOnce(&mut Timing)) -> Self {
        let collector = Collector::start().await.unwrap();
        let registry = prometheus::Registry::new();
        let tracing = Tracing::start(collector.settings(), "atelier-gateway", &registry).unwrap();
        let gateway = TestGateway::start(workers, |timing| {
            timing.tracing = tracing.clone();
            adjust(timing);
        });
        Self {
            gateway: gateway.await,
            collector,
            tracing,
        }
    }

    async fn chat(&self, body: &str) -> Response {
        let request = self.gateway.request(Method::POST, "/v1/chat/completions");
        let request = request.header("traceparent", TRACEPARENT).header("x-request-id", "abc");
        within(request.body(body.to_owned()).send()).await.unwrap()
    }

    /// All spans, when the one of a request is among them: it ends last.
    async fn spans(&self) -> Vec<Seen> {
        let is_there = |spans: &[Seen]| spans.iter().any(|span| span.parent == PARENT);
        within(self.collector.wait(is_there)).await;
        self.tracing.shutdown().await;
        self.collector.spans()
    }
}

/// The one span of that name below `parent`.
fn child<'a>(spans: &'a [Seen], parent: &Seen, name: &str) -> &'a Seen {
    let mut of_name = spans
        .iter()
        .filter(|span| span.parent == parent.id && span.name == name);
    match (of_name.next(), of_name.next()) {
        (Some(one), None) => one,
        _ => panic!("not one {name} in {spans:#?}"),
    }
}

/// The span of the request.
fn request(spans: &[Seen]) -> &Seen {
    spans.iter().find(|span| span.parent == PARENT).unwrap()
}
