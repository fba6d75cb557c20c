//! The Deployment controller of the same control plane, on as many objects of its own.

use std::time::Instant;

use anyhow::{Context, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Namespace};
use kube::{
    Api, Client,
    api::{DeleteParams, PostParams},
};
use serde_json::json;

use super::{census, world::AT_ONCE, world::PATIENCE};
use crate::{control_plane, wait};

const NAMESPACE: &str = "peer";

/// Seconds from the first Deployment to the last ReplicaSet. Leaves nothing behind.
pub async fn replica_sets(client: &Client, count: usize) -> Result<f64> {
    control_plane::namespace(client, NAMESPACE).await?;
    let deployments = Api::<Deployment>::namespaced(client.clone(), NAMESPACE);
    let mut replica_sets = census::of_replica_sets(client, NAMESPACE);
    let begun = Instant::now();
    stream::iter(0..count)
        .map(|index| create(&deployments, index))
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<_>>()
        .await?;
    let seconds = (replica_sets.reach(count).await? - begun).as_secs_f64();
    drop(replica_sets);

    control_plane::remove_namespace(client, NAMESPACE).await?;
    let namespaces = Api::<Namespace>::all(client.clone());
    wait::until("the Deployments to be gone", PATIENCE, async || {
        // It may have to be asked again while it is full.
        let _ = namespaces.delete(NAMESPACE, &DeleteParams::default()).await;
        Ok(namespaces.get_opt(NAMESPACE).await?.is_none().then_some(()))
    })
    .await?;
    Ok(seconds)
}

async fn create(deployments: &Api<Deployment>, index: usize) -> Result<()> {
    let labels = json!({"app": format!("d-{index}")});
    let deployment = serde_json::from_value(json!({
        "metadata": {"name": format!("d-{index}")},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "c", "image": "localhost/pause:1"}]},
            },
        },
    }))
    .context("failed to build a Deployment")?;
    let created = deployments.create(&PostParams::default(), &deployment).await;
    created.context("failed to create a Deployment").map(drop)
}
