//! Pods that the API server does not take: a quota, an admission rule, a name that the spec got wrong.

use api::reasons;
use k8s_openapi::api::{
    apps::v1::Deployment,
    batch::v1::Job,
    core::v1::{Event, Pod},
};
use kube::ResourceExt;

use super::{newest_warning, text};
use crate::controllers::common::{jobs, trouble::Trouble};

/// Why no pods of a Deployment are taken.
pub fn pods_of_deployment(deployment: &Deployment) -> Option<Trouble> {
    let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
    let failure = conditions
        .iter()
        .find(|it| it.type_ == "ReplicaFailure" && it.status == "True")?;
    Some(refusal(failure.message.as_deref().unwrap_or_default()))
}

/// Whether only its Events can tell why a Job gets nowhere: it is not over and has no pod.
pub fn hangs(job: &Job, pods: &[Pod]) -> bool {
    let uid = job.metadata.uid.as_deref();
    let is_over = jobs::is_over(job);
    // Its controller has looked at it: a new one has no pod for a moment.
    let is_seen = job.status.as_ref().is_some_and(|status| status.start_time.is_some());
    let is_its = |pod: &Pod| {
        pod.owner_references()
            .iter()
            .any(|owner| Some(owner.uid.as_str()) == uid)
    };
    is_seen && !is_over && job.metadata.deletion_timestamp.is_none() && !pods.iter().any(is_its)
}

/// Why no pods of a Job are taken, which its status does not tell.
pub fn pods_of_job(job: &Job, events: &[Event]) -> Option<Trouble> {
    let newest = newest_warning(events, job.metadata.uid.as_deref())?;
    let is_refusal = newest.reason.as_deref() == Some("FailedCreate");
    is_refusal.then(|| refusal(newest.message.as_deref().unwrap_or_default()))
}

fn refusal(message: &str) -> Trouble {
    // The name of the pod is another one with each attempt.
    let why = message.split_once(" is forbidden: ").map_or(message, |(_, why)| why);
    if let Some(name) = text::missing(why, "serviceaccount ") {
        let message = format!(
            "pods are refused: ServiceAccount {name}, which spec.podOverrides.serviceAccountName names, does not exist \
             in this namespace: create it or name another"
        );
        return Trouble::new(reasons::REFERENCE_NOT_FOUND, message);
    }
    if let Some((_, rest)) = why.split_once("no PriorityClass with name ") {
        let name = rest.split_whitespace().next().unwrap_or_default();
        let message = format!(
            "pods are refused: PriorityClass {name}, which spec.placement.priorityClassName names, does not exist: \
             `kubectl get priorityclasses` shows those that do"
        );
        return Trouble::new(reasons::REFERENCE_NOT_FOUND, message);
    }
    let hint = if why.contains("exceeded quota") {
        ". `kubectl describe resourcequota` shows what is used: raise the quota, or lower spec.resources or spec.replicas"
    } else {
        ""
    };
    Trouble::new(reasons::API_ERROR, format!("pods are refused: {why}{hint}"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn deployment(message: &str) -> Deployment {
        let conditions =
            json!([{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}]);
        serde_json::from_value(json!({"metadata": {}, "status": {"conditions": conditions}})).unwrap()
    }

    #[rstest]
    #[case::quota(
        "pods \"m-v-1-7c9f\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1",
        "ApiError",
        "pods are refused: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1. `kubectl describe resourcequota`"
    )]
    #[case::account(
        "pods \"m-v-1-\" is forbidden: error looking up service account n/nobody: serviceaccount \"nobody\" not found",
        "ReferenceNotFound",
        "ServiceAccount nobody, which spec.podOverrides.serviceAccountName names"
    )]
    #[case::priority(
        "pods \"m-v-1-\" is forbidden: no PriorityClass with name urgent was found",
        "ReferenceNotFound",
        "PriorityClass urgent, which spec.placement.priorityClassName names"
    )]
    fn why_pods_are_refused_is_told(#[case] message: &str, #[case] reason: &str, #[case] words: &str) {
        let trouble = pods_of_deployment(&deployment(message)).unwrap();
        assert_eq!(trouble.reason, reason);
        assert!(trouble.message.contains(words), "{}", trouble.message);
    }

    #[test]
    fn a_quota_is_told_in_the_same_words_each_time() {
        let told =
            |pod: &str| pods_of_deployment(&deployment(&format!("pods \"{pod}\" is forbidden: exceeded quota: q")));
        assert_eq!(told("m-v-1-7c9f"), told("m-v-1-x2k8"));
    }

    fn job(status: Value) -> Job {
        serde_json::from_value(json!({"metadata": {"name": "j", "uid": "job-uid"}, "status": status})).unwrap()
    }

    #[test]
    fn a_job_hangs_when_its_controller_has_looked_and_there_is_no_pod() {
        let started = json!({"startTime": "2026-01-01T00:00:00Z"});
        assert!(hangs(&job(started.clone()), &[]));
        assert!(!hangs(&job(json!({})), &[]));
        let failed = json!({"startTime": "2026-01-01T00:00:00Z", "conditions": [{"type": "Failed", "status": "True"}]});
        assert!(!hangs(&job(failed), &[]));
        let owner = json!([{"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "job-uid"}]);
        let pod: Pod = serde_json::from_value(json!({"metadata": {"ownerReferences": owner}})).unwrap();
        assert!(!hangs(&job(started), &[pod]));
    }

    #[test]
    fn a_jobs_event_tells_why_it_has_no_pod() {
        let event = |uid: &str, reason: &str| -> Event {
            let message = "Error creating: pods \"j-x\" is forbidden: exceeded quota: q";
            serde_json::from_value(json!({
                "metadata": {}, "type": "Warning", "reason": reason, "message": message, "involvedObject": {"uid": uid},
            }))
            .unwrap()
        };
        let job = job(json!({}));
        let trouble = pods_of_job(
            &job,
            &[event("other", "FailedCreate"), event("job-uid", "FailedCreate")],
        )
        .unwrap();
        assert!(
            trouble.message.starts_with("pods are refused: exceeded quota: q"),
            "{}",
            trouble.message
        );
        assert_eq!(pods_of_job(&job, &[event("job-uid", "BackoffLimitExceeded")]), None);
    }
}
