//! What a run over the sources says, and one that tests the Room. Pure.

use api::reasons;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use protocol::{
    PrepareFailure,
    ingest::{IngestOutcome, IngestReport},
    redteam::{RedTeamOutcome, RedTeamReport},
};

use crate::controllers::common::{
    jobs::{ended, is_over, last_message},
    pods::{Pods, diagnosed},
    trouble::Trouble,
};

/// How far a run is.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<R> {
    /// At work or about to be tried again, after this trouble.
    Underway(Option<Trouble>),
    /// It has done what it was to do: a generation is published, or the Room is tested.
    Done(R),
    /// It ended, and all is as before.
    Failed(Failure),
}

/// Why a run has not done anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What happened.
    pub trouble: Trouble,
    /// Whether another run can help without a change of the spec.
    pub retryable: bool,
}

/// What somebody says in their last words.
enum Words<R> {
    Done(R),
    Failed(PrepareFailure),
    Other,
}

/// What the Job of a run over the sources and its pods say; these are newest first.
pub fn outcome(job: &Job, pods: Pods<'_>) -> Outcome<IngestReport> {
    let words = |text: &str| match IngestOutcome::parse(text)? {
        IngestOutcome::Published(report) => Some(Words::Done(report)),
        IngestOutcome::Failed(failure) => Some(Words::Failed(failure)),
        IngestOutcome::Running(_) => Some(Words::Other),
    };
    look(
        job,
        pods,
        words,
        (reasons::SYNC_FAILED, "the sources could not be read"),
    )
}

/// Likewise of one that tests the Room.
pub fn tested(job: &Job, pods: Pods<'_>) -> Outcome<RedTeamReport> {
    let words = |text: &str| match RedTeamOutcome::parse(text)? {
        RedTeamOutcome::Finished(report) => Some(Words::Done(report)),
        RedTeamOutcome::Failed(failure) => Some(Words::Failed(failure)),
    };
    look(
        job,
        pods,
        words,
        (reasons::RED_TEAM_FAILED, "the Room could not be tested"),
    )
}

fn look<R>(
    job: &Job,
    pods: Pods<'_>,
    read: impl Fn(&str) -> Option<Words<R>>,
    (reason, what): (&str, &str),
) -> Outcome<R> {
    let words = |pod: &Pod| read(last_message(pod)?.1);
    let newest = pods.pods.first().and_then(|pod| words(pod));
    let failure = newest.and_then(|words| match words {
        Words::Failed(failure) => Some(Failure {
            trouble: Trouble::new(&failure.reason, failure.message),
            retryable: failure.retryable,
        }),
        Words::Done(_) | Words::Other => None,
    });
    let done = pods.pods.iter().find_map(|pod| match words(pod)? {
        Words::Done(report) => Some(report),
        Words::Failed(_) | Words::Other => None,
    });
    let failed = ended(job, "Failed");
    match done {
        // One that is done may be killed before its Job knows.
        Some(report) if is_over(job) => return Outcome::Done(report),
        Some(_) => return Outcome::Underway(None),
        None if !is_over(job) => {
            let trouble = failure.map(|failure| failure.trouble);
            return Outcome::Underway(trouble.or_else(|| diagnosed(job, pods, CLAIM)));
        }
        None => {}
    }
    Outcome::Failed(failure.unwrap_or_else(|| {
        let why = failed.unwrap_or("its pod is gone, and with it what it had to say");
        let otherwise = || Trouble::new(reason, format!("{what}: {why}"));
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

    fn seen(job: &Job, pods: &[&Pod]) -> Outcome<IngestReport> {
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
            seen(&job(json!([])), &[&pod(Some(&published()))]),
            Outcome::Underway(None)
        );
        for type_ in ["Complete", "Failed"] {
            let over = job(json!([{"type": type_, "status": "True", "message": "DeadlineExceeded"}]));
            let Outcome::Done(report) = seen(&over, &[&pod(Some(&failed(true))), &pod(Some(&published()))]) else {
                panic!("it has published");
            };
            assert_eq!(report.generation, 3);
        }
    }

    #[test]
    fn a_failed_attempt_is_told_while_the_next_one_is_awaited() {
        let Outcome::Underway(Some(trouble)) = seen(&job(json!([])), &[&pod(Some(&failed(true)))]) else {
            panic!("it is under way");
        };
        assert_eq!(trouble, Trouble::new(prepare::DOWNLOAD_FAILED, "why"));
        assert_eq!(seen(&job(json!([])), &[&pod(None)]), Outcome::Underway(None));
    }

    #[test]
    fn what_failed_says_whether_it_is_worth_another_run() {
        let over = job(json!([{"type": "Failed", "status": "True", "message": "BackoffLimitExceeded"}]));
        for retryable in [true, false] {
            let Outcome::Failed(failure) = seen(&over, &[&pod(Some(&failed(retryable)))]) else {
                panic!("it failed");
            };
            assert_eq!(
                (failure.retryable, failure.trouble.message.as_str()),
                (retryable, "why")
            );
        }
        let Outcome::Failed(failure) = seen(&over, &[]) else {
            panic!("it failed");
        };
        assert!(failure.retryable && failure.trouble.message.contains("BackoffLimitExceeded"));
    }

    #[test]
    fn a_test_that_told_nothing_was_not_passed() {
        let over = job(json!([{"type": "Complete", "status": "True"}]));
        let pods = Pods {
            pods: &[],
            events: &[],
            image: "d",
            size: ("1Gi", "1"),
        };
        let Outcome::Failed(failure) = tested(&over, pods) else {
            panic!("it told nothing");
        };
        assert_eq!(
            (failure.retryable, &*failure.trouble.reason),
            (true, reasons::RED_TEAM_FAILED)
        );
    }

    #[test]
    fn without_its_pod_nobody_knows_and_it_is_tried_again() {
        let complete = job(json!([{"type": "Complete", "status": "True"}]));
        let Outcome::Failed(failure) = seen(&complete, &[]) else {
            panic!("it told nothing");
        };
        assert!(failure.retryable);
        assert_eq!(failure.trouble.reason, reasons::SYNC_FAILED);
    }
}
