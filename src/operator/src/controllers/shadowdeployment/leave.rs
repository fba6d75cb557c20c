//! How a ShadowDeployment ends: the gateway forgets its pairs, and only then does it go.

use api::{
    ShadowDeployment,
    conditions::{self, Finding, types},
    names::{FIELD_MANAGER_SHADOWDEPLOYMENT, FINALIZER_SHADOW},
    reasons,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{ResourceExt, runtime::controller::Action};
use serde_json::json;

use super::{Context, status, validate::Owner};
use crate::{
    cluster::{Cluster, ClusterError},
    controllers::common::reconcile::ReconcileError,
};

/// Holds a ShadowDeployment back until its pairs are forgotten.
///
/// # Errors
/// When somebody else has changed it, among others: the next pass sees how.
pub async fn hold(cluster: &Cluster, shadow: &ShadowDeployment, owner: &Owner) -> Result<(), ReconcileError> {
    if is_held(shadow) {
        return Ok(());
    }
    let mut finalizers = shadow.finalizers().to_vec();
    finalizers.push(FINALIZER_SHADOW.into());
    set(cluster, shadow, owner, &finalizers)
        .await
        .map_err(ReconcileError::Status)
}

/// Lets a ShadowDeployment go whose pairs are forgotten.
///
/// # Errors
/// When they are not, among others.
pub async fn leave(context: &Context, shadow: &ShadowDeployment, owner: &Owner) -> Result<Action, ReconcileError> {
    context.runs.forget(owner);
    if !is_held(shadow) {
        return Ok(Action::await_change());
    }
    if let Err(error) = context.pairs.forget(&owner.namespace, &owner.name, &owner.uid).await {
        let message = format!(
            "the gateway cannot forget its pairs, so it stays: {error}. Whoever wants it to go with its pairs left behind \
             removes the finalizer {FINALIZER_SHADOW}"
        );
        report(context, shadow, owner, &message).await?;
        return Err(ReconcileError::Pairs(error));
    }
    let finalizers: Vec<_> = shadow
        .finalizers()
        .iter()
        .filter(|finalizer| *finalizer != FINALIZER_SHADOW)
        .cloned()
        .collect();
    match set(&context.cluster, shadow, owner, &finalizers).await {
        // Somebody else has let it go.
        Err(error) if error.status() == Some(404) => {}
        other => other.map_err(ReconcileError::Status)?,
    }
    context.references.forget(&owner.namespace, &owner.name);
    Ok(Action::await_change())
}

/// Says why it is still there.
async fn report(
    context: &Context,
    shadow: &ShadowDeployment,
    owner: &Owner,
    message: &str,
) -> Result<(), ReconcileError> {
    let before = shadow.status.clone().unwrap_or_default();
    let mut after = before.clone();
    let finding = Finding::new(types::READY, false, reasons::FORGET_FAILED, message);
    let now = Time(Timestamp::now());
    conditions::upsert(&mut after.conditions, finding, shadow.metadata.generation, &now);
    match status::write(&context.cluster, owner, shadow, &after).await {
        Ok(true) => {
            for notice in status::notices(&before, &after) {
                context.events.publish(shadow, &notice).await;
            }
            Ok(())
        }
        Ok(false) => Ok(()),
        // Somebody else has let it go.
        Err(error) if error.status() == Some(404) => Ok(()),
        Err(error) => Err(ReconcileError::Status(error)),
    }
}

fn is_held(shadow: &ShadowDeployment) -> bool {
    shadow
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == FINALIZER_SHADOW)
}

/// Sets the finalizers of this very ShadowDeployment, as it was read.
async fn set(
    cluster: &Cluster,
    shadow: &ShadowDeployment,
    owner: &Owner,
    finalizers: &[String],
) -> Result<(), ClusterError> {
    let patch = json!({"metadata": {
        "uid": owner.uid,
        "resourceVersion": shadow.metadata.resource_version,
        "finalizers": finalizers,
    }});
    cluster
        .merge::<ShadowDeployment>(FIELD_MANAGER_SHADOWDEPLOYMENT, &owner.namespace, &owner.name, &patch)
        .await
        .map(drop)
}
