//! One request, followed from its client to the engine of a worker, by the spans that a collector got.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use atelier_e2e::gateway::question;
use atelier_e2e::settings::{HOST_ADDRESS, SYSTEM_NAMESPACE};
use atelier_e2e::{Model, model, wait, with_namespace};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use telemetry::testing::{Collector, Seen, waterfall};

/// Where the picture of the trace goes, if anywhere:
/// `ATELIER_TRACE_SVG=$PWD/src/telemetry/trace.svg cargo xtask e2e calm --case leads_from_the_client`.
const PICTURE: &str = "ATELIER_TRACE_SVG";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// A gateway of its own, so that the others are left alone: no Service leads to it.
struct Traced {
    pods: Api<Pod>,
    name: String,
    address: String,
}

impl Traced {
    async fn start(client: &Client, collector: &Collector) -> Result<Self> {
        let deployments = Api::<Deployment>::namespaced(client.clone(), SYSTEM_NAMESPACE);
        let gateway = deployments.get(api::names::GATEWAY).await?;
        let spec = gateway.spec.and_then(|spec| spec.template.spec);
        let mut spec = serde_json::to_value(spec.context("the gateway has no pods")?)?;
        let env = spec["containers"][0]["env"].as_array().cloned().unwrap_or_default();
        let more = json!([
            {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": collector.endpoint()},
            {"name": "OTEL_BSP_SCHEDULE_DELAY", "value": "10"},
        ]);
        let is_other = |variable: &Value| !variable["name"].as_str().is_some_and(|name| name.starts_with("OTEL_"));
        let more = more.as_array().cloned().unwrap_or_default();
        spec["containers"][0]["env"] = env.into_iter().filter(is_other).chain(more).collect();
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"generateName": "traced-gateway-", "labels": {"app.kubernetes.io/component": "traced-gateway"}},
            "spec": spec,
        }))?;
        let pods = Api::<Pod>::namespaced(client.clone(), SYSTEM_NAMESPACE);
        let name = pods.create(&PostParams::default(), &pod).await?.name_any();
        let mut traced = Self {
            pods,
            name,
            address: String::new(),
        };
        let ready = wait::until("the traced gateway", async || {
            let status = traced.pods.get(&traced.name).await?.status.unwrap_or_default();
            let conditions = status.conditions.unwrap_or_default();
            let is_ready = conditions.iter().any(|it| it.type_ == "Ready" && it.status == "True");
            Ok(status.pod_ip.filter(|_| is_ready))
        });
        match ready.await {
            Ok(address) => {
                traced.address = address;
                Ok(traced)
            }
            Err(error) => {
                traced.stop().await?;
                Err(error)
            }
        }
    }

    async fn stop(self) -> Result<()> {
        self.pods.delete(&self.name, &DeleteParams::default()).await?;
        Ok(())
    }
}

/// The only span of a service that has this name.
fn one<'a>(spans: &'a [Seen], service: &str, name: &str) -> Result<&'a Seen> {
    let mut found = spans.iter().filter(|span| span.service == service && span.name == name);
    match (found.next(), found.next()) {
        (Some(span), None) => Ok(span),
        _ => anyhow::bail!("not one {name} of {service} in {spans:#?}"),
    }
}

#[tokio::test]
async fn one_trace_leads_from_the_client_to_the_engine() -> Result<()> {
    with_namespace("trace", async |namespace| {
        let host: Ipv4Addr = HOST_ADDRESS.parse()?;
        let collector = Collector::start_at(&host.to_string()).await?;
        let mut spec = model::bundled();
        spec["podOverrides"] = json!({"env": [
            {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": collector.endpoint()},
            {"name": "OTEL_BSP_SCHEDULE_DELAY", "value": "10"},
        ]});
        let model = Model::create(&namespace, "m", spec).await?;
        model.ready().await?;
        let traced = Traced::start(&namespace.client, &collector).await?;
        let token = namespace.gateway().await?.token().to_owned();
        let followed = follow(&collector, &traced, &model, &token).await;
        traced.stop().await?;
        followed
    })
    .await
}

async fn follow(collector: &Collector, traced: &Traced, model: &Model, token: &str) -> Result<()> {
    let question = question(&model.address(), "Name the capital city of France.", 16, true);
    let port = protocol::ports::GATEWAY_API;
    let url = format!("http://{}:{port}/v1/chat/completions", traced.address);
    let client = reqwest::Client::builder().no_proxy().build()?;
    let answer = client.post(url).bearer_auth(token).body(question.to_string());
    let answer = answer
        .header("traceparent", format!("00-{TRACE}-{PARENT}-01"))
        .send()
        .await?;
    ensure!(answer.status() == 200, "{answer:?}");
    let text = answer.text().await?;
    ensure!(text.contains("Paris"), "{text}");

    let of_trace = |spans: &[Seen]| {
        spans
            .iter()
            .filter(|span| span.trace == TRACE)
            .cloned()
            .collect::<Vec<_>>()
    };
    let spans = wait::until("the spans", async || {
        let spans = of_trace(&collector.spans());
        let is_whole = spans.iter().any(|span| span.parent == PARENT) && spans.iter().any(|span| span.name == "decode");
        Ok(is_whole.then_some(spans))
    })
    .await?;
    let at_gateway = spans.iter().find(|span| span.parent == PARENT).context("no gateway")?;
    ensure!(at_gateway.service == "atelier-gateway", "{at_gateway:#?}");
    for step in ["authenticate", "authorize"] {
        ensure!(
            one(&spans, "atelier-gateway", step)?.parent == at_gateway.id,
            "{step} in {spans:#?}"
        );
    }
    let at_worker = one(&spans, "atelier-worker", &format!("chat {}", model.name))?;
    let attempt = spans
        .iter()
        .find(|span| span.id == at_worker.parent)
        .context("no attempt")?;
    ensure!(attempt.parent == at_gateway.id, "{attempt:#?}");
    for step in ["queue", "prefill", "decode"] {
        ensure!(
            one(&spans, "atelier-worker", step)?.parent == at_worker.id,
            "{step} in {spans:#?}"
        );
    }
    if let Some(path) = std::env::var_os(PICTURE) {
        let title = "A chat, from the gateway to the engine of a worker";
        std::fs::write(path, waterfall::svg(&spans, title)).context("failed to write the picture")?;
    }
    Ok(())
}
