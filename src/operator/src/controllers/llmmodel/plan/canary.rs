//! Strategy Canary: a new version gets a growing share of the traffic, and is stopped on evidence.
//!
//! Time and gates let it go on; only what was measured stops it, once, and never a lack of measurements.

use std::{sync::Arc, time::Duration};

use api::{
    llmmodel::{CanaryStatus, Gate},
    reasons,
};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use protocol::{Traffic, VersionTraffic};
use stats::RateTest;

use crate::controllers::llmmodel::{
    trouble::Trouble,
    validate::{Canary, Owner, Step},
};

/// Requests of a step without which gate Slo does not open.
const LEAST_TO_PASS: u64 = 50;
/// Requests without which nothing is stopped.
const LEAST_TO_STOP: u64 = 20;
/// Probability of stopping a version that holds its objectives, over all looks at one of them.
const ALPHA: f64 = 0.05;
/// Share of requests that may be slower than an objective for 95 of 100.
const SLOW_SHARE: f64 = 0.05;
/// Between looks at what was measured.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What is known of a version on trial.
#[derive(Clone, Copy, Debug)]
pub struct Trial<'a> {
    /// The LlmModel.
    pub owner: &'a Owner,
    /// What the spec asks for.
    pub canary: &'a Canary,
    /// The version.
    pub version: &'a str,
    /// What the status says of its trial.
    pub before: Option<&'a CanaryStatus>,
    /// Whether all its replicas are ready.
    pub is_ready: bool,
    /// What gateways have seen, or why they do not tell.
    pub traffic: Result<&'a Traffic, &'a str>,
}

/// How a trial goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum Course {
    /// It has not begun: the version waits for verdicts on copies of requests. The text says for which, the trouble why
    /// none comes by itself.
    Shadowing(String, Option<Trouble>),
    /// It has not begun: the version is not ready.
    Starting,
    /// The version has this share; the text says what the next step waits for.
    On(CanaryStatus, String, Duration),
    /// Every step is done.
    Over,
    /// The evidence against the version.
    Stopped(Trouble),
}

/// What gateways told, if they were asked: for [`Trial::traffic`].
pub fn told(traffic: Option<&Result<Arc<Traffic>, String>>) -> Result<&Traffic, &str> {
    match traffic {
        Some(Ok(traffic)) => Ok(traffic),
        Some(Err(why)) => Err(why),
        None => Err("the gateways are asked next"),
    }
}

/// Decides how the trial goes on.
pub fn course(trial: &Trial<'_>, now: Timestamp) -> Course {
    let steps = &trial.canary.steps;
    let begun = trial.before.filter(|before| before.version == trial.version);
    let Some(before) = begun else {
        return match steps.first() {
            Some(first) if trial.is_ready => on(trial, first, begin(trial, 1, first, now), now),
            Some(_) => Course::Starting,
            None => Course::Over,
        };
    };
    if let Some(trouble) = evidence(trial, before) {
        return Course::Stopped(trouble);
    }
    // The spec may have fewer steps now, and other shares.
    let number = usize::try_from(before.step).unwrap_or(1).clamp(1, steps.len().max(1));
    let Some(step) = steps.get(number - 1) else {
        return Course::Over;
    };
    let state = CanaryStatus {
        step: number as i32,
        weight: step.weight,
        ..before.clone()
    };
    match (awaited(trial, step, &state, now), steps.get(number)) {
        (Some((text, look)), _) => Course::On(state, text, look),
        (None, Some(next)) => on(trial, next, begin(trial, state.step + 1, next, now), now),
        (None, None) => Course::Over,
    }
}

/// A step that has just begun.
fn on(trial: &Trial<'_>, step: &Step, state: CanaryStatus, now: Timestamp) -> Course {
    let awaited = awaited(trial, step, &state, now);
    // A step that waits for nothing is taken all the same: gateways hear of it.
    let (text, look) = awaited.unwrap_or_else(|| ("the next look".into(), LOOK_AGAIN));
    Course::On(state, text, look)
}

fn begin(trial: &Trial<'_>, number: i32, step: &Step, now: Timestamp) -> CanaryStatus {
    CanaryStatus {
        version: trial.version.into(),
        weight: step.weight,
        step: number,
        // Whole seconds, as the API server keeps them.
        since: Time(Timestamp::from_second(now.as_second()).unwrap_or(now)),
        requests_before: i64::try_from(seen(trial).map_or(0, requests)).unwrap_or(i64::MAX),
    }
}

fn seen<'a>(trial: &Trial<'a>) -> Option<&'a VersionTraffic> {
    let Owner { namespace, name, .. } = trial.owner;
    trial.traffic.ok()?.of(namespace, name, trial.version)
}

fn requests(seen: &VersionTraffic) -> u64 {
    seen.succeeded + seen.failed
}

/// What the next step waits for, and when to look again.
fn awaited(trial: &Trial<'_>, step: &Step, state: &CanaryStatus, now: Timestamp) -> Option<(String, Duration)> {
    if !trial.is_ready {
        return Some(("all its replicas to be ready".into(), LOOK_AGAIN));
    }
    let pause = i64::try_from(step.pause.as_secs()).unwrap_or(i64::MAX);
    let end = state.since.0.as_second().saturating_add(pause);
    let left = end.saturating_sub(now.as_second());
    if left > 0 {
        let text = Timestamp::from_second(end).map_or("the end of time".to_owned(), |end| end.to_string());
        let left = Duration::from_secs(left.unsigned_abs());
        // Meanwhile it is watched.
        return Some((text, if watches(trial) { left.min(LOOK_AGAIN) } else { left }));
    }
    match step.gate {
        Some(Gate::Manual) => {
            let word = format!("{}/{}", trial.version, state.step);
            let is_promoted = trial
                .owner
                .promoted
                .as_ref()
                .is_some_and(|promoted| covers(promoted, trial.version, state.step));
            let text = format!("the annotation {}: {word}", api::names::ANNOTATION_PROMOTE);
            (!is_promoted).then_some((
                text,
                if watches(trial) {
                    LOOK_AGAIN
                } else {
                    Duration::from_secs(600)
                },
            ))
        }
        Some(Gate::Slo) => slo(trial, state).map(|text| (text, LOOK_AGAIN)),
        // Refused when the spec is looked at.
        Some(Gate::Shadow) | None => None,
    }
}

fn watches(trial: &Trial<'_>) -> bool {
    trial.canary.slo.ttft_p95.is_some() || trial.canary.slo.error_rate.is_some()
}

/// Whether a person's word speaks of this step or a later one.
fn covers(promoted: &str, version: &str, step: i32) -> bool {
    let word = promoted.split_once('/');
    word.is_some_and(|(of, up_to)| of == version && up_to.parse().is_ok_and(|up_to: i32| up_to >= step))
}

/// What keeps gate Slo shut.
fn slo(trial: &Trial<'_>, state: &CanaryStatus) -> Option<String> {
    let seen = match (trial.traffic, seen(trial)) {
        (Err(why), _) => return Some(format!("measurements: {why}")),
        (Ok(_), None) => return Some("gateways to see its pods".into()),
        (Ok(_), Some(seen)) => seen,
    };
    let all = requests(seen);
    let before = u64::try_from(state.requests_before).unwrap_or(0);
    // A gateway that was replaced counts from nothing.
    let of_step = all.checked_sub(before).unwrap_or(all);
    if of_step < LEAST_TO_PASS {
        return Some(format!("{LEAST_TO_PASS} requests of this step: it has {of_step}"));
    }
    let slo = &trial.canary.slo;
    if let Some(limit) = slo.error_rate
        && seen.failed as f64 > limit * all as f64
    {
        return Some(format!("fewer failures: {} of {all} requests failed", seen.failed));
    }
    if let Some(limit) = slo.ttft_p95 {
        let (slow, streams) = (seen.first_token.over(limit), seen.first_token.count());
        if streams < LEAST_TO_PASS {
            return Some(format!(
                "{LEAST_TO_PASS} streamed answers, whose first token can be timed: it has {streams}"
            ));
        }
        if slow as f64 > SLOW_SHARE * streams as f64 {
            return Some(format!(
                "faster answers: the first token of {slow} of {streams} took longer than {limit} ms"
            ));
        }
    }
    None
}

/// What speaks against the version, beyond chance.
fn evidence(trial: &Trial<'_>, state: &CanaryStatus) -> Option<Trouble> {
    let seen = seen(trial)?;
    let slo = &trial.canary.slo;
    let broken = |failures: u64, samples: u64, limit: f64| {
        samples >= LEAST_TO_STOP && RateTest::new(limit).is_exceeded(failures, samples, ALPHA)
    };
    let all = requests(seen);
    let errors = slo
        .error_rate
        .filter(|limit| broken(seen.failed, all, *limit))
        .map(|limit| {
            let limit = limit * 100.0;
            format!(
                "{} of {all} requests failed, where spec.monitoring.slo.errorRate allows {limit} %",
                seen.failed
            )
        });
    let times = &seen.first_token;
    let slow = || {
        let limit = slo.ttft_p95?;
        let (slow, streams) = (times.over(limit), times.count());
        broken(slow, streams, SLOW_SHARE).then(|| {
            let p95 = times.quantile(0.95).unwrap_or(limit);
            format!(
                "the first token of {slow} of {streams} answers took longer than the {limit} ms that \
                 spec.monitoring.slo.ttftP95 allows 5 % of them (95 % took up to {p95:.0} ms)"
            )
        })
    };
    let what = errors.or_else(slow)?;
    let message = format!(
        "version {} was stopped in step {} at {} % of the traffic: {what}. It is not tried again: \
         change the spec, or name the version in spec.version to serve it all the same",
        trial.version, state.step, state.weight
    );
    Some(Trouble::new(reasons::CANARY_STOPPED, message))
}
