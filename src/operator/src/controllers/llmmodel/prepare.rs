//! What the prepare Job says. Pure.

use api::reasons;
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Event, Pod},
};
use protocol::{CompressionReport, PrepareFailure, PrepareOutcome, PrepareReport};

use super::{
    diagnose::{self, Asked},
    trouble::Trouble,
};
use crate::controllers::common::jobs::{ended, last_message, with_way_out};

/// How far the prepare step is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Preparation {
    /// The weights are complete and verified.
    Done(Box<PrepareReport>),
    /// They lost too much by compression.
    Rejected(Box<CompressionReport>),
    /// At work or about to be tried again, after this trouble.
    Underway(Option<Trouble>),
    /// It will not be tried again by itself.
    Failed(Trouble),
    /// It ended well and its report is lost with its pod.
    Lost,
}

/// Reads the outcome from a Job and its pods, newest first.
pub fn outcome(job: &Job, pods: &[&Pod], events: &[Event], asked: &Asked<'_>) -> Preparation {
    for pod in pods {
        match last_words(pod) {
            Some((0, PrepareOutcome::Ready(report))) => return Preparation::Done(Box::new(report)),
            Some((
                _,
                PrepareOutcome::Failed(PrepareFailure {
                    evidence: Some(evidence),
                    ..
                }),
            )) => return Preparation::Rejected(evidence),
            _ => {}
        }
    }
    let trouble = diagnose::pods(pods, events, asked).or_else(|| diagnose::pods_of_job(job, events));
    if let Some(why) = ended(job, "Failed") {
        let trouble =
            trouble.unwrap_or_else(|| Trouble::new(reasons::PREPARE_FAILED, format!("the prepare step failed: {why}")));
        return Preparation::Failed(with_way_out(trouble, job));
    }
    if ended(job, "Complete").is_some() {
        return Preparation::Lost;
    }
    Preparation::Underway(trouble)
}

/// The exit code of a pod's container and its report.
fn last_words(pod: &Pod) -> Option<(i32, PrepareOutcome)> {
    let (code, message) = last_message(pod)?;
    Some((code, PrepareOutcome::parse(message)?))
}

#[cfg(test)]
mod tests {
    use protocol::{PrepareFailure, report::reasons as prepare};
    use serde_json::{Value, json};

    use super::*;
    use crate::controllers::llmmodel::{source::Source, testing};

    fn job(conditions: Value) -> Job {
        serde_json::from_value(json!({"metadata": {"name": "m-s-0-prepare"}, "status": {"conditions": conditions}}))
            .unwrap()
    }

    fn pod(exit_code: i32, outcome: &PrepareOutcome) -> Pod {
        let message = serde_json::to_string(outcome).unwrap();
        serde_json::from_value(json!({"metadata": {"name": "p"}, "status": {"containerStatuses": [{
            "name": "prepare", "ready": false, "restartCount": 0, "image": "w", "imageID": "",
            "state": {"terminated": {"exitCode": exit_code, "message": message}},
        }]}}))
        .unwrap()
    }

    fn look(job: &Job, pods: &[&Pod]) -> Preparation {
        let source: Source = serde_json::from_value(json!({"oci": {"image": "i"}})).unwrap();
        let asked = Asked {
            source: &source,
            worker_image: "w",
            engine_image: None,
            accelerator: None,
            memory: "1Gi",
            cpu: "1",
            prepare_memory: "1Gi",
            compresses: false,
        };
        outcome(job, pods, &[], &asked)
    }

    fn failure(retryable: bool) -> PrepareOutcome {
        PrepareOutcome::Failed(PrepareFailure::new(prepare::DIGEST_MISMATCH, "other bytes", retryable))
    }

    #[test]
    fn a_report_ends_it() {
        let ready = PrepareOutcome::Ready(testing::report());
        let found = look(&job(json!([])), &[&pod(0, &ready)]);
        assert_eq!(found, Preparation::Done(Box::new(testing::report())));
    }

    #[test]
    fn too_great_a_loss_ends_it_with_evidence() {
        let mut failure = PrepareFailure::new(prepare::PERPLEXITY_EXCEEDED, "too much", false);
        failure.evidence = Some(Box::new(testing::compression_report()));
        let found = look(&job(json!([])), &[&pod(65, &PrepareOutcome::Failed(failure))]);
        assert_eq!(found, Preparation::Rejected(Box::new(testing::compression_report())));
    }

    #[test]
    fn a_failed_attempt_is_told_while_the_next_one_is_awaited() {
        let Preparation::Underway(Some(trouble)) = look(&job(json!([])), &[&pod(75, &failure(true))]) else {
            panic!("it is under way")
        };
        assert_eq!(trouble, Trouble::new(prepare::DIGEST_MISMATCH, "other bytes"));
    }

    #[test]
    fn a_failed_job_keeps_the_reason_of_its_pod() {
        let failed = job(json!([{"type": "Failed", "status": "True", "message": "BackoffLimitExceeded"}]));
        let Preparation::Failed(trouble) = look(&failed, &[&pod(65, &failure(false))]) else {
            panic!("it failed")
        };
        assert_eq!(trouble.reason, prepare::DIGEST_MISMATCH);
        assert!(
            trouble.message.contains("kubectl delete job m-s-0-prepare"),
            "{}",
            trouble.message
        );
        let Preparation::Failed(trouble) = look(&failed, &[]) else {
            panic!("it failed")
        };
        assert!(trouble.message.contains("BackoffLimitExceeded"), "{}", trouble.message);
    }

    #[test]
    fn without_its_pod_a_finished_job_has_to_be_repeated() {
        let complete = job(json!([{"type": "Complete", "status": "True"}]));
        assert_eq!(look(&complete, &[]), Preparation::Lost);
    }
}
