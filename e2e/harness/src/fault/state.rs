//! What is in a namespace, without what differs from run to run.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use api::{LlmModel, names::LABEL_VERSION};
use k8s_openapi::api::{
    apps::v1::{ControllerRevision, Deployment, ReplicaSet},
    batch::v1::Job,
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Service},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
    resource::v1::ResourceClaimTemplate,
};
use kube::{Api, Client, Resource, core::NamespaceResourceScope};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

/// Fields that the API server fills in.
const VOLATILE: [&str; 14] = [
    // A digest of the object, its namespace and owner included. That it fits, the steady state shows.
    "atelier.dev/applied",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "created",
    "servingSince",
    "servedSeconds",
    "managedFields",
    "generation",
    "observedGeneration",
    "clusterIP",
    "clusterIPs",
    "atelier.dev/retired",
    "controllerRef",
];

/// Everything of a model in a namespace, the model itself included; pods and ReplicaSets have random names.
pub async fn objects(client: &Client, namespace: &str) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    list::<LlmModel>(client, namespace, &mut all).await?;
    list::<ConfigMap>(client, namespace, &mut all).await?;
    // The cluster's own, in every namespace.
    all.retain(|object| object["metadata"]["name"] != "kube-root-ca.crt");
    list::<ControllerRevision>(client, namespace, &mut all).await?;
    list::<Deployment>(client, namespace, &mut all).await?;
    list::<ReplicaSet>(client, namespace, &mut all).await?;
    list::<Job>(client, namespace, &mut all).await?;
    list::<NetworkPolicy>(client, namespace, &mut all).await?;
    list::<PersistentVolumeClaim>(client, namespace, &mut all).await?;
    list::<Pod>(client, namespace, &mut all).await?;
    list::<PodDisruptionBudget>(client, namespace, &mut all).await?;
    list::<ResourceClaimTemplate>(client, namespace, &mut all).await?;
    list::<Service>(client, namespace, &mut all).await?;
    Ok(all)
}

async fn list<K>(client: &Client, namespace: &str, into: &mut Vec<Value>) -> Result<()>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + Serialize
        + DeserializeOwned,
{
    let kind = K::kind(&());
    let list = Api::<K>::namespaced(client.clone(), namespace)
        .list(&Default::default())
        .await
        .with_context(|| format!("failed to list objects of kind {kind}"))?;
    for object in list {
        let mut value = serde_json::to_value(object).context("failed to represent an object as JSON")?;
        value["kind"] = json!(kind);
        into.push(value);
    }
    Ok(())
}

/// `Kind/name`.
pub fn describe(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!("{}/{}", text(&object["kind"]), text(&object["metadata"]["name"]))
}

/// Whether an object belongs to a version that does not serve, and is more than its place in the history.
pub fn is_of_another_version(object: &Value, current: &str) -> bool {
    let version = object["metadata"]["labels"][LABEL_VERSION].as_str();
    object["kind"] != "ControllerRevision" && version.is_some_and(|version| version != current)
}

/// The state as a map from `Kind/name` to what is comparable of the object.
pub fn comparable(objects: &[Value], namespace: &str) -> BTreeMap<String, Value> {
    let uids: Vec<&str> = objects
        .iter()
        .filter_map(|object| object["metadata"]["uid"].as_str())
        .collect();
    let named = objects
        .iter()
        .filter(|object| !matches!(object["kind"].as_str(), Some("Pod" | "ReplicaSet")));
    let mut state: BTreeMap<String, Value> = named
        .map(|object| {
            let mut cleaned = clean(object, namespace, &uids);
            cleaned["upToDate"] = json!(is_observed(object));
            (describe(object), cleaned)
        })
        .collect();
    for kind in ["Pod", "ReplicaSet"] {
        let count = objects.iter().filter(|object| object["kind"] == kind).count();
        state.insert(format!("{kind}s"), json!(count));
    }
    state
}

/// The state without the history: only what serves, and what is said of it.
pub fn without_history(mut state: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let models = state.values().filter(|object| object["kind"] == "LlmModel");
    let current: Vec<Value> = models.map(|model| model["status"]["currentVersion"].clone()).collect();
    let is_current = |version: &Value| current.contains(version);
    state.retain(|_, object| {
        object["kind"] != "ControllerRevision" || is_current(&object["metadata"]["labels"][LABEL_VERSION])
    });
    for object in state.values_mut() {
        match object["kind"].as_str() {
            Some("ControllerRevision") => drop(object.as_object_mut().and_then(|it| it.remove("revision"))),
            Some("LlmModel") => {
                if let Some(versions) = object["status"]["versions"].as_array_mut() {
                    versions.retain(|version| is_current(&version["name"]));
                }
                // A pin and no pin may ask for the same.
                if let Some(spec) = object["spec"].as_object_mut() {
                    spec.remove("version");
                }
            }
            _ => {}
        }
    }
    state
}

/// Whether the status of an object is about its spec as it is.
fn is_observed(object: &Value) -> bool {
    let observed = &object["status"]["observedGeneration"];
    observed.is_null() || *observed == object["metadata"]["generation"]
}

fn clean(value: &Value, namespace: &str, uids: &[&str]) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, _)| !is_volatile(name));
            let cleaned: Map<String, Value> = kept
                .map(|(name, value)| (name.clone(), clean(value, namespace, uids)))
                .collect();
            Value::Object(cleaned)
        }
        Value::Array(items) => {
            let mut cleaned: Vec<Value> = items.iter().map(|item| clean(item, namespace, uids)).collect();
            // Conditions stand in the order in which they came.
            if cleaned.iter().all(|item| item["type"].is_string()) {
                cleaned.sort_by_key(|item| item["type"].to_string());
            }
            Value::Array(cleaned)
        }
        Value::String(text) => {
            let mut text = text.replace(namespace, "NAMESPACE");
            for uid in uids {
                text = text.replace(uid, "UID");
            }
            Value::String(text)
        }
        other => other.clone(),
    }
}

fn is_volatile(field: &str) -> bool {
    VOLATILE.contains(&field) || field.ends_with("Time") || field.ends_with("Timestamp")
}

/// Where two states differ, one line each.
pub fn differences(expected: &BTreeMap<String, Value>, found: &BTreeMap<String, Value>) -> Vec<String> {
    let as_value = |state: &BTreeMap<String, Value>| json!(state);
    let mut lines = Vec::new();
    compare("", &as_value(expected), &as_value(found), &mut lines);
    lines
}

fn compare(path: &str, expected: &Value, found: &Value, lines: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(left), Value::Object(right)) => {
            let mut names: Vec<&String> = left.keys().chain(right.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let null = Value::Null;
                let (left, right) = (left.get(name).unwrap_or(&null), right.get(name).unwrap_or(&null));
                compare(&format!("{path} {name}"), left, right, lines);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                compare(&format!("{path} [{index}]"), left, right, lines);
            }
        }
        (left, right) if left == right => {}
        (left, right) => lines.push(format!("{}: expected {left}, found {right}", path.trim())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(uid: &str, namespace: &str, replicas: u32) -> Value {
        json!({
            "kind": "Deployment",
            "metadata": {
                "name": "m", "namespace": namespace, "uid": uid, "generation": 2,
                "labels": {"owner": uid}, "creationTimestamp": uid,
            },
            "spec": {"replicas": replicas},
            "status": {"observedGeneration": 2, "conditions": [
                {"type": "B", "lastTransitionTime": uid}, {"type": "A"},
            ]},
        })
    }

    #[test]
    fn runs_are_compared_by_what_they_have_in_common() {
        let one = comparable(&[deployment("u-1", "first", 1)], "first");
        let other = comparable(&[deployment("u-2", "second", 1)], "second");
        assert_eq!(one, other);
        let more = comparable(&[deployment("u-2", "second", 2)], "second");
        assert_eq!(
            differences(&one, &more),
            ["Deployment/m spec replicas: expected 1, found 2"]
        );
    }

    #[test]
    fn a_status_of_an_older_spec_is_told() {
        let mut behind = deployment("u", "n", 1);
        behind["status"]["observedGeneration"] = json!(1);
        let state = comparable(&[behind], "n");
        assert_eq!(state["Deployment/m"]["upToDate"], json!(false));
    }

    #[test]
    fn an_object_that_is_missing_differs() {
        let one = comparable(&[deployment("u", "n", 1)], "n");
        assert!(!differences(&one, &comparable(&[], "n")).is_empty());
    }
}
