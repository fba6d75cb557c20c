use rstest::rstest;
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

#[rstest]
#[case::under_way("Suspended", &["Running"], false)]
#[case::told("Complete", &["Failed", "Succeeded"], false)]
#[case::its_last_pod_is_old("Complete", &["Failed", "Running"], true)]
#[case::its_pods_are_gone("Complete", &[], true)]
#[case::told_why_it_failed("Failed", &["Failed", "Failed"], false)]
#[case::its_last_failure_is_old("Failed", &["Failed", "Running"], true)]
fn the_pods_of_a_job_that_has_ended_are_read_after_it(
    #[case] condition: &str,
    #[case] phases: &[&str],
    #[case] expected: bool,
) {
    let status = json!({"conditions": [{"type": condition, "status": "True"}]});
    let job: Job = serde_json::from_value(json!({"metadata": {"name": "j", "uid": "1"}, "status": status})).unwrap();
    let pod = |uid: &str, phase: &str| -> Pod {
        let owner = json!({"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": uid});
        serde_json::from_value(json!({"metadata": {"ownerReferences": [owner]}, "status": {"phase": phase}})).unwrap()
    };
    let of_another = [pod("2", "Succeeded"), pod("2", "Failed")];
    let pods: Vec<_> = phases.iter().map(|phase| pod("1", phase)).chain(of_another).collect();
    assert_eq!(is_unexplained(&job, &pods), expected);
}
