//! Writes the report, which is there before anybody is told of it, and the way beside Atelier's gateway.

use api::names::FIELD_MANAGER_SHADOWDEPLOYMENT;
use k8s_openapi::api::{core::v1::ConfigMap, networking::v1::NetworkPolicy};
use kube::ResourceExt;

use super::{dereference::Observed, route::Way, validate::Owner};
use crate::{
    cluster::{self, Cluster},
    controllers::common::apply::{ApplyError, Writer},
    http_route::HttpRoute,
};

fn writer<'a>(cluster: &'a Cluster, owner: &'a Owner) -> Writer<'a> {
    Writer {
        cluster,
        manager: FIELD_MANAGER_SHADOWDEPLOYMENT,
        namespace: &owner.namespace,
        owner: &owner.reference,
    }
}

/// Writes the report.
///
/// # Errors
/// See [`ApplyError`].
pub async fn report(
    cluster: &Cluster,
    owner: &Owner,
    report: &ConfigMap,
    observed: &Observed,
) -> Result<(), ApplyError> {
    // It is named by what is in it, so one that is there is the same.
    writer(cluster, owner).ensure(&observed.reports, report).await
}

/// Writes the way, and deletes what is none of it; `observed` then says why it was refused.
///
/// # Errors
/// See [`ApplyError`].
pub async fn way(
    cluster: &Cluster,
    owner: &Owner,
    way: Option<&Way>,
    observed: &mut Observed,
) -> Result<(), ApplyError> {
    let writer = writer(cluster, owner);
    if let Some(way) = way.filter(|_| observed.routes.trouble.is_none()) {
        // Nobody is led to pods that would not let them in.
        writer.ensure(&observed.policies, &way.policy).await?;
        let outcome = writer.ensure(&observed.routes.found, &way.route).await;
        observed.routes.written(outcome)?;
    }
    let is_wanted = |name: &str| way.is_some_and(|way| way.route.name_any() == name);
    for route in observed.routes.found.iter().filter(|it| !is_wanted(&it.name_any())) {
        delete::<HttpRoute>(cluster, owner, route).await?;
    }
    let is_wanted = |name: &str| way.is_some_and(|way| way.policy.name_any() == name);
    for policy in observed.policies.iter().filter(|it| !is_wanted(&it.name_any())) {
        delete::<NetworkPolicy>(cluster, owner, policy).await?;
    }
    Ok(())
}

async fn delete<K: cluster::Kind>(cluster: &Cluster, owner: &Owner, object: &K) -> Result<(), ApplyError> {
    let uid = object.uid().unwrap_or_default();
    cluster.delete::<K>(&owner.namespace, &object.name_any(), &uid).await?;
    Ok(())
}
