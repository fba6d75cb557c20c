//! Several gateways, and one that dies.

use anyhow::{Context, Result, ensure};
use atelier_e2e::gateway::{Gateway, question};
use atelier_e2e::settings::SYSTEM_NAMESPACE;
use atelier_e2e::{Model, Namespace, model, wait, with_namespace};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use reqwest::StatusCode;
use serde_json::json;

use crate::ALONE;

const SELECTOR: &str = "app.kubernetes.io/name=atelier,app.kubernetes.io/component=gateway";
/// Requests of a user in any minute.
const LIMIT: usize = 20;

/// Sets the number of replicas and waits until they know each other; their names and addresses.
async fn scale(client: &Client, replicas: usize) -> Result<Vec<(String, String)>> {
    let deployments = Api::<Deployment>::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let change = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    deployments
        .patch(api::names::GATEWAY, &PatchParams::default(), &change)
        .await?;
    acquainted(client, replicas).await
}

async fn acquainted(client: &Client, replicas: usize) -> Result<Vec<(String, String)>> {
    let pods = Api::<Pod>::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let known = format!("atelier_gateway_replicas {replicas}\n");
    wait::until("the gateways to know each other", async || {
        let list = pods.list(&ListParams::default().labels(SELECTOR)).await?;
        let mut found = Vec::new();
        for pod in list {
            let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone());
            let Some(address) = address.filter(|_| pod.metadata.deletion_timestamp.is_none()) else {
                continue;
            };
            let url = format!("http://{address}:{}/metrics", protocol::ports::GATEWAY_ADMIN);
            let Ok(response) = reqwest::get(url).await else {
                return Ok(None);
            };
            if !response.text().await?.contains(&known) {
                return Ok(None);
            }
            found.push((pod.name_any(), address));
        }
        Ok((found.len() == replicas).then_some(found))
    })
    .await
}

/// Asks for one token and tells whether that was admitted; nothing but an answer or a refusal will do.
async fn ask(gateway: &Gateway, model: &Model) -> Result<bool> {
    let body = question(&model.address(), "Say yes.", 1, false);
    let (status, body) = gateway.send("/v1/chat/completions", &body).await?;
    match status {
        StatusCode::OK => Ok(true),
        StatusCode::TOO_MANY_REQUESTS if body["error"]["code"] == "rate_limit_exceeded" => Ok(false),
        _ => anyhow::bail!("{status} {body}"),
    }
}

#[tokio::test]
async fn gateways_count_together_and_outlive_each_other() -> Result<()> {
    let _alone = ALONE.lock().await;
    with_namespace("gateways", async |namespace| {
        let outcome = count_together(&namespace).await;
        scale(&namespace.client, 1).await?;
        outcome
    })
    .await
}

async fn count_together(namespace: &Namespace) -> Result<()> {
    let mut spec = model::bundled();
    spec["limits"] = json!({"perUser": {"requestsPerMinute": LIMIT}});
    let model = Model::create(namespace, "m", spec).await?;
    model.ready().await?;
    let gateways = scale(&namespace.client, 2).await?;
    let asker = namespace.gateway().await?;
    let at = |(_, address): &(String, String)| asker.at(format!("http://{address}:{}", protocol::ports::GATEWAY_API));
    let replicas: Vec<_> = gateways.iter().map(at).collect();

    let mut admitted = 0;
    for i in 0..3 * LIMIT {
        admitted += usize::from(ask(&replicas[i % 2], &model).await?);
    }
    // A slow machine may take more than a minute for them all.
    ensure!((LIMIT..=LIMIT + LIMIT / 2).contains(&admitted), "{admitted} of {LIMIT}");

    // One dies without a goodbye, and the other takes over.
    let pods = Api::<Pod>::namespaced(namespace.client.clone(), SYSTEM_NAMESPACE);
    pods.delete(&gateways[0].0, &DeleteParams::default().grace_period(0))
        .await?;
    for _ in 0..2 * LIMIT {
        ask(&replicas[1], &model).await?;
    }
    acquainted(&namespace.client, 2)
        .await
        .context("no new gateway joined")?;
    Ok(())
}
