//! The conditions of a FineTuneJob.

use api::{
    FineTuneJobStatus,
    conditions::{Finding, Status, types},
    finetunejob::{OutcomeStatus, Phase, ReportStatus},
    names, reasons,
};

use super::Facts;
use crate::controllers::{
    common::trouble::Trouble,
    finetunejob::{
        decide::{End, Stage},
        dereference::Progress,
    },
};

/// What is true now.
pub fn findings(facts: &Facts<'_>, after: &FineTuneJobStatus) -> Vec<Finding> {
    let mut list = match (&facts.plan.stage, &after.outcome) {
        (Stage::Ended(_), Some(outcome)) => ended(outcome, after),
        (Stage::Ended(_) | Stage::Unknown, _) => known(facts, after),
        (stage, _) => on_its_way(facts, stage, after),
    };
    if let Some(failure) = facts.failure {
        list.retain(|finding| finding.type_ != types::DEGRADED);
        list.push(Finding::new(types::DEGRADED, true, &failure.reason, &failure.message));
    }
    if facts.owner.paused {
        let text = "the annotation atelier.dev/paused is set: nothing is started, changed or deleted";
        list.push(Finding::new(types::PAUSED, true, reasons::PAUSED, text));
    }
    list
}

/// As the status has it already.
fn known(facts: &Facts<'_>, after: &FineTuneJobStatus) -> Vec<Finding> {
    let own = [
        types::READY,
        types::PROGRESSING,
        types::COMPLETE,
        types::FAILED,
        types::DEGRADED,
    ];
    let before = facts.job.status.iter().flat_map(|status| &status.conditions);
    let mut list: Vec<_> = before
        .filter_map(|condition| {
            let type_ = own.into_iter().find(|type_| *type_ == condition.type_)?;
            let status = Status::from(condition.status == "True");
            Some(Finding::new(type_, status, &condition.reason, &condition.message))
        })
        .collect();
    let has_failed = list
        .iter()
        .any(|it| it.type_ == types::FAILED && it.status == Status::True);
    for finding in &mut list {
        // What kept children from being written is over, or is told anew.
        if finding.type_ == types::DEGRADED && !has_failed {
            *finding = Finding::new(types::DEGRADED, false, reasons::AS_EXPECTED, "");
        }
    }
    if list.is_empty() {
        list.push(ready(after));
    }
    list
}

/// Whether there is something to serve.
fn ready(after: &FineTuneJobStatus) -> Finding {
    match &after.output {
        Some(output) => {
            let message = format!("the output {} is published", output.digest);
            Finding::new(types::READY, true, reasons::PUBLISHED, message)
        }
        None => Finding::new(
            types::READY,
            false,
            reasons::NOTHING_PUBLISHED,
            "nothing is published yet",
        ),
    }
}

/// How it ended, with the numbers; nothing where the status says so already.
pub fn outcome(end: &End, after: &FineTuneJobStatus) -> Option<OutcomeStatus> {
    let (is_complete, reason, message) = match end {
        End::Published(report) => {
            let words = after.report.as_ref().map(numbers).unwrap_or_default();
            (
                true,
                reasons::PUBLISHED,
                format!("published {}: {words}", report.digest),
            )
        }
        End::Rejected(_) => {
            let report = after.report.clone().unwrap_or_default();
            let gate = report.gate.clone().unwrap_or_default();
            let words = format!(
                "nothing was published, because the gate did not pass: {gate}; {}. Change the data or the settings, or \
                 allow more in spec.evaluate",
                numbers(&report)
            );
            (false, reasons::GATE_FAILED, words)
        }
        End::Unchanged => {
            let words = "the data are those that the last run has learned from: there is nothing to train";
            (true, reasons::DATA_UNCHANGED, words.to_owned())
        }
        End::Best(trial, output, _) => {
            let words = format!("published {} of trial {trial}, the best one", output.digest);
            (true, reasons::PUBLISHED, words)
        }
        End::Failed(trouble) => (false, trouble.reason.as_str(), trouble.message.clone()),
        End::Known => return None,
    };
    Some(OutcomeStatus {
        phase: if is_complete { Phase::Succeeded } else { Phase::Failed },
        reason: reason.into(),
        message,
    })
}

fn ended(outcome: &OutcomeStatus, after: &FineTuneJobStatus) -> Vec<Finding> {
    let OutcomeStatus { phase, reason, message } = outcome;
    let is_complete = *phase == Phase::Succeeded;
    let fine = Finding::new(types::FAILED, false, reasons::AS_EXPECTED, "");
    let (failed, degraded) = match is_complete {
        true => (fine, Finding::new(types::DEGRADED, false, reasons::AS_EXPECTED, "")),
        false => (
            Finding::new(types::FAILED, true, reason, message),
            Finding::new(types::DEGRADED, true, reason, message),
        ),
    };
    let is_ready = after.output.is_some();
    let ready = match is_complete || is_ready {
        true => ready(after),
        false => Finding::new(types::READY, false, reason, message),
    };
    vec![
        ready,
        Finding::new(types::PROGRESSING, false, reasons::UP_TO_DATE, "nothing is left to do"),
        Finding::new(types::COMPLETE, is_complete, reason, message),
        failed,
        degraded,
    ]
}

/// A report in words.
fn numbers(report: &ReportStatus) -> String {
    let mut words = format!(
        "loss {} at first and {} at last, after {} steps",
        report.first_loss, report.last_loss, report.steps
    );
    if let Some(eval) = &report.eval_loss {
        words.push_str(&format!(", {eval} on the validation data"));
    }
    if let Some(reference) = &report.reference_loss {
        words.push_str(&format!(" where the reference has {reference}"));
    }
    if let Some(general) = &report.general_perplexity {
        words.push_str(&format!(", perplexity on general text {general}"));
    }
    words
}

fn on_its_way(facts: &Facts<'_>, stage: &Stage, after: &FineTuneJobStatus) -> Vec<Finding> {
    let (is_going, reason, mut message, trouble) = words(facts, stage, after);
    if let Some(job) = awaited(facts) {
        message.push_str(&format!(
            "; the changed spec waits for the end of Job {job}: `kubectl delete job {job}` starts it at once"
        ));
    }
    let degraded = match &trouble {
        Some(trouble) => Finding::new(types::DEGRADED, true, &trouble.reason, &trouble.message),
        None => Finding::new(types::DEGRADED, false, reasons::AS_EXPECTED, ""),
    };
    let is_refused = matches!(stage, Stage::Refused(_));
    let failed = match is_refused {
        true => Finding::new(types::FAILED, true, &reason, &message),
        false => Finding::new(types::FAILED, false, reasons::AS_EXPECTED, ""),
    };
    let ready = match after.output {
        Some(_) => ready(after),
        None => Finding::new(types::READY, false, &reason, &message),
    };
    vec![
        ready,
        Finding::new(types::PROGRESSING, is_going, &reason, &message),
        Finding::new(types::COMPLETE, false, &reason, message),
        failed,
        degraded,
    ]
}

/// The Job of an earlier spec that is at work.
fn awaited(facts: &Facts<'_>) -> Option<String> {
    let (wanted, plan) = (facts.wanted?, facts.plan);
    plan.key.as_ref().filter(|key| **key != wanted.key)?;
    let jobs = [names::train_job, names::data_job].map(|name| name(&facts.owner.name));
    jobs.into_iter().find(|name| facts.observed.job(name).is_some())
}

/// Whether something is under way, what, and what is wrong with it.
fn words(facts: &Facts<'_>, stage: &Stage, after: &FineTuneJobStatus) -> (bool, String, String, Option<Trouble>) {
    let say = |is_going: bool, reason: &str, message: &str| (is_going, reason.to_owned(), message.to_owned(), None);
    match stage {
        Stage::Refused(trouble) => (
            false,
            trouble.reason.clone(),
            trouble.message.clone(),
            Some(trouble.clone()),
        ),
        Stage::Waiting(trouble) => {
            let is_wrong = trouble.reason == reasons::BASE_UNSUITABLE;
            (
                true,
                trouble.reason.clone(),
                trouble.message.clone(),
                is_wrong.then(|| trouble.clone()),
            )
        }
        Stage::Preparing(trouble) => with(trouble.as_ref(), reasons::PREPARING, &reading(facts)),
        Stage::Training(trouble) => {
            let message = match after.total_steps {
                Some(total) => format!("the training is under way: {total} steps in all"),
                None => "the training is under way".into(),
            };
            with(trouble.as_ref(), reasons::TRAINING, &message)
        }
        Stage::Queued => say(
            true,
            reasons::QUEUED,
            "the queue of spec.queueName has not admitted the training yet",
        ),
        Stage::Suspended => say(
            false,
            reasons::SUSPENDED,
            "spec.suspend is set: unset it to go on from the last checkpoint",
        ),
        Stage::Sweeping(ended, all) => say(true, reasons::SWEEPING, &format!("{ended} of {all} trials have ended")),
        Stage::Following(Some(run)) => say(true, reasons::RUNNING, &format!("run {run} is under way")),
        Stage::Following(None) => {
            let next = after.next_scheduled.as_ref().map(|time| time.0.to_string());
            let message = format!("the next run is due at {}", next.unwrap_or_else(|| "no time".into()));
            say(true, reasons::SCHEDULED, &message)
        }
        Stage::Unknown | Stage::Ended(_) => say(false, reasons::AS_EXPECTED, ""),
    }
}

/// What is under way, or the trouble that it has.
fn with(trouble: Option<&Trouble>, reason: &str, message: &str) -> (bool, String, String, Option<Trouble>) {
    match trouble {
        None => (true, reason.into(), message.into(), None),
        Some(trouble) => {
            let words = format!("{message}; the last attempt is in trouble: {}", trouble.message);
            (true, reason.into(), words, Some(trouble.clone()))
        }
    }
}

fn reading(facts: &Facts<'_>) -> String {
    match &facts.observed.progress {
        Some(Progress::Data(progress)) => format!(
            "data are read and cleaned: {} records read, {} kept",
            progress.read, progress.kept
        ),
        _ => "data are read and cleaned".into(),
    }
}
