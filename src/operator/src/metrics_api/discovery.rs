//! What there is, for `kubectl api-resources` and the API server's own look.

use serde_json::{Value, json};

use super::{Metric, answer::GROUP_VERSION};

/// The API group.
pub const GROUP: &str = "external.metrics.k8s.io";

/// `APIGroupList`.
pub fn groups() -> Value {
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [described()]})
}

/// `APIGroup`.
pub fn group() -> Value {
    let mut group = described();
    group["kind"] = "APIGroup".into();
    group["apiVersion"] = "v1".into();
    group
}

/// `APIResourceList`.
pub fn resources() -> Value {
    let resource = |metric: Metric| {
        json!({
            "name": metric.name(),
            "singularName": "",
            "namespaced": true,
            "kind": "ExternalMetricValueList",
            "verbs": ["get"],
        })
    };
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": GROUP_VERSION,
        "resources": Metric::ALL.map(resource),
    })
}

fn described() -> Value {
    let version = json!({"groupVersion": GROUP_VERSION, "version": "v1beta1"});
    json!({"name": GROUP, "versions": [version], "preferredVersion": version})
}
