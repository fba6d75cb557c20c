//! What the Jobs of a training say. Pure.

use api::reasons;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::ResourceExt;
use protocol::tune::{DataOutcome, DataReport, TrainOutcome, TrainReport};

use super::validate::Wanted;
use crate::controllers::common::{
    jobs::{ended, last_message, with_way_out},
    pods::{Pods, diagnosed},
    trouble::Trouble,
};

/// The claim that its pods mount, in words.
const CLAIM: &str = "the claim for data, checkpoints and outputs";

/// How far the data are.
#[derive(Clone, Debug, PartialEq)]
pub enum Cleaning {
    /// At work or about to be tried again, after this trouble.
    Underway(Option<Trouble>),
    /// They are there.
    Ready(DataReport),
    /// They will not come by themselves.
    Failed(Trouble),
    /// They are there, and the report on them is lost with its pod.
    Lost,
}

/// How far the training is.
#[derive(Clone, Debug, PartialEq)]
pub enum Training {
    /// At work or about to be tried again, after this trouble.
    Underway(Option<Trouble>),
    /// Its result is published.
    Published(Box<TrainReport>),
    /// The gate kept its result from being published.
    Rejected(Box<TrainReport>),
    /// It will not be tried again by itself.
    Failed(Trouble),
    /// It ended, and how is lost with its pod.
    Lost,
}

/// What the Job that cleans data says.
pub fn cleaning(job: &Job, pods: Pods<'_>) -> Cleaning {
    let words = |pod: &Pod| DataOutcome::parse(last_message(pod)?.1);
    let mut said = pods.pods.iter().filter_map(|pod| words(pod));
    let found = said.find_map(|words| match words {
        DataOutcome::Ready(report) => Some(report),
        DataOutcome::Failed(_) | DataOutcome::Running(_) => None,
    });
    if let Some(report) = found {
        return Cleaning::Ready(report);
    }
    let newest = pods.pods.first().and_then(|pod| words(pod));
    let failure = newest.and_then(|words| match words {
        DataOutcome::Failed(failure) => Some(Trouble::new(&failure.reason, failure.message)),
        DataOutcome::Ready(_) | DataOutcome::Running(_) => None,
    });
    let trouble = failure.or_else(|| diagnosed(job, pods, CLAIM));
    if let Some(why) = ended(job, "Failed") {
        let otherwise = || {
            Trouble::new(
                reasons::PREPARE_FAILED,
                format!("the data could not be prepared: {why}"),
            )
        };
        return Cleaning::Failed(with_way_out(trouble.unwrap_or_else(otherwise), job));
    }
    match ended(job, "Complete") {
        Some(_) => Cleaning::Lost,
        None => Cleaning::Underway(trouble),
    }
}

/// What the Job that trains says.
pub fn training(job: &Job, pods: Pods<'_>) -> Training {
    let first: Vec<_> = pods.pods.iter().copied().filter(|pod| is_first(pod)).collect();
    let words = |pod: &Pod| TrainOutcome::parse(last_message(pod)?.1);
    for pod in &first {
        match words(pod) {
            Some(TrainOutcome::Published(report)) => return Training::Published(Box::new(report)),
            Some(TrainOutcome::Rejected(report)) => return Training::Rejected(Box::new(report)),
            _ => {}
        }
    }
    // A member that failed by itself says more than one that missed it.
    let told = pods.pods.iter().filter_map(|pod| match words(pod)? {
        TrainOutcome::Failed(failure) => Some(failure),
        _ => None,
    });
    let mut told: Vec<_> = told.collect();
    told.sort_by_key(|failure| failure.retryable);
    let failure = told
        .into_iter()
        .next()
        .map(|failure| Trouble::new(&failure.reason, failure.message));
    if let Some(why) = ended(job, "Failed") {
        let otherwise = || Trouble::new(reasons::TRAINING_FAILED, format!("the training failed: {why}"));
        let trouble = failure
            .or_else(|| diagnosed(job, pods, CLAIM))
            .unwrap_or_else(otherwise);
        return Training::Failed(with_way_out(trouble, job));
    }
    if ended(job, "Complete").is_some() {
        return Training::Lost;
    }
    // What an earlier attempt said is over once the next one runs.
    let runs = |pod: &&&Pod| pod.status.as_ref().and_then(|it| it.phase.as_deref()) == Some("Running");
    let is_going = first.iter().any(|pod| runs(&pod));
    let has_spoken = first.first().is_some_and(|pod| words(pod).is_some());
    Training::Underway(match (is_going, has_spoken) {
        (true, _) => None,
        (false, true) => failure,
        (false, false) => diagnosed(job, pods, CLAIM).or(failure),
    })
}

/// Whether a pod is the one that tells: all of a Job with one member, number 0 of others.
pub fn is_first(pod: &Pod) -> bool {
    let index = pod.annotations().get("batch.kubernetes.io/job-completion-index");
    index.is_none_or(|index| index == "0")
}

/// Memory and CPU of pods that train, for messages.
pub fn size(wanted: &Wanted) -> (&str, &str) {
    let asked = wanted.spec.resources.as_ref();
    let memory = asked
        .and_then(|it| it.memory.as_deref())
        .unwrap_or("the estimated amount");
    let cpu = asked.and_then(|it| it.cpu.as_deref()).unwrap_or("500m");
    (memory, cpu)
}

#[cfg(test)]
mod tests {
    use protocol::tune::{TrainFailure, TrainProgress};
    use serde_json::{Value, json};

    use super::*;

    fn job(conditions: Value) -> Job {
        serde_json::from_value(json!({"metadata": {"name": "tune-train"}, "status": {"conditions": conditions}}))
            .unwrap()
    }

    fn pod(index: &str, phase: &str, words: Option<&TrainOutcome>) -> Pod {
        let message = words.map(|words| serde_json::to_string(words).unwrap());
        let state = match message {
            Some(message) => json!({"terminated": {"exitCode": 75, "message": message}}),
            None => json!({"running": {}}),
        };
        serde_json::from_value(json!({
            "metadata": {"name": "p", "annotations": {"batch.kubernetes.io/job-completion-index": index}},
            "status": {"phase": phase, "containerStatuses": [
                {"name": "train", "ready": false, "restartCount": 0, "image": "w", "imageID": "", "state": state},
            ]},
        }))
        .unwrap()
    }

    fn failure(reason: &str, retryable: bool) -> TrainOutcome {
        TrainOutcome::Failed(TrainFailure {
            reason: reason.into(),
            message: "why".into(),
            retryable,
        })
    }

    fn look(job: &Job, pods: &[&Pod]) -> Training {
        let pods = Pods {
            pods,
            events: &[],
            image: "w",
            size: ("1Gi", "1"),
        };
        training(job, pods)
    }

    #[test]
    fn a_failed_attempt_is_told_until_the_next_one_runs() {
        let going = job(json!([]));
        let failed = pod("0", "Failed", Some(&failure("NotFinite", true)));
        let Training::Underway(Some(trouble)) = look(&going, &[&failed]) else {
            panic!("it is told");
        };
        assert_eq!(trouble.reason, "NotFinite");
        let running = pod("0", "Running", None);
        assert_eq!(look(&going, &[&running, &failed]), Training::Underway(None));
    }

    #[test]
    fn the_member_that_failed_by_itself_is_believed() {
        let over = job(json!([{"type": "Failed", "status": "True", "message": "BackoffLimitExceeded"}]));
        let lost = pod("0", "Failed", Some(&failure("PeerLost", true)));
        let cause = pod("1", "Failed", Some(&failure("NotFinite", false)));
        let Training::Failed(trouble) = look(&over, &[&lost, &cause]) else {
            panic!("it failed");
        };
        assert_eq!(trouble.reason, "NotFinite");
        assert!(
            trouble.message.contains("kubectl delete job tune-train"),
            "{}",
            trouble.message
        );
        let Training::Failed(trouble) = look(&over, &[]) else {
            panic!("it failed");
        };
        assert!(trouble.message.contains("BackoffLimitExceeded"), "{}", trouble.message);
    }

    #[test]
    fn an_interrupted_pod_is_no_trouble() {
        let saved = pod(
            "0",
            "Failed",
            Some(&TrainOutcome::Interrupted(TrainProgress::default())),
        );
        assert_eq!(look(&job(json!([])), &[&saved]), Training::Underway(None));
    }

    #[test]
    fn without_its_pod_a_finished_job_has_to_be_repeated() {
        let complete = job(json!([{"type": "Complete", "status": "True"}]));
        assert_eq!(look(&complete, &[]), Training::Lost);
        // Only the first member tells.
        let other = pod("1", "Succeeded", Some(&TrainOutcome::Running(TrainProgress::default())));
        assert_eq!(look(&complete, &[&other]), Training::Lost);
    }
}
