//! Whether a child has to be written: when what is wanted changed, or when somebody changed the child.

use api::names::ANNOTATION_APPLIED;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{canonical, quantity};

/// Fields that tell the elements of a list apart, the most telling first.
const KEYS: [&str; 7] = [
    "uid",
    "mountPath",
    "containerPort",
    "port",
    "topologyKey",
    "name",
    "key",
];

/// `object` with the digest of itself, by which a later look knows what was applied.
pub fn stamped<K: Resource + Serialize>(mut object: K) -> K {
    let digest = canonical::digest(&object, 16);
    object.annotations_mut().insert(ANNOTATION_APPLIED.into(), digest);
    object
}

/// Whether two stamped objects were built alike.
pub fn same_stamp<K: Resource>(left: &K, right: &K) -> bool {
    left.annotations().get(ANNOTATION_APPLIED) == right.annotations().get(ANNOTATION_APPLIED)
}

/// Whether `live` is what `desired` says, whatever else it says.
///
/// The stamp finds fields that are wanted no more; the comparison finds fields that somebody changed.
pub fn is_applied<K: Resource + Serialize>(desired: &K, live: &K) -> bool {
    let value = |object: &K| serde_json::to_value(object).expect("Kubernetes objects are representable as JSON");
    same_stamp(desired, live) && holds(&value(desired), &value(live))
}

fn holds(desired: &Value, live: &Value) -> bool {
    match (desired, live) {
        (Value::Object(desired), Value::Object(live)) => object_holds(desired, live),
        (Value::Array(desired), Value::Array(live)) => list_holds(desired, live),
        _ => desired == live,
    }
}

fn object_holds(desired: &Map<String, Value>, live: &Map<String, Value>) -> bool {
    desired
        .iter()
        .all(|(field, wanted)| match (field.as_str(), live.get(field)) {
            (_, None) => is_empty(wanted),
            ("requests" | "limits", Some(Value::Object(found))) => quantities_hold(wanted, found),
            ("sizeLimit", Some(found)) => same_quantity(wanted, found),
            (_, Some(found)) => holds(wanted, found),
        })
}

/// Elements with a key are looked up by it, so that additions of others do no harm.
fn list_holds(desired: &[Value], live: &[Value]) -> bool {
    let key = KEYS
        .into_iter()
        .find(|key| !desired.is_empty() && desired.iter().all(|item| item.get(key).is_some()));
    match key {
        Some(key) => desired.iter().all(|wanted| {
            let mut same = live.iter().filter(|found| found.get(key) == wanted.get(key));
            same.any(|found| holds(wanted, found))
        }),
        None => desired.len() == live.len() && desired.iter().zip(live).all(|(wanted, found)| holds(wanted, found)),
    }
}

fn quantities_hold(desired: &Value, live: &Map<String, Value>) -> bool {
    let Some(desired) = desired.as_object() else {
        return false;
    };
    desired
        .iter()
        .all(|(name, wanted)| live.get(name).is_some_and(|found| same_quantity(wanted, found)))
}

/// The API server writes quantities in its own way.
fn same_quantity(left: &Value, right: &Value) -> bool {
    let nanos = |value: &Value| value.as_str().and_then(quantity::nanos);
    left == right || (nanos(left).is_some() && nanos(left) == nanos(right))
}

/// What the API server leaves out.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::Deployment;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::defaults(json!({"a": 1}), json!({"a": 1, "b": 2}), true)]
    #[case::changed(json!({"a": 1}), json!({"a": 2}), false)]
    #[case::removed(json!({"a": 1}), json!({}), false)]
    #[case::empty(json!({"a": {}, "b": [], "c": null}), json!({}), true)]
    #[case::quantity(json!({"limits": {"memory": "1024Mi"}}), json!({"limits": {"memory": "1Gi"}}), true)]
    #[case::less(json!({"limits": {"memory": "1Gi"}}), json!({"limits": {"memory": "1G"}}), false)]
    #[case::addition(json!([{"name": "a", "x": 1}]), json!([{"name": "b"}, {"name": "a", "x": 1, "y": 2}]), true)]
    #[case::lost(json!([{"name": "a"}]), json!([{"name": "b"}]), false)]
    #[case::ports(json!([{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]),
        json!([{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]), true)]
    #[case::arguments(json!(["a", "b"]), json!(["a", "c"]), false)]
    #[case::more_arguments(json!(["a"]), json!(["a", "b"]), false)]
    fn what_others_add_is_no_drift(#[case] desired: Value, #[case] live: Value, #[case] same: bool) {
        assert_eq!(holds(&desired, &live), same);
    }

    #[test]
    fn a_field_that_is_wanted_no_more_is_found_by_the_stamp() {
        let deployment = |value: Value| stamped(serde_json::from_value::<Deployment>(value).unwrap());
        let before =
            deployment(json!({"metadata": {"name": "a"}, "spec": {"paused": true, "selector": {}, "template": {}}}));
        let after = deployment(json!({"metadata": {"name": "a"}, "spec": {"selector": {}, "template": {}}}));
        assert!(is_applied(&before, &before));
        assert!(!is_applied(&after, &before));
    }
}
