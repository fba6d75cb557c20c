//! One request, followed from its client through the gateway and a worker process to what the engine computes.

#[path = "gateway/front.rs"]
mod front;
mod support;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use reqwest::header::HeaderMap;
use serde_json::json;
use telemetry::{
    Tracing,
    testing::{Collector, Seen, waterfall},
    trace::Kind,
};

use front::Front;
use support::Worker;

/// Where the picture of the trace goes, if anywhere: that of the README is drawn by
/// `ATELIER_TRACE_SVG=src/telemetry/trace.svg cargo test -p atelier-worker --test gateway`.
const PICTURE: &str = "ATELIER_TRACE_SVG";

fn tracing(collector: &Collector, service: &'static str) -> Result<Tracing> {
    let registry = prometheus::Registry::new();
    Tracing::start(collector.settings(), service, &registry).context("failed to trace")
}

/// The only span of a service that has this name.
fn one<'a>(spans: &'a [Seen], service: &str, name: &str) -> Result<&'a Seen> {
    let mut found = spans.iter().filter(|span| span.service == service && span.name == name);
    match (found.next(), found.next()) {
        (Some(span), None) => Ok(span),
        _ => anyhow::bail!("not one {name} of {service} in {spans:#?}"),
    }
}

/// How many tokens an answer says that it has: processors differ in the last digit, and so in the word that ends it.
fn tokens_of(stream: &str) -> Option<u64> {
    let events = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    let mut parsed = events.filter_map(|event| serde_json::from_str::<serde_json::Value>(event).ok());
    parsed.find_map(|event| event["usage"]["completion_tokens"].as_u64())
}

#[tokio::test]
async fn one_trace_leads_from_the_client_to_the_engine() -> Result<()> {
    let collector = Collector::start().await?;
    let endpoint = collector.endpoint();
    let env = BTreeMap::from([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
    ]);
    let worker = Worker::start_with(&[], &env).await?;
    let (client, gateway) = (tracing(&collector, "client")?, tracing(&collector, "atelier-gateway")?);
    let front = Front::start(worker.address(), gateway.clone()).await?;

    let span = client.begin("ask ns/m", Kind::Client, &HeaderMap::new());
    let mut headers = HeaderMap::new();
    span.inject(&mut headers);
    let question = json!({
        "model": "ns/m", "temperature": 0, "max_tokens": 8, "stream": true, "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
    });
    let url = format!("http://{}/v1/chat/completions", front.address);
    let request = reqwest::Client::builder()
        .no_proxy()
        .build()?
        .post(url)
        .headers(headers);
    let answer = request.bearer_auth("good").body(question.to_string()).send().await?;
    ensure!(answer.status() == 200, "{answer:?}");
    let text = answer.text().await?;
    ensure!(text.contains("[DONE]"), "{text}");
    let tokens = tokens_of(&text).with_context(|| format!("no usage in {text}"))?;
    drop(span);

    let is_whole = |spans: &[Seen]| {
        let has = |service: &str, name: &str| spans.iter().any(|span| span.service == service && span.name == name);
        has("atelier-worker", "decode") && has("atelier-worker", "chat m") && has("client", "ask ns/m")
    };
    collector.wait(is_whole).await;
    // These end last, in whatever order they come.
    client.shutdown().await;
    gateway.shutdown().await;
    let spans = collector.spans();

    let asked = one(&spans, "client", "ask ns/m")?;
    ensure!(spans.iter().all(|span| span.trace == asked.trace), "{spans:#?}");
    ensure!(asked.parent.is_empty(), "{asked:#?}");
    let at_gateway = spans
        .iter()
        .find(|span| span.parent == asked.id)
        .context("no gateway")?;
    ensure!(
        at_gateway.service == "atelier-gateway" && format!("{:?}", at_gateway.kind) == "Server",
        "{at_gateway:#?}"
    );
    for step in ["authenticate", "authorize"] {
        ensure!(
            one(&spans, "atelier-gateway", step)?.parent == at_gateway.id,
            "{step} in {spans:#?}"
        );
    }
    let at_worker = one(&spans, "atelier-worker", "chat m")?;
    let attempt = spans
        .iter()
        .find(|span| span.id == at_worker.parent)
        .context("no attempt")?;
    ensure!(
        attempt.parent == at_gateway.id && attempt.service == "atelier-gateway",
        "{attempt:#?}"
    );
    for step in ["queue", "prefill", "decode"] {
        ensure!(
            one(&spans, "atelier-worker", step)?.parent == at_worker.id,
            "{step} in {spans:#?}"
        );
    }
    let decode = one(&spans, "atelier-worker", "decode")?;
    ensure!(
        decode.get("atelier.output_tokens") == tokens.to_string(),
        "{tokens} tokens, {decode:#?}"
    );
    if let Some(path) = std::env::var_os(PICTURE) {
        let title = format!("A chat of {tokens} tokens, from its client to the engine of a worker");
        std::fs::write(path, waterfall::svg(&spans, &title)).context("failed to write the picture")?;
    }
    Ok(())
}
