//! Writes the report, which is there before anybody is told of it.

use api::names::FIELD_MANAGER_SHADOWDEPLOYMENT;
use k8s_openapi::api::core::v1::ConfigMap;

use super::{dereference::Observed, validate::Owner};
use crate::{
    cluster::Cluster,
    controllers::common::apply::{ApplyError, Writer},
};

/// Writes the report.
///
/// # Errors
/// See [`ApplyError`].
pub async fn apply(
    cluster: &Cluster,
    owner: &Owner,
    report: &ConfigMap,
    observed: &Observed,
) -> Result<(), ApplyError> {
    let writer = Writer {
        cluster,
        manager: FIELD_MANAGER_SHADOWDEPLOYMENT,
        namespace: &owner.namespace,
        owner: &owner.reference,
    };
    // It is named by what is in it, so one that is there is the same.
    writer.ensure(&observed.reports, report).await
}
