//! What a run over the sources says. Pure.

use api::reasons;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use protocol::ingest::{IngestOutcome, IngestReport};

use crate::controllers::common::{
    jobs::{ended, is_over, last_message},
    pods::{Pods, diagnosed},
    trouble::Trouble,
};

/// How far a run is.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// At work or about to be tried again, after this trouble.
    Underway(Option<Trouble>),
    /// A generation is published.
    Published(IngestReport),
    /// It ended, and the generation before still answers.
    Failed(Failure),
}

/// Why a run has not published anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What happened.
    pub trouble: Trouble,
    /// Whether another run can help without a change of the spec.
    pub retryable: bool,
}

/// What a Job and its pods say; these are newest first.
pub fn outcome(job: &Job, pods: Pods<'_>) -> Outcome {
    let words = |pod: &Pod| IngestOutcome::parse(last_message(pod)?.1);
    let newest = pods.pods.first().and_then(|pod| words(pod));
    let failure = newest.and_then(|words| match words {
        IngestOutcome::Failed(failure) => Some(Failure {
            trouble: Trouble::new(&failure.reason, failure.message),
            retryable: failure.retryable,
        }),
        IngestOutcome::Published(_) | IngestOutcome::Running(_) => None,
    });
    let published = pods.pods.iter().find_map(|pod| match words(pod)? {
        IngestOutcome::Published(report) => Some(report),
        IngestOutcome::Failed(_) | IngestOutcome::Running(_) => None,
    });
    let failed = ended(job, "Failed");
    match published {
        // One that has published may be killed before its Job knows.
        Some(report) if is_over(job) => return Outcome::Published(report),
        Some(_) => return Outcome::Underway(None),
        None if !is_over(job) => {
            let trouble = failure.map(|failure| failure.trouble);
            return Outcome::Underway(trouble.or_else(|| diagnosed(job, pods, CLAIM)));
        }
        None => {}
    }
    Outcome::Failed(failure.unwrap_or_else(|| {
        let why = failed.unwrap_or("its pod is gone, and with it what it had to say");
        let otherwise = || Trouble::new(reasons::SYNC_FAILED, format!("the sources could not be read: {why}"));
        Failure {
            trouble: diagnosed(job, pods, CLAIM).unwrap_or_else(otherwise),
            retryable: true,
        }
    }))
}

/// The claims that its pods mount, in words.
const CLAIM: &str = "a claim that spec.sources names";

#[cfg(test)]
mod tests {
    use protocol::{PrepareFailure, report::reasons as prepare};
    use serde_json::{Value, json};

    use super::*;

    fn job(conditions: Value) -> Job {
        serde_json::from_value(json!({"metadata": {"name": "hr-ingest-1"}, "status": {"conditions": conditions}}))
            .unwrap()
    }

    fn pod(words: Option<&IngestOutcome>) -> Pod {
        let state = match words {
            Some(words) => json!({"terminated": {"exitCode": 75, "message": words.last_words()}}),
            None => json!({"running": {}}),
        };
        serde_json::from_value(
            json!({"metadata": {"name": "p"}, "status": {"phase": "Running", "containerStatuses": [{
                "name": "ingest", "ready": false, "restartCount": 0, "image": "d", "imageID": "", "state": state,
            }]}}),
        )
        .unwrap()
    }

    fn look(job: &Job, pods: &[&Pod]) -> Outcome {
        let pods = Pods {
            pods,
            events: &[],
            image: "d",
            size: ("1Gi", "1"),
        };
        outcome(job, pods)
    }

    fn failed(retryable: bool) -> IngestOutcome {
        IngestOutcome::Failed(PrepareFailure::new(prepare::DOWNLOAD_FAILED, "why", retryable))
    }

    fn published() -> IngestOutcome {
        IngestOutcome::Published(IngestReport {
            generation: 3,
            ..IngestReport::default()
        })
    }

    #[test]
    fn a_report_counts_once_the_job_is_over() {
        assert_eq!(
            look(&job(json!([])), &[&pod(Some(&published()))]),
            Outcome::Underway(None)
        );
        for type_ in ["Complete", "Failed"] {
            let over = job(json!([{"type": type_, "status": "True", "message": "DeadlineExceeded"}]));
            let Outcome::Published(report) = look(&over, &[&pod(Some(&failed(true))), &pod(Some(&published()))]) else {
                panic!("it has published");
            };
            assert_eq!(report.generation, 3);
        }
    }

    #[test]
    fn a_failed_attempt_is_told_while_the_next_one_is_awaited() {
        let Outcome::Underway(Some(trouble)) = look(&job(json!([])), &[&pod(Some(&failed(true)))]) else {
            panic!("it is under way");
        };
        assert_eq!(trouble, Trouble::new(prepare::DOWNLOAD_FAILED, "why"));
        assert_eq!(look(&job(json!([])), &[&pod(None)]), Outcome::Underway(None));
    }

    #[test]
    fn what_failed_says_whether_it_is_worth_another_run() {
        let over = job(json!([{"type": "Failed", "status": "True", "message": "BackoffLimitExceeded"}]));
        for retryable in [true, false] {
            let Outcome::Failed(failure) = look(&over, &[&pod(Some(&failed(retryable)))]) else {
                panic!("it failed");
            };
            assert_eq!(
                (failure.retryable, failure.trouble.message.as_str()),
                (retryable, "why")
            );
        }
        let Outcome::Failed(failure) = look(&over, &[]) else {
            panic!("it failed");
        };
        assert!(failure.retryable && failure.trouble.message.contains("BackoffLimitExceeded"));
    }

    #[test]
    fn without_its_pod_nobody_knows_and_it_is_tried_again() {
        let complete = job(json!([{"type": "Complete", "status": "True"}]));
        let Outcome::Failed(failure) = look(&complete, &[]) else {
            panic!("it told nothing");
        };
        assert!(failure.retryable);
        assert_eq!(failure.trouble.reason, reasons::SYNC_FAILED);
    }
}
