//! Gateway API in the cluster, which gets it and loses it again. The case itself speaks for the Gateway's controller.

use anyhow::{Context, Result};
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::json;

use crate::namespace::Namespace;
use crate::{kubectl, settings, wait};

const DEFINITION: &str = "httproutes.gateway.networking.k8s.io";

/// The HTTPRoutes of a namespace.
pub fn routes(namespace: &Namespace) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "HTTPRoute");
    let resource = ApiResource::from_gvk_with_plural(&kind, "httproutes");
    Api::namespaced_with(namespace.client.clone(), &namespace.name, &resource)
}

/// Installs the API.
pub async fn add() -> Result<()> {
    let file = settings::http_route_definition()?;
    let file = file.to_string_lossy();
    // Too large for the annotation of a client-side apply.
    kubectl::succeed(&["apply", "--server-side", "--filename", &file], "").await?;
    let definition = format!("customresourcedefinition/{DEFINITION}");
    let established = ["wait", "--for=condition=Established", "--timeout=60s", &definition];
    // It gives up at once on a definition that has no conditions yet.
    wait::until("the definition to be established", async || {
        kubectl::succeed(&established, "").await.map(Some)
    })
    .await
    .map(drop)
}

/// Removes the API with all of its objects.
pub async fn remove() -> Result<()> {
    let definition = format!("customresourcedefinition/{DEFINITION}");
    kubectl::succeed(&["delete", &definition, "--ignore-not-found"], "")
        .await
        .map(drop)
}

/// Says of the route as it is now what a controller of the Gateway would.
pub async fn says(namespace: &Namespace, name: &str, accepted: &str, reason: &str) -> Result<()> {
    let route = routes(namespace).get(name).await?;
    let condition = |type_: &str, status: &str, reason: &str| {
        json!({
            "type": type_, "status": status, "reason": reason, "message": "said by the test",
            "observedGeneration": route.metadata.generation, "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    };
    let parent = json!({
        "parentRef": route.data["spec"]["parentRefs"][0],
        "controllerName": "example.com/test",
        "conditions": [condition("Accepted", accepted, reason), condition("ResolvedRefs", "True", "ResolvedRefs")],
    });
    let status = json!({"status": {"parents": [parent]}});
    routes(namespace)
        .patch_status(name, &PatchParams::default(), &Patch::Merge(status))
        .await
        .context("failed to speak for the Gateway")
        .map(drop)
}
