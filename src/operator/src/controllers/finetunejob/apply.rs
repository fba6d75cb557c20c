//! Brings the children to what the plan says. Each write stands alone: a crash between any two is repaired by the next
//! pass.

use api::{FineTuneJob, names::FIELD_MANAGER_FINETUNEJOB};
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use serde_json::json;

use super::{build::is_large_enough, decide::Plan, dereference::Observed, validate::Owner};
use crate::{
    cluster::{self, Cluster, ClusterError},
    controllers::common::apply::{ApplyError, Writer},
};

/// Writes and deletes.
///
/// # Errors
/// The first failure; what comes after it is left to the next pass.
pub async fn apply(cluster: &Cluster, owner: &Owner, plan: &Plan, observed: &Observed) -> Result<(), ApplyError> {
    let writer = Writer {
        cluster,
        manager: FIELD_MANAGER_FINETUNEJOB,
        namespace: &owner.namespace,
        owner: &owner.reference,
    };
    if let Some(claim) = &plan.claim {
        match &observed.claim {
            Some(live) => {
                writer.refuse(live)?;
                let is_leaving = live.metadata.deletion_timestamp.is_some();
                if !is_leaving && !is_large_enough(live, claim) {
                    grow(&writer, live, claim).await?;
                }
            }
            None => drop(cluster.apply(FIELD_MANAGER_FINETUNEJOB, claim).await?),
        }
    }
    for policy in &plan.policies {
        writer.ensure(&observed.policies, policy).await?;
    }
    if let Some(service) = &plan.service {
        writer.ensure(&observed.services, service).await?;
    }
    for job in &plan.jobs {
        writer.ensure(&observed.jobs, job).await?;
    }
    for (name, suspend) in &plan.suspend {
        let patch = json!({"spec": {"suspend": suspend}});
        let patched = cluster
            .merge::<Job>(FIELD_MANAGER_FINETUNEJOB, &owner.namespace, name, &patch)
            .await;
        // One that has ended meanwhile, or is gone, needs nothing.
        match patched {
            Err(error) if matches!(error.status(), Some(404 | 422)) => {}
            other => drop(other?),
        }
    }
    for (name, uid) in &plan.delete {
        cluster.delete::<Job>(&owner.namespace, name, uid).await?;
    }
    for (name, uid) in &plan.delete_children {
        cluster.delete::<FineTuneJob>(&owner.namespace, name, uid).await?;
    }
    for child in &plan.create {
        match cluster.create(child).await {
            // A list that was older than the last pass did not show it.
            Err(error) if error.status() == Some(409) => {
                writer.refuse_foreign::<FineTuneJob>(&child.name_any()).await?
            }
            other => other?,
        }
    }
    Ok(())
}

/// Asks for a larger volume.
async fn grow<K: cluster::Kind>(writer: &Writer<'_>, live: &K, desired: &K) -> Result<(), ClusterError> {
    let spec = json!(desired);
    let size = spec.pointer("/spec/resources/requests").cloned().unwrap_or_default();
    let patch = json!({"spec": {"resources": {"requests": size}}});
    let name = live.name_any();
    let merged = writer
        .cluster
        .merge::<K>(writer.manager, writer.namespace, &name, &patch);
    merged.await.map(drop)
}
