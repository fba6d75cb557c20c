use k8s_openapi::api::core::v1::Pod;
use protocol::{PrepareFailure, PrepareOutcome, report::reasons as prepare};
use rstest::rstest;
use serde_json::{Value, json};

use super::*;

const IMAGE: &str = "models/small:1";

fn source() -> Source {
    serde_json::from_value(json!({"oci": {"image": IMAGE}})).unwrap()
}

fn a_pod(status: Value) -> Pod {
    let spec = json!({"containers": [{"name": "worker"}]});
    serde_json::from_value(json!({"metadata": {"name": "p", "uid": "u"}, "spec": spec, "status": status})).unwrap()
}

fn with_container(state: Value) -> Value {
    let mut status = json!({"name": "worker", "ready": false, "restartCount": 1, "image": "w", "imageID": ""});
    status
        .as_object_mut()
        .unwrap()
        .extend(state.as_object().unwrap().clone());
    json!({"phase": "Running", "containerStatuses": [status]})
}

fn diagnosis(status: Value, events: Value, source: &Source) -> Option<Trouble> {
    let events: Vec<Event> = serde_json::from_value(events).unwrap();
    pods(&[&a_pod(status)], &events, &asked(source))
}

fn asked(source: &Source) -> Asked<'_> {
    Asked {
        source,
        worker_image: "atelier/worker:1",
        engine_image: None,
        accelerator: None,
        memory: "900Gi",
        cpu: "1",
        prepare_memory: "2Gi",
        compresses: true,
    }
}

fn unschedulable(message: &str) -> Value {
    json!({"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message},
    ]})
}

#[rstest]
#[case::memory(unschedulable("0/1 nodes are available: 1 Insufficient memory."), "Unschedulable", &["memory", "900Gi", "spec.resources"])]
#[case::no_storage(
    unschedulable("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."),
    "StorageUnavailable", &["StorageClass", "storage.className"]
)]
#[case::evicted(
    json!({"phase": "Failed", "reason": "Evicted", "message": "Usage of EmptyDir volume \"scratch\" exceeds the limit \"64Mi\". "}),
    "Evicted", &["scratch", "64Mi", "kubectl describe node"]
)]
#[case::claim(unschedulable("persistentvolumeclaim \"weights\" not found"), "ReferenceNotFound", &["weights"])]
#[case::never_pull(
    with_container(json!({"state": {"waiting": {"reason": "ErrImageNeverPull", "message": "Container image \"models/small:1\" is not present with pull policy of Never"}}})),
    "ImagePullFailed", &["models/small:1", "spec.source.oci.image"]
)]
#[case::back_off(
    with_container(json!({"state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"atelier/worker:1\": ErrImagePull: not found"}}})),
    "ImagePullFailed", &["atelier/worker:1"]
)]
#[case::oom_now(with_container(json!({"state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}})), "OutOfMemory", &["900Gi", "spec.resources.memory"])]
#[case::oom_before(
    with_container(json!({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}})),
    "OutOfMemory", &["spec.resources.memory"]
)]
#[case::oom_at_start(
    with_container(json!({"state": {"waiting": {"reason": "RunContainerError", "message": "container init was OOM-killed (memory limit too low?)"}}})),
    "OutOfMemory", &["spec.resources.memory"]
)]
#[case::crash(
    with_container(json!({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 2, "message": "a\nno such flag\n"}}})),
    "CrashLoop", &["exit code 2", "no such flag"]
)]
#[case::config(
    with_container(json!({"state": {"waiting": {"reason": "CreateContainerConfigError", "message": "secret \"s\" not found"}}})),
    "ReferenceNotFound", &["Secret s"]
)]
fn pods_tell_what_is_wrong(#[case] status: Value, #[case] reason: &str, #[case] words: &[&str]) {
    let trouble = diagnosis(status, json!([]), &source()).unwrap();
    assert_eq!(trouble.reason, reason, "{}", trouble.message);
    for word in words {
        assert!(trouble.message.contains(word), "{word} is not in {}", trouble.message);
    }
}

#[rstest]
#[case::ready(json!({"conditions": [{"type": "Ready", "status": "True"}]}))]
#[case::starting(with_container(json!({"state": {"running": {}}})))]
#[case::creating(with_container(json!({"state": {"waiting": {"reason": "ContainerCreating"}}})))]
#[case::not_looked_at(json!({"phase": "Pending"}))]
fn pods_on_their_way_are_no_trouble(#[case] status: Value) {
    assert_eq!(diagnosis(status, json!([]), &source()), None);
}

#[test]
fn a_secret_that_is_missing_is_told_by_an_event() {
    let status = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}]});
    let message = "MountVolume.SetUp failed for volume \"headers\" : secret \"tokens\" not found";
    let events = json!([{
        "metadata": {}, "involvedObject": {"uid": "u"}, "type": "Warning", "reason": "FailedMount", "message": message,
    }]);
    let sha256 = "0".repeat(64);
    let source = serde_json::from_value(json!({"http": {"url": "http://x/", "sha256": sha256}})).unwrap();
    let trouble = diagnosis(status, events, &source).unwrap();
    assert_eq!(trouble.reason, reasons::REFERENCE_NOT_FOUND);
    assert!(
        trouble.message.contains("Secret tokens") && trouble.message.contains("headersSecretRef"),
        "{trouble:?}"
    );
}

#[test]
fn a_failed_fetch_of_a_serving_pod_is_passed_on() {
    let failure = PrepareFailure::new(prepare::DOWNLOAD_FAILED, "the server broke off", true);
    let words = serde_json::to_string(&PrepareOutcome::Failed(failure)).unwrap();
    let status = json!({"phase": "Pending", "initContainerStatuses": [{
        "name": "prepare", "ready": false, "restartCount": 1, "image": "w", "imageID": "",
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 75, "message": words}},
    }]});
    let trouble = diagnosis(status, json!([]), &source()).unwrap();
    assert_eq!(
        (trouble.reason.as_str(), trouble.message.as_str()),
        ("DownloadFailed", "the server broke off")
    );
}

#[rstest]
#[case("resourceName", "nvidia.com/gpu", &["2 nvidia.com/gpu", "device plugin"])]
#[case("deviceClassName", "gpu.nvidia.com", &["2 of the device class gpu.nvidia.com", "DRA driver", "resourceslices"])]
fn devices_that_no_node_has_are_named(#[case] field: &str, #[case] name: &str, #[case] words: &[&str]) {
    let accelerator = serde_json::from_value(json!({field: name, "count": 2})).unwrap();
    let accelerator = Accelerator::new(&accelerator);
    let source = source();
    let asked = Asked {
        accelerator: accelerator.as_ref(),
        ..asked(&source)
    };
    let pod = a_pod(unschedulable("0/1 nodes are available: 1 Insufficient nvidia.com/gpu."));
    let trouble = pods(&[&pod], &[], &asked).unwrap();
    assert_eq!(trouble.reason, reasons::UNSCHEDULABLE);
    for word in words.iter().chain(&["spec.resources"]) {
        assert!(trouble.message.contains(word), "{word} is not in {}", trouble.message);
    }
}

#[rstest]
#[case(json!({"state": {"waiting": {"reason": "ErrImagePull", "message": "vllm:1: not found"}}}), "spec.engine.openAICompatible.image")]
#[case(json!({"state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}), "spec.engine.openAICompatible.args")]
fn troubles_of_other_engines_name_their_fields(#[case] state: Value, #[case] field: &str) {
    let source = source();
    let asked = Asked {
        engine_image: Some("vllm:1"),
        ..asked(&source)
    };
    let pod = a_pod(with_container(state));
    let trouble = pods(&[&pod], &[], &asked).unwrap();
    assert!(trouble.message.contains(field), "{}", trouble.message);
}
