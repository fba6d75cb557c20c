//! Our CRDs, and the operator's rights as the chart gives them.

use std::path::Path;

use anyhow::{Context, Result};
use api::rbac::{COMPONENTS, Component, Grant};
use k8s_openapi::{
    api::{
        core::v1::Namespace,
        rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::wait;

/// The name under which the operator is known.
pub const OPERATOR_USER: &str = "system:serviceaccount:atelier-system:atelier-operator";
const MANAGER: &str = "harness";

/// Applies the CRDs in a directory and the operator's rights in all namespaces.
pub async fn install(client: &Client, crds: &Path) -> Result<()> {
    let entries = std::fs::read_dir(crds).with_context(|| format!("failed to list {}", crds.display()))?;
    for entry in entries {
        let path = entry.context("failed to list the CRDs")?.path();
        let text = std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
        let crd: CustomResourceDefinition =
            serde_yaml_ng::from_str(&text).with_context(|| format!("failed to parse {}", path.display()))?;
        let all = Api::all(client.clone());
        apply(&all, &crd).await?;
        let what = format!("the API server to serve {}", crd.name_any());
        wait::until(&what, wait::PATIENCE, async || {
            let found: CustomResourceDefinition = all.get(&crd.name_any()).await?;
            let conditions = found.status.and_then(|status| status.conditions).unwrap_or_default();
            let established = |it: &&_| is_established(it);
            Ok(conditions.iter().find(established).map(drop))
        })
        .await?;
    }
    let operator = operator()?;
    let role = ClusterRole {
        metadata: named(operator.account),
        rules: Some(rules(operator.cluster)),
        aggregation_rule: None,
    };
    apply(&Api::all(client.clone()), &role).await?;
    let binding = ClusterRoleBinding {
        metadata: named(operator.account),
        role_ref: reference("ClusterRole", operator.account),
        subjects: Some(vec![subject()]),
    };
    apply(&Api::all(client.clone()), &binding).await
}

/// Applies the operator's rights in the namespace that it runs in.
pub async fn allow_own_namespace(client: &Client, namespace: &str) -> Result<()> {
    let operator = operator()?;
    let role = Role {
        metadata: named(operator.account),
        rules: Some(rules(operator.own_namespace)),
    };
    apply(&Api::namespaced(client.clone(), namespace), &role).await?;
    let binding = RoleBinding {
        metadata: named(operator.account),
        role_ref: reference("Role", operator.account),
        subjects: Some(vec![subject()]),
    };
    apply(&Api::namespaced(client.clone(), namespace), &binding).await
}

/// Creates a namespace unless it is there.
pub async fn namespace(client: &Client, name: &str) -> Result<()> {
    let namespace = Namespace {
        metadata: named(name),
        ..Namespace::default()
    };
    apply(&Api::all(client.clone()), &namespace).await
}

/// Deletes a namespace unless it is gone.
pub async fn remove_namespace(client: &Client, name: &str) -> Result<()> {
    let namespaces = Api::<Namespace>::all(client.clone());
    match namespaces.delete(name, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
        other => other
            .with_context(|| format!("failed to delete the namespace {name}"))
            .map(drop),
    }
}

fn is_established(
    condition: &k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinitionCondition,
) -> bool {
    condition.type_ == "Established" && condition.status == "True"
}

fn operator() -> Result<&'static Component> {
    let found = COMPONENTS.iter().find(|component| component.component == "operator");
    found.context("the table of rights names no operator")
}

fn rules(grants: &[Grant]) -> Vec<PolicyRule> {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let rule = |grant: &Grant| PolicyRule {
        api_groups: Some(vec![grant.group.to_owned()]),
        resources: Some(texts(grant.resources)),
        resource_names: (!grant.names.is_empty()).then(|| texts(grant.names)),
        verbs: texts(grant.verbs),
        non_resource_urls: None,
    };
    grants.iter().map(rule).collect()
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.into()),
        ..ObjectMeta::default()
    }
}

fn reference(kind: &str, name: &str) -> RoleRef {
    RoleRef {
        api_group: Some("rbac.authorization.k8s.io".into()),
        kind: kind.into(),
        name: name.into(),
    }
}

fn subject() -> Subject {
    Subject {
        kind: "User".into(),
        name: OPERATOR_USER.into(),
        api_group: Some("rbac.authorization.k8s.io".into()),
        namespace: None,
    }
}

async fn apply<K>(api: &Api<K>, object: &K) -> Result<()>
where
    K: Resource<DynamicType = ()> + Clone + Serialize + DeserializeOwned + std::fmt::Debug,
{
    let name = object.name_any();
    api.patch(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(object))
        .await
        .with_context(|| format!("failed to apply {} {name}", K::kind(&())))
        .map(drop)
}
