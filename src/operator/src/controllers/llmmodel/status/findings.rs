//! The conditions.

use api::{
    conditions::{Finding, types},
    llmmodel::CanaryStatus,
    reasons,
};

use super::{
    Facts, Replicas, autoscaling, evaluation,
    weights::{self, preparing},
};
use crate::controllers::llmmodel::{
    plan::{Course, Target},
    trouble::Trouble,
};

/// The findings, and what their generation means.
pub struct Findings {
    /// One for each condition type.
    pub list: Vec<Finding>,
    /// Ready tells of an earlier spec than the present one.
    pub is_ready_of_before: bool,
}

/// What is true now. `pods` are those of the version `current`.
pub fn findings(facts: &Facts<'_>, current: Option<&str>, pods: Replicas) -> Findings {
    let wanted = facts.plan.target.version().map(|version| version.name.as_str());
    let serves_wanted = current.is_some() && current == wanted;
    let is_settled = serves_wanted && pods.complete;
    // Room may turn up by itself: until then nothing is decided about the spec as it is now.
    let is_decided = |reason: &str| reason != reasons::UNSCHEDULABLE;
    let is_stuck = facts.trouble.is_some_and(|trouble| is_decided(&trouble.reason)) && !facts.owner.paused;
    let ready = ready(facts, current, pods, serves_wanted);
    let is_ready_of_before = ready.status == api::conditions::Status::True && !is_settled && !is_stuck;
    let mut list = vec![
        weights::finding(facts),
        serving(facts, current, pods),
        progressing(facts, current, wanted, is_settled),
        degraded(facts, current),
        ready,
    ];
    list.extend(weights::compressed(facts));
    list.extend(evaluation::finding(facts));
    if facts.owner.paused {
        let message = "the annotation atelier.dev/paused is set: children are left as they are; remove it to go on";
        list.push(Finding::new(types::PAUSED, true, reasons::PAUSED, message));
    }
    Findings {
        list,
        is_ready_of_before,
    }
}

fn ready(facts: &Facts<'_>, current: Option<&str>, pods: Replicas, serves_wanted: bool) -> Finding {
    let finding = |status: bool, reason: &str, message: String| Finding::new(types::READY, status, reason, message);
    let Some(version) = current else {
        return match (facts.trouble, &facts.plan.target) {
            (Some(trouble), _) => finding(false, &trouble.reason, trouble.message.clone()),
            (None, _) if facts.owner.paused => finding(
                false,
                reasons::PAUSED,
                "nothing serves yet, and the model is paused".into(),
            ),
            (None, Target::Known(version)) => finding(
                false,
                reasons::ROLLING_OUT,
                format!("version {} is starting", version.name),
            ),
            (None, Target::Evaluating(version, _)) => {
                finding(false, reasons::EVALUATING, evaluation::asking(facts, version))
            }
            (None, _) => finding(false, reasons::PREPARING, preparing(facts)),
        };
    };
    let wanted = pods.wanted;
    if autoscaling::is_asleep(facts, version, pods) {
        return finding(true, reasons::SCALED_TO_ZERO, sleeps(version));
    }
    if made_room(facts, pods) {
        return finding(false, reasons::ROLLING_OUT, room_was_made(version));
    }
    if wanted == 0 {
        return finding(
            true,
            reasons::SCALED_TO_ZERO,
            format!("version {version} serves with no replicas, as the spec asks"),
        );
    }
    if pods.ready < autoscaling::needed(facts.model, pods) {
        let why = facts.current_trouble.or(facts.trouble.filter(|_| serves_wanted));
        return match why {
            Some(trouble) => finding(false, &trouble.reason, trouble.message.clone()),
            None => {
                let message = format!("{} of {wanted} replicas of version {version} are ready", pods.ready);
                finding(false, reasons::REPLICAS_NOT_READY, message)
            }
        };
    }
    if serves_wanted {
        return finding(
            true,
            reasons::SERVING,
            format!("version {version} serves with {} of {wanted} replicas", pods.ready),
        );
    }
    let message = format!("version {version} serves; the spec asks for another one, see condition Progressing");
    finding(true, reasons::SERVING_PREVIOUS, message)
}

/// Whether a version that served has stopped for its successor.
fn made_room(facts: &Facts<'_>, pods: Replicas) -> bool {
    pods.wanted == 0 && facts.model.spec.replicas > 0
}

fn sleeps(version: &str) -> String {
    format!("version {version} has no replicas, as nobody asks: the next request, which the gateway holds, starts one")
}

fn room_was_made(version: &str) -> String {
    format!("version {version} has stopped for its successor, as spec.rollout.strategy Recreate asks")
}

fn serving(facts: &Facts<'_>, current: Option<&str>, pods: Replicas) -> Finding {
    let (status, reason, message) = match current {
        None => (false, reasons::NOTHING_SERVES, "no version has served yet".to_owned()),
        Some(version) if pods.ready > 0 => (true, reasons::SERVING, format!("version {version} answers requests")),
        Some(version) if autoscaling::is_asleep(facts, version, pods) => {
            (false, reasons::SCALED_TO_ZERO, sleeps(version))
        }
        Some(version) if made_room(facts, pods) => (false, reasons::ROLLING_OUT, room_was_made(version)),
        Some(version) if pods.wanted == 0 => (
            false,
            reasons::SCALED_TO_ZERO,
            format!("version {version} has no replicas, as the spec asks"),
        ),
        Some(version) => (
            false,
            reasons::REPLICAS_NOT_READY,
            format!("no replica of version {version} is ready"),
        ),
    };
    Finding::new(types::SERVING, status, reason, message)
}

fn progressing(facts: &Facts<'_>, current: Option<&str>, wanted: Option<&str>, is_settled: bool) -> Finding {
    let finding =
        |status: bool, reason: &str, message: String| Finding::new(types::PROGRESSING, status, reason, message);
    if let Some(trouble) = facts.trouble {
        return finding(is_waiting(trouble), &trouble.reason, trouble.message.clone());
    }
    if is_settled {
        return finding(
            false,
            reasons::UP_TO_DATE,
            "the wanted version serves with all its replicas".into(),
        );
    }
    if facts.owner.paused {
        return finding(
            false,
            reasons::PAUSED,
            "changes wait until the annotation atelier.dev/paused is removed".into(),
        );
    }
    if let Some(Course::On(canary, awaited, _)) = &facts.plan.trial {
        return finding(true, reasons::CANARY, on_trial(canary, awaited));
    }
    if let (Some(Course::Shadowing(awaited, _)), Some(version)) = (&facts.plan.trial, wanted) {
        let pods = super::replicas(facts.observed.deployment(version));
        let message = match pods.complete {
            true => format!("version {version} answers copies of live requests, and waits for {awaited}"),
            false => format!(
                "{} of {} replicas of version {version} are ready; then it waits for {awaited}",
                pods.ready, pods.wanted
            ),
        };
        return finding(true, reasons::SHADOWING, message);
    }
    if let Target::Evaluating(version, _) = &facts.plan.target {
        return finding(true, reasons::EVALUATING, evaluation::asking(facts, version));
    }
    match wanted {
        Some(version) => {
            let pods = super::replicas(facts.observed.deployment(version));
            let message = match made_room(facts, pods) && current.is_some_and(|it| it != version) {
                true => format!("version {version} starts as soon as the pods of the version before have ended"),
                false => format!(
                    "{} of {} replicas of version {version} are ready",
                    pods.ready, pods.wanted
                ),
            };
            finding(true, reasons::ROLLING_OUT, message)
        }
        None => finding(true, reasons::PREPARING, preparing(facts)),
    }
}

/// Whether it is nothing but a training that takes its time.
fn is_waiting(trouble: &Trouble) -> bool {
    trouble.reason == reasons::WAITING_FOR_FINE_TUNE_JOB
}

fn on_trial(canary: &CanaryStatus, awaited: &str) -> String {
    let CanaryStatus {
        version, weight, step, ..
    } = canary;
    format!("version {version} gets {weight} % of the traffic in step {step} of its canary, and waits for {awaited}")
}

fn degraded(facts: &Facts<'_>, current: Option<&str>) -> Finding {
    let scaling = autoscaling::trouble(facts, current);
    let trouble = facts.trouble.filter(|trouble| !is_waiting(trouble));
    match trouble.or(facts.current_trouble).or(scaling.as_ref()) {
        Some(trouble) => Finding::new(types::DEGRADED, true, trouble.reason.clone(), trouble.message.clone()),
        None => Finding::new(types::DEGRADED, false, reasons::AS_EXPECTED, ""),
    }
}
