//! What exists now: the models that a ShadowDeployment names, and its reports.

use api::{
    LlmModel, ShadowDeployment,
    names::{self},
};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::ConfigMap, networking::v1::NetworkPolicy};

use super::{route, validate::Owner};
use crate::{
    cluster::Cluster,
    controllers::common::{
        dereference::{DereferenceError, read},
        gateway_api::Routes,
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
    /// Routes of this ShadowDeployment, where it has or wants one.
    pub routes: Routes,
    /// What lets proxies of these routes in.
    pub policies: Vec<NetworkPolicy>,
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
    let labels = names::shadow_labels(&owner.name);
    let selector = names::selector_string(&labels);
    observed.reports = owned(cluster.list(namespace, &selector).await?, &owner.reference);
    if spec.route.is_some() || route::is_told(shadow.status.as_ref()) {
        observed.routes = Routes::find(cluster, namespace, &labels, &owner.reference).await?;
        observed.policies = owned(cluster.list(namespace, &selector).await?, &owner.reference);
    }
    Ok(observed)
}
