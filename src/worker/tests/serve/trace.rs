//! Traces as a collector gets them from a worker.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use rpc::v1::inference_client::InferenceClient;
use serde_json::json;
use telemetry::testing::{Collector, Seen};
use tonic::{metadata::MetadataValue, transport::Channel};

use crate::{grpc, question, support::Worker};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn traceparent() -> String {
    format!("00-{TRACE}-{PARENT}-01")
}

async fn traced(collector: &Collector) -> Result<Worker> {
    let endpoint = collector.endpoint();
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
    ];
    Worker::start_with(&[], &BTreeMap::from(env)).await
}

/// The request's span and its steps, in the order of time.
fn steps(spans: &[Seen]) -> Result<(&Seen, Vec<&Seen>)> {
    let request = spans.iter().find(|span| span.parent == PARENT);
    let request = request.with_context(|| format!("no request in {spans:#?}"))?;
    let mut steps: Vec<_> = spans.iter().filter(|span| span.parent == request.id).collect();
    steps.sort_by_key(|span| span.time);
    Ok((request, steps))
}

fn check(spans: &[Seen]) -> Result<()> {
    let (request, steps) = steps(spans)?;
    ensure!(spans.iter().all(|span| span.trace == TRACE), "{spans:#?}");
    ensure!(
        (request.name.as_str(), request.service.as_str(), request.is_error) == ("chat m", "atelier-worker", false),
        "{request:#?}"
    );
    ensure!(format!("{:?}", request.kind) == "Server", "{request:#?}");
    ensure!(request.get("gen_ai.operation.name") == "chat", "{request:#?}");
    let [queue, prefill, decode] = &steps[..] else {
        anyhow::bail!("{steps:#?}")
    };
    let names = [queue, prefill, decode].map(|step| step.name.as_str());
    ensure!(names == ["queue", "prefill", "decode"], "{steps:#?}");
    ensure!(queue.time.1 <= prefill.time.0 + 1_000_000, "{steps:#?}");
    ensure!(
        prefill.time.0 < prefill.time.1 && decode.time.0 < decode.time.1,
        "{steps:#?}"
    );
    ensure!(request.time.0 <= queue.time.0 + 1_000_000, "{spans:#?}");
    ensure!(prefill.get("atelier.prompt_tokens") == "37", "{prefill:#?}");
    ensure!(decode.get("atelier.output_tokens") == "8", "{decode:#?}");
    Ok(())
}

#[tokio::test]
async fn a_request_is_followed_to_what_the_engine_does() -> Result<()> {
    let collector = Collector::start().await?;
    let worker = traced(&collector).await?;
    let of_request = |spans: &[Seen]| spans.iter().filter(|span| span.trace == TRACE).count() == 4;

    let sent = question(json!({"stream": true})).to_string();
    let parent = traceparent();
    let answer = worker
        .send_with("/v1/chat/completions", &sent, &[("traceparent", &parent)])
        .await?;
    let text = answer.text().await?;
    ensure!(text.contains("Paris"), "{text}");
    check(&collector.wait(of_request).await)?;
    for body in collector.bodies() {
        let body = String::from_utf8_lossy(&body).into_owned();
        ensure!(!body.contains("capital") && !body.contains("Paris"), "{body}");
    }
    Ok(())
}

#[tokio::test]
async fn so_is_one_over_grpc_and_what_is_left_comes_at_the_end() -> Result<()> {
    let collector = Collector::start().await?;
    let worker = traced(&collector).await?;
    let channel = Channel::from_shared(worker.grpc())?.connect().await?;
    let mut request = tonic::Request::new(grpc::question());
    let parent = MetadataValue::try_from(traceparent())?;
    request.metadata_mut().insert("traceparent", parent);
    let answer = InferenceClient::new(channel).chat(request).await?.into_inner();
    ensure!(answer.choices.len() == 1, "{answer:?}");

    // A refusal, and a request that joins no trace.
    let refused = worker.send("/v1/chat/completions", r#"{"model":"x"}"#).await?;
    ensure!(refused.status() == 404, "{refused:?}");
    worker.get("/v1/models").await?;
    worker.terminate()?;
    ensure!(worker.exit_code().await? == Some(0), "it failed");

    let spans = collector.spans();
    let (of_trace, others): (Vec<_>, Vec<_>) = spans.into_iter().partition(|span| span.trace == TRACE);
    check(&of_trace)?;
    let [refused] = &others[..] else {
        anyhow::bail!("{others:#?}")
    };
    ensure!(
        refused.parent.is_empty() && refused.get("error.type") == "404",
        "{refused:#?}"
    );
    ensure!(!refused.is_error, "{refused:#?}");
    Ok(())
}
