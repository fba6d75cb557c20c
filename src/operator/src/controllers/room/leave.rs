//! How a Room ends: nobody is let in any more, nothing fills it any more, the gateway takes away what is in it, and
//! only then does it go. Its name may come back, its documents must not.

use std::time::Duration;

use api::{
    Room, RoomStatus,
    conditions::{self, Finding, types},
    names::{self, FIELD_MANAGER_ROOM, FINALIZER_ROOM},
    reasons,
};
use jiff::Timestamp;
use k8s_openapi::{
    api::{batch::v1::Job, core::v1::Pod, rbac::v1::RoleBinding},
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::{ResourceExt, runtime::controller::Action};
use serde_json::json;

use super::{Context, status, validate::Owner};
use crate::{
    cluster::{Cluster, ClusterError},
    controllers::common::{
        dereference::DereferenceError,
        ownership::owned,
        reconcile::{LOOK_AGAIN, ReconcileError},
    },
    events::Notice,
};

/// How long pods that fill the Room are waited for. Without their RoleBinding they can do nothing by then.
const PATIENCE: Duration = Duration::from_secs(60);

/// Holds a Room back until what is in it is gone.
///
/// # Errors
/// When somebody else has changed the Room, among others: the next pass sees how.
pub async fn hold(cluster: &Cluster, room: &Room, owner: &Owner) -> Result<(), ReconcileError> {
    if is_held(room) {
        return Ok(());
    }
    let mut finalizers = room.finalizers().to_vec();
    finalizers.push(FINALIZER_ROOM.into());
    set(cluster, room, owner, &finalizers)
        .await
        .map_err(ReconcileError::Status)
}

/// Lets a Room go whose contents are gone.
///
/// # Errors
/// When they are not, among others.
pub async fn leave(context: &Context, room: &Room, owner: &Owner) -> Result<Action, ReconcileError> {
    if !is_held(room) {
        return Ok(Action::await_change());
    }
    let cluster = &context.cluster;
    let pods = shut(cluster, owner).await?;
    let since = room.metadata.deletion_timestamp.as_ref().map(|time| time.0);
    let waited = since.and_then(|since| Duration::try_from(Timestamp::now().duration_since(since)).ok());
    if pods > 0 && waited.is_none_or(|waited| waited < PATIENCE) {
        let message = format!("{pods} pods that read its sources are told to stop");
        report(context, room, owner, reasons::PURGING, &message).await?;
        return Ok(Action::requeue(LOOK_AGAIN));
    }
    match context.contents.purge(&owner.namespace, &owner.name, &owner.uid).await {
        Ok(true) => {}
        Ok(false) => {
            let message = "the gateway takes away what is in it";
            report(context, room, owner, reasons::PURGING, message).await?;
            return Ok(Action::requeue(LOOK_AGAIN));
        }
        Err(error) => {
            let message = format!(
                "what is in it cannot be taken away, so it stays: {error}. Whoever wants it to go with its documents left \
                 behind removes the finalizer {FINALIZER_ROOM}"
            );
            report(context, room, owner, reasons::PURGE_FAILED, &message).await?;
            return Err(ReconcileError::Contents(error));
        }
    }
    let finalizers: Vec<_> = room
        .finalizers()
        .iter()
        .filter(|finalizer| *finalizer != FINALIZER_ROOM)
        .cloned()
        .collect();
    match set(cluster, room, owner, &finalizers).await {
        // Somebody else has let it go.
        Err(error) if error.status() == Some(404) => {}
        other => other.map_err(ReconcileError::Status)?,
    }
    context.references.forget(&owner.namespace, &owner.name);
    Ok(Action::await_change())
}

/// Lets nobody in any more, and stops what fills the Room; how many pods of that there are still.
async fn shut(cluster: &Cluster, owner: &Owner) -> Result<usize, ReconcileError> {
    let namespace = owner.namespace.as_str();
    let labels = names::selector_string(&names::room_labels(&owner.name));
    let read = |error: ClusterError| ReconcileError::from(DereferenceError::from(error));
    let bindings = cluster.list::<RoleBinding>(namespace, &labels).await.map_err(read)?;
    for binding in owned(bindings, &owner.reference) {
        let uid = binding.uid().unwrap_or_default();
        let deleted = cluster
            .delete::<RoleBinding>(namespace, &binding.name_any(), &uid)
            .await;
        deleted.map_err(ReconcileError::Status)?;
    }
    let jobs = cluster.list::<Job>(namespace, &labels).await.map_err(read)?;
    for job in owned(jobs, &owner.reference) {
        let uid = job.uid().unwrap_or_default();
        let deleted = cluster.delete::<Job>(namespace, &job.name_any(), &uid).await;
        deleted.map_err(ReconcileError::Status)?;
    }
    let pods = cluster.list::<Pod>(namespace, &labels).await.map_err(read)?;
    let has_ended = |pod: &Pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        matches!(phase, Some("Succeeded" | "Failed"))
    };
    Ok(pods.iter().filter(|pod| !has_ended(pod)).count())
}

/// Says why the Room is still there.
async fn report(
    context: &Context,
    room: &Room,
    owner: &Owner,
    reason: &str,
    message: &str,
) -> Result<(), ReconcileError> {
    let before = room.status.clone().unwrap_or_default();
    let after = leaving(room, &before, reason, message);
    let written = status::write(&context.cluster, owner, room, &after).await;
    match written {
        Ok(true) => {
            for notice in status::notices(&before, &after) {
                let notice = Notice {
                    action: "Purge",
                    ..notice
                };
                context.events.publish(room, &notice).await;
            }
            Ok(())
        }
        Ok(false) => Ok(()),
        // Somebody else has let it go.
        Err(error) if error.status() == Some(404) => Ok(()),
        Err(error) => Err(ReconcileError::Status(error)),
    }
}

fn leaving(room: &Room, before: &RoomStatus, reason: &str, message: &str) -> RoomStatus {
    let mut after = before.clone();
    let generation = room.metadata.generation;
    let finding = Finding::new(types::READY, false, reason, message);
    let now = Time(Timestamp::now());
    conditions::upsert(&mut after.conditions, finding, generation, &now);
    after
}

fn is_held(room: &Room) -> bool {
    room.finalizers().iter().any(|finalizer| finalizer == FINALIZER_ROOM)
}

/// Sets the finalizers of this very Room, as it was read.
async fn set(cluster: &Cluster, room: &Room, owner: &Owner, finalizers: &[String]) -> Result<(), ClusterError> {
    let patch = json!({"metadata": {
        "uid": owner.uid,
        "resourceVersion": room.metadata.resource_version,
        "finalizers": finalizers,
    }});
    cluster
        .merge::<Room>(FIELD_MANAGER_ROOM, &owner.namespace, &owner.name, &patch)
        .await
        .map(drop)
}
