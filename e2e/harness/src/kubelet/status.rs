//! What a kubelet says of pods.

use k8s_openapi::{
    api::core::v1::Pod,
    jiff::{Timestamp, Unit},
};
use protocol::PrepareOutcome;
use serde_json::{Value, json};

/// Exit code of a container that ended well.
const SUCCESS: i32 = 0;

/// A pod that serves.
pub fn serving(pod: &Pod) -> Value {
    let now = now();
    let containers = containers(pod, true, &json!({"running": {"startedAt": now}}));
    json!({
        "phase": "Running", "startTime": now, "containerStatuses": containers,
        "conditions": conditions(&now, true, None),
    })
}

/// A pod whose container ends again and again.
pub fn crashing(pod: &Pod) -> Value {
    let now = now();
    let waiting = json!({"waiting": {
        "reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container",
    }});
    let mut containers = containers(pod, false, &waiting);
    for container in &mut containers {
        container["restartCount"] = json!(3);
        container["lastState"] = json!({"terminated": {
            "exitCode": 1, "reason": "Error", "startedAt": now, "finishedAt": now,
        }});
    }
    json!({
        "phase": "Running", "startTime": now, "containerStatuses": containers,
        "conditions": conditions(&now, false, Some("ContainersNotReady")),
    })
}

/// A pod whose container has left a report.
pub fn ended(pod: &Pod, outcome: &PrepareOutcome) -> Value {
    let now = now();
    let (phase, code, reason) = match outcome {
        PrepareOutcome::Failed(failure) => ("Failed", failure.exit_code(), "Error"),
        PrepareOutcome::Ready(_) | PrepareOutcome::Running(_) => ("Succeeded", SUCCESS, "Completed"),
    };
    let message = serde_json::to_string(outcome).expect("reports are representable as JSON");
    let terminated = json!({"terminated": {
        "exitCode": code, "reason": reason, "message": message, "startedAt": now, "finishedAt": now,
    }});
    json!({
        "phase": phase, "startTime": now, "containerStatuses": containers(pod, false, &terminated),
        "conditions": conditions(&now, false, Some("PodCompleted")),
    })
}

fn containers(pod: &Pod, ready: bool, state: &Value) -> Vec<Value> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers
        .map(|container| {
            json!({
                "name": container.name, "image": container.image, "imageID": "sha256:0",
                "ready": ready, "started": ready, "restartCount": 0, "state": state,
            })
        })
        .collect()
}

fn conditions(now: &str, ready: bool, reason: Option<&str>) -> Vec<Value> {
    let text = |holds: bool| if holds { "True" } else { "False" };
    ["PodScheduled", "Initialized", "ContainersReady", "Ready"]
        .into_iter()
        .map(|type_| {
            let holds = ready || matches!(type_, "PodScheduled" | "Initialized");
            json!({
                "type": type_, "status": text(holds), "lastTransitionTime": now,
                "reason": reason.filter(|_| !holds),
            })
        })
        .collect()
}

fn now() -> String {
    let now = Timestamp::now();
    now.round(Unit::Second).unwrap_or(now).to_string()
}
