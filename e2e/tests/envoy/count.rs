//! What workers say of the requests that came to them, and what may come by chance.

use std::ops::Sub;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use atelier_e2e::{Namespace, gateway_api, wait};
use serde_json::{Value, json};

/// Between two looks that must find the same.
const PAUSE: Duration = Duration::from_secs(1);

/// What the pods of a version have done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// Answers that were completed.
    pub answers: u64,
    /// Tokens of their prompts.
    pub prompt_tokens: u64,
}

impl Sub for Work {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            answers: self.answers - other.answers,
            prompt_tokens: self.prompt_tokens - other.prompt_tokens,
        }
    }
}

/// What the pods of a version have done so far.
pub async fn so_far(namespace: &Namespace, model: &str, version: &str) -> Result<Work> {
    let mut work = Work {
        answers: 0,
        prompt_tokens: 0,
    };
    let pods = namespace.serving_pods(model, version).await?;
    ensure!(!pods.is_empty(), "no pod serves {version}");
    for pod in pods {
        let address = pod.status.and_then(|status| status.pod_ip);
        let address = address.context("the pod has no address")?;
        let url = format!("http://{address}:{}/metrics", protocol::ports::WORKER_ADMIN);
        let text = reqwest::get(&url).await?.error_for_status()?.text().await?;
        work.answers += sum(&text, "vllm:request_success_total")?;
        work.prompt_tokens += sum(&text, "vllm:prompt_tokens_total")?;
    }
    Ok(work)
}

/// The same, once nothing is under way any more: nobody waits for the answers to copies.
pub async fn settled(namespace: &Namespace, model: &str, version: &str) -> Result<Work> {
    let mut before = None;
    wait::until(&format!("{version} to be idle"), async || {
        tokio::time::sleep(PAUSE).await;
        let now = so_far(namespace, model, version).await?;
        let earlier = before.replace(now);
        Ok((earlier == Some(now)).then_some(now))
    })
    .await
}

/// Waits until a version answers more than it did, which may have no pods yet.
pub async fn grows(namespace: &Namespace, model: &str, version: &str) -> Result<()> {
    let before = so_far(namespace, model, version).await.map_or(0, |work| work.answers);
    wait::until(&format!("requests to reach {version}"), async || {
        let now = so_far(namespace, model, version).await?;
        Ok((now.answers > before).then_some(()))
    })
    .await
}

fn sum(text: &str, name: &str) -> Result<u64> {
    let mut sum = 0.0;
    for line in text.lines().filter(|line| line.starts_with(name)) {
        let value = line.rsplit(' ').next().unwrap_or_default();
        sum += value.parse::<f64>().with_context(|| format!("{line:?} has no value"))?;
    }
    Ok(sum as u64)
}

/// Fails where so many of `all` are too far from their share to be by chance: by four standard deviations, which chance does
/// once in sixteen thousand times.
pub fn is_share(what: &str, found: u64, all: u64, share: f64) -> Result<()> {
    let expected = all as f64 * share;
    let deviation = (expected * (1.0 - share)).sqrt();
    let off = (found as f64 - expected) / deviation;
    println!(
        "{what}: {found} of {all} requests, {:.1} % where {:.1} % were asked for ({off:+.1} standard deviations)",
        100.0 * found as f64 / all as f64,
        100.0 * share
    );
    ensure!(off.abs() < 4.0, "{what}: {found} of {all} is no share of {share}");
    Ok(())
}

/// What users ask: all the same, so that prompts that came whole have equally many tokens.
pub fn question(_user: u64, _number: u64) -> Value {
    json!({
        "model": "m",
        "messages": [{"role": "user", "content": "Name three things that you find in a kitchen."}],
        "max_tokens": 4,
        "temperature": 0,
        "stream": true,
    })
}

/// Who wrote the status of an HTTPRoute, and the conditions in it that are true.
pub async fn told(namespace: &Namespace, route: &str) -> Result<Vec<(String, Vec<String>)>> {
    let route = gateway_api::routes(namespace).get(route).await?;
    let parents = route.data["status"]["parents"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let told = parents.iter().map(|parent| {
        let conditions = parent["conditions"].as_array().into_iter().flatten();
        let mut found: Vec<_> = conditions
            .filter(|it| it["status"] == "True")
            .map(|it| text(&it["type"]))
            .collect();
        found.sort();
        (text(&parent["controllerName"]), found)
    });
    Ok(told.collect())
}
