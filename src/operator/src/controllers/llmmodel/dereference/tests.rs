use serde_json::json;

use super::*;

fn pod(name: &str, created: &str, template: &str) -> Pod {
    let metadata = json!({
        "name": name,
        "creationTimestamp": created,
        "labels": {LABEL_VERSION: "v-0123456789"},
        "annotations": {ANNOTATION_APPLIED: template},
    });
    serde_json::from_value(json!({"metadata": metadata})).unwrap()
}

#[test]
fn pods_of_a_replaced_template_tell_nothing_about_the_new_one() {
    let mut leaving = pod("leaving", "2026-01-04T00:00:00Z", "new");
    leaving.metadata.deletion_timestamp = leaving.metadata.creation_timestamp.clone();
    let deployment = json!({
        "metadata": {"name": "d", "labels": {LABEL_VERSION: "v-0123456789"}},
        "spec": {"selector": {}, "template": {"metadata": {"annotations": {ANNOTATION_APPLIED: "new"}}}},
    });
    let observed = Observed {
        deployments: vec![serde_json::from_value(deployment).unwrap()],
        pods: vec![
            pod("first", "2026-01-02T00:00:00Z", "new"),
            // In the same second.
            pod("replaced", "2026-01-03T00:00:00Z", "old"),
            pod("second", "2026-01-03T00:00:00Z", "new"),
            leaving,
        ],
        ..Observed::default()
    };
    let names: Vec<_> = observed
        .pods_of("v-0123456789")
        .into_iter()
        .map(ResourceExt::name_any)
        .collect();
    assert_eq!(names, ["second", "first"]);
}
