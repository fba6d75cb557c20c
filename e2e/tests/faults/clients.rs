//! Clients that leave in the middle of an answer.

use anyhow::{Context, Result, ensure};
use atelier_e2e::{Model, model, wait, with_namespace};
use k8s_openapi::api::core::v1::Pod;

use crate::ALONE;

#[tokio::test]
async fn an_abandoned_answer_is_no_longer_computed() -> Result<()> {
    let _alone = ALONE.lock().await;
    with_namespace("abandoned", async |namespace| {
        let model = Model::create(&namespace, "m", model::bundled()).await?;
        model.ready().await?;
        let gateway = namespace.gateway().await?;
        let pod = namespace.api::<Pod>().get(&model.serving_pod().await?).await?;
        let address = pod
            .status
            .and_then(|status| status.pod_ip)
            .context("the pod has no address")?;
        let url = format!("http://{address}:{}/metrics", protocol::ports::WORKER_ADMIN);

        let mut stream = gateway
            .open_stream(&model.address(), "Write a long story about the sea.", 400)
            .await?;
        while stream.seen.text.is_empty() {
            ensure!(stream.next().await?, "the stream ended early: {:?}", stream.seen);
        }
        ensure!(running(&url).await? == 1.0, "the worker does not count the request");
        drop(stream);
        wait::until("the worker to stop computing", async || {
            Ok((running(&url).await? == 0.0).then_some(()))
        })
        .await?;
        let generated = metric(&url, "vllm:generation_tokens_total").await?;
        ensure!(generated < 400.0, "{generated} tokens were generated for nobody");
        Ok(())
    })
    .await
}

async fn running(url: &str) -> Result<f64> {
    metric(url, "vllm:num_requests_running").await
}

/// The value of a metric without or with labels.
async fn metric(url: &str, name: &str) -> Result<f64> {
    let text = reqwest::get(url).await?.text().await?;
    let line = text
        .lines()
        .find(|line| line.starts_with(name))
        .with_context(|| format!("no {name} in\n{text}"))?;
    let value = line.rsplit(' ').next().unwrap_or_default();
    value.parse().with_context(|| format!("{line:?} has no value"))
}
