//! The operator's pods, to be killed.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client, ResourceExt as _};

use crate::settings::SYSTEM_NAMESPACE;

const SELECTOR: &str = "app.kubernetes.io/name=atelier,app.kubernetes.io/component=operator";

/// Kills all pods of the operator without a grace period; their Deployment starts new ones.
pub async fn kill(client: &Client) -> Result<()> {
    let pods = Api::<Pod>::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let list = pods.list(&ListParams::default().labels(SELECTOR)).await;
    let at_once = DeleteParams::default().grace_period(0);
    for pod in list.context("failed to list the operator's pods")? {
        // One that is gone already is as good as killed.
        if let Err(error) = pods.delete(&pod.name_any(), &at_once).await {
            let gone = matches!(&error, kube::Error::Api(status) if status.code == 404);
            if !gone {
                return Err(error).context("failed to kill the operator");
            }
        }
    }
    Ok(())
}
