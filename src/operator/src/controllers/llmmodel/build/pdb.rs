//! Drained nodes take one pod at a time.

use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

use super::Builder;
use crate::controllers::llmmodel::version::Version;

/// The PodDisruptionBudget of a version. One pod may always go: a single replica must not hold up the
/// drain of a node for ever.
pub fn build(builder: &Builder<'_>, version: &Version) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: builder.version_metadata(version),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(LabelSelector {
                match_labels: Some(builder.selector(version)),
                ..LabelSelector::default()
            }),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".into()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}
