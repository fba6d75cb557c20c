//! What exists now: the models that a ShadowDeployment names, and its reports.

use api::{
    LlmModel, ShadowDeployment,
    names::{self},
};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::ConfigMap};

use super::validate::Owner;
use crate::{
    cluster::Cluster,
    controllers::common::{
        dereference::{DereferenceError, read},
        ownership::owned,
    },
};

/// What exists now.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The model whose requests are copied.
    pub model: Option<LlmModel>,
    /// The other model that answers, where the candidate is one.
    pub other: Option<LlmModel>,
    /// The pods of the candidate, where it is a version.
    pub deployment: Option<Deployment>,
    /// Models that embed or judge: their names, and what they are.
    pub helpers: Vec<(String, Option<LlmModel>)>,
    /// Reports of this ShadowDeployment.
    pub reports: Vec<ConfigMap>,
}

/// Reads all of it.
///
/// # Errors
/// See [`DereferenceError`].
pub async fn observe(
    cluster: &Cluster,
    owner: &Owner,
    shadow: &ShadowDeployment,
) -> Result<Observed, DereferenceError> {
    let namespace = owner.namespace.as_str();
    let spec = &shadow.spec;
    let mut observed = Observed {
        model: read(cluster, namespace, &spec.model.name).await?,
        ..Observed::default()
    };
    if let Some(other) = &spec.candidate.model {
        observed.other = read(cluster, namespace, other).await?;
    }
    if let Some(version) = &spec.candidate.version {
        let name = names::version_child(&spec.model.name, version);
        observed.deployment = cluster.get(namespace, &name).await?;
    }
    let compared = std::iter::once(&spec.compare.primary).chain(&spec.compare.guardrails);
    for helper in compared.filter_map(|metric| metric.model.as_ref()) {
        let found = read(cluster, namespace, &helper.name).await?;
        observed.helpers.push((helper.name.clone(), found));
    }
    let labels = names::selector_string(&names::shadow_labels(&owner.name));
    observed.reports = owned(cluster.list(namespace, &labels).await?, &owner.reference);
    Ok(observed)
}
