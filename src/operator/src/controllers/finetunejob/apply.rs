//! Brings the children to what the plan says. Each write stands alone: a crash between any two is repaired by the next
//! pass.

use api::{FineTuneJob, names::FIELD_MANAGER_FINETUNEJOB};
use k8s_openapi::{api::batch::v1::Job, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::ResourceExt;
use serde_json::json;

use super::{build::is_large_enough, decide::Plan, dereference::Observed, validate::Owner};
use crate::{
    cluster::{self, Cluster, ClusterError},
    controllers::llmmodel::drift,
};

/// Why a child is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The API server refused or did not answer.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A child of a deleted FineTuneJob of the same name is in the way, and about to be collected.
    #[error("{kind} {name} of the FineTuneJob that had this name before is still being deleted")]
    Leftover {
        /// Kind of the object.
        kind: String,
        /// Its name.
        name: String,
    },
    /// The name of a child is taken.
    #[error("{kind} {name} exists and does not belong to this FineTuneJob: delete or rename it")]
    NameConflict {
        /// Kind of the object.
        kind: String,
        /// Its name.
        name: String,
    },
}

/// Writes and deletes.
///
/// # Errors
/// The first failure; what comes after it is left to the next pass.
pub async fn apply(cluster: &Cluster, owner: &Owner, plan: &Plan, observed: &Observed) -> Result<(), ApplyError> {
    let writer = Writer { cluster, owner };
    if let Some(claim) = &plan.claim {
        match &observed.claim {
            Some(live) if !is_ours(live.owner_references(), owner) => return Err(writer.foreign(live)),
            Some(live) if live.metadata.deletion_timestamp.is_some() || is_large_enough(live, claim) => {}
            Some(live) => writer.grow(live, claim).await?,
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

struct Writer<'a> {
    cluster: &'a Cluster,
    owner: &'a Owner,
}

impl Writer<'_> {
    /// Writes `desired` unless it is there already.
    async fn ensure<K: cluster::Kind>(&self, existing: &[K], desired: &K) -> Result<(), ApplyError> {
        let desired = drift::stamped(desired.clone());
        let name = desired.name_any();
        match existing.iter().find(|object| object.name_any() == name) {
            // It comes back when it is gone.
            Some(live) if live.meta().deletion_timestamp.is_some() => return Ok(()),
            Some(live) if drift::is_applied(&desired, live) => return Ok(()),
            Some(_) => {}
            None => self.refuse_foreign::<K>(&name).await?,
        }
        self.cluster.apply(FIELD_MANAGER_FINETUNEJOB, &desired).await?;
        Ok(())
    }

    /// Asks for a larger volume.
    async fn grow<K: cluster::Kind>(&self, live: &K, desired: &K) -> Result<(), ClusterError> {
        let spec = json!(desired);
        let size = spec.pointer("/spec/resources/requests").cloned().unwrap_or_default();
        let patch = json!({"spec": {"resources": {"requests": size}}});
        let (namespace, name) = (&self.owner.namespace, live.name_any());
        let merged = self
            .cluster
            .merge::<K>(FIELD_MANAGER_FINETUNEJOB, namespace, &name, &patch);
        merged.await.map(drop)
    }

    /// A forced apply would take over whatever has this name.
    async fn refuse_foreign<K: cluster::Kind>(&self, name: &str) -> Result<(), ApplyError> {
        match self.cluster.get::<K>(&self.owner.namespace, name).await? {
            Some(found) if !is_ours(found.owner_references(), self.owner) => Err(self.foreign(&found)),
            _ => Ok(()),
        }
    }

    fn foreign<K: cluster::Kind>(&self, found: &K) -> ApplyError {
        let (kind, name) = (K::kind(&()).into_owned(), found.name_any());
        match is_predecessors(found.owner_references(), self.owner) {
            true => ApplyError::Leftover { kind, name },
            false => ApplyError::NameConflict { kind, name },
        }
    }
}

fn is_ours(owners: &[OwnerReference], owner: &Owner) -> bool {
    owners.iter().any(|reference| reference.uid == owner.uid)
}

/// Whether an object belongs to a deleted FineTuneJob of the same name.
fn is_predecessors(owners: &[OwnerReference], owner: &Owner) -> bool {
    let named = |it: &OwnerReference| it.kind == owner.reference.kind && it.name == owner.name;
    owners.iter().any(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::finetunejob::testing::the_owner;

    #[test]
    fn objects_of_others_are_told_apart() {
        let reference = |kind: &str, name: &str, uid: &str| OwnerReference {
            kind: kind.into(),
            name: name.into(),
            uid: uid.into(),
            ..OwnerReference::default()
        };
        let owner = the_owner();
        let ours = [reference("FineTuneJob", "tune", "job-uid")];
        let former = [reference("FineTuneJob", "tune", "former-uid")];
        let other = [reference("LlmModel", "tune", "other-uid")];
        assert!(is_ours(&ours, &owner) && !is_ours(&former, &owner) && !is_ours(&other, &owner));
        assert!(is_predecessors(&former, &owner) && !is_predecessors(&other, &owner));
    }
}
