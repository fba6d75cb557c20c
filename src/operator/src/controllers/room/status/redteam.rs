//! What attempts to make the Room leak leave in the status.

use api::{
    Room, RoomStatus,
    conditions::{Finding, Status, types},
    reasons,
    room::{DetectorStatus, RedTeamFinding, RedTeamStatus, RedTeamVerdict},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use protocol::redteam::{RedTeamReport, RedTeamVerdict as Verdict};

use super::{ended::to_the_second, number};
use crate::controllers::room::{
    decide::{
        due::retry,
        redteam::{Ended, Testing},
    },
    outcome::Outcome,
};

/// Runs in a row that could not be made, after which what was passed before counts no more.
const PATIENCE: i32 = 3;

/// Notes a run that has ended.
pub fn note(status: &mut RoomStatus, ended: &Ended, now: &Time) {
    let tests = status.red_team.get_or_insert_default();
    let trouble = match &ended.outcome {
        Outcome::Done(report) => {
            found(tests, report, now);
            // What could not be measured this time stays as it was.
            if !report.detectors.is_empty() {
                status.detectors = detectors(report, now);
            }
            let reason = match report.verdict {
                Verdict::Passed => None,
                Verdict::Leaked => Some(reasons::LEAKED),
                Verdict::Blind => Some(reasons::NOTHING_PROVED),
            };
            reason.map(|reason| (reason.to_owned(), report.failures.join("; "), true))
        }
        Outcome::Failed(failure) => {
            let trouble = failure.trouble.clone();
            Some((trouble.reason, trouble.message, failure.retryable))
        }
        // It has not ended.
        Outcome::Underway(_) => return,
    };
    tests.run = ended.run;
    tests.started = ended.started.map(Time);
    tests.attempted.clone_from(&ended.key);
    match trouble {
        None => {
            tests.failures = 0;
            tests.retry = None;
            tests.reason = None;
            tests.message = None;
        }
        Some((reason, message, retryable)) => {
            tests.failures = tests.failures.saturating_add(1);
            tests.retry = retryable.then(|| Time(to_the_second(retry(tests.failures, now.0))));
            tests.reason = Some(reason);
            tests.message = Some(message);
        }
    }
}

fn found(tests: &mut RedTeamStatus, report: &RedTeamReport, now: &Time) {
    tests.last_time = Some(Time(to_the_second(now.0)));
    tests.verdict = Some(match report.verdict {
        Verdict::Passed => RedTeamVerdict::Passed,
        Verdict::Leaked => RedTeamVerdict::Leaked,
        Verdict::Blind => RedTeamVerdict::Blind,
    });
    tests.generation = Some(number(report.generation));
    tests.attempts = Some(number(report.attempts));
    tests.controls = Some(number(report.found));
    let leaked = report.classes.iter().filter(|class| class.leaked > 0);
    tests.findings = leaked
        .map(|class| RedTeamFinding {
            suite: class.name.clone(),
            attempts: number(class.attempts),
            leaked: number(class.leaked),
        })
        .collect();
}

/// Forgets what is known of detectors that the spec does not name any more.
pub fn forget(status: &mut RoomStatus, room: &Room) {
    let answer = room.spec.answer.clone().unwrap_or_default();
    let is_there = |known: &DetectorStatus| answer.detectors().iter().any(|one| one.as_str() == known.name);
    status.detectors.retain(is_there);
}

fn detectors(report: &RedTeamReport, now: &Time) -> Vec<DetectorStatus> {
    let share = |share: Option<f64>| share.map(|share| format!("{share:.2}"));
    let of = |detector: &protocol::redteam::RedTeamDetector| DetectorStatus {
        name: detector.name.clone(),
        precision: share(detector.precision()),
        recall: share(detector.recall()),
        samples: number(detector.samples()),
        last_time: Some(Time(to_the_second(now.0))),
    };
    report.detectors.iter().map(of).collect()
}

/// Whether the Room passed; nothing where nobody asks.
pub fn passed(room: &Room, after: &RoomStatus, testing: &Testing) -> Option<Finding> {
    room.spec.red_team.as_ref()?;
    let finding = |status: Status, reason: &str, message: String| {
        Some(Finding::new(types::RED_TEAM_PASSED, status, reason, message))
    };
    let tests = after.red_team.clone().unwrap_or_default();
    let message = tests.message.clone().unwrap_or_default();
    let again = match &tests.retry {
        Some(retry) => format!("it is tested again at {}", retry.0),
        None => "it is tested again by its schedule, and with its next index".into(),
    };
    let attempts = tests.attempts.unwrap_or_default();
    match tests.verdict {
        Some(RedTeamVerdict::Leaked) => {
            let message = format!(
                "in {attempts} attempts, something was seen that must not be: {message}. The Room answers nobody until that is \
                 mended, by a curator or a change of its sources or its spec; {again}"
            );
            finding(Status::False, reasons::LEAKED, message)
        }
        Some(RedTeamVerdict::Blind) => {
            let message = format!("{attempts} attempts prove nothing: {message}; {again}");
            finding(Status::Unknown, reasons::NOTHING_PROVED, message)
        }
        Some(RedTeamVerdict::Passed) if tests.failures >= PATIENCE => {
            let reason = tests.reason.as_deref().unwrap_or(reasons::RED_TEAM_FAILED);
            let message = format!(
                "it was passed before, and could not be tested {} times in a row since: {message}; {again}",
                tests.failures
            );
            finding(Status::Unknown, reason, message)
        }
        Some(RedTeamVerdict::Passed) => {
            let (controls, generation) = (tests.controls.unwrap_or_default(), tests.generation.unwrap_or_default());
            let message = format!(
                "{attempts} attempts on index {generation} have seen nothing that they must not, and {controls} canaries were \
                 there to be seen"
            );
            finding(Status::True, reasons::NO_LEAK, message)
        }
        None if tests.failures > 0 => {
            let reason = tests.reason.as_deref().unwrap_or(reasons::RED_TEAM_FAILED);
            finding(
                Status::Unknown,
                reason,
                format!("it could not be tested yet: {message}; {again}"),
            )
        }
        None => {
            let why = match testing {
                Testing::Running(Some(trouble)) => {
                    format!("it is being tested, which is in trouble: {}", trouble.message)
                }
                Testing::Running(None) | Testing::Ended(_) | Testing::Idle => "it is being tested".into(),
                Testing::Off | Testing::Waiting => "it is tested once its sources were read".into(),
            };
            let message = format!("{why}; it answers once it has passed");
            finding(Status::Unknown, reasons::NOT_TESTED, message)
        }
    }
}
