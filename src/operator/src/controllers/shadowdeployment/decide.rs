//! How far a comparison is, and what follows from it. Pure.

use api::{
    LlmModel, ShadowDeploymentStatus, reasons,
    shadowdeployment::{OnFail, OnPass, ShadowDeploymentSpec, Verdict},
};
use jiff::Timestamp;
use stats::{Decision, End, Reason};

use super::{
    arms::{self, Arms},
    dereference::Observed,
    evidence::Evidence,
    validate::Wanted,
};
use crate::controllers::common::trouble::Trouble;

/// How far it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// The spec cannot be fulfilled.
    Refused(Trouble),
    /// It has not begun: this is missing.
    Waiting(Trouble),
    /// Requests are copied; the trouble is one that may pass.
    Comparing(Arms, Option<Trouble>),
    /// It ends now.
    Decided(Outcome),
    /// It ended before.
    Over,
}

/// How it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in CamelCase.
    pub reason: String,
    /// Why, in a sentence.
    pub message: String,
    /// What follows, in a sentence.
    pub follows: String,
    /// Who was compared: their models and versions.
    pub versions: (Option<String>, Option<String>),
}

/// What there is to decide about.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What the spec asks for.
    pub wanted: Result<&'a Wanted, &'a Trouble>,
    /// What exists.
    pub observed: &'a Observed,
    /// What pairs say; none before the first look at them.
    pub evidence: Option<&'a Evidence>,
    /// Why the gateway does not tell more.
    pub silence: Option<&'a str>,
    /// The status before.
    pub before: &'a ShadowDeploymentStatus,
}

/// Decides how far it is.
pub fn decide(facts: &Facts<'_>) -> Stage {
    let Facts {
        wanted,
        observed,
        evidence,
        silence,
        before,
    } = *facts;
    if before.verdict.is_some() {
        return Stage::Over;
    }
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(trouble) => return Stage::Refused(trouble.clone()),
    };
    let spec = &wanted.spec;
    let versions = (before.primary_version.clone(), before.candidate_version.clone());
    let outcome = |verdict, reason: &str, message: String| {
        Stage::Decided(Outcome {
            verdict,
            reason: reason.into(),
            message,
            follows: follows(spec, verdict, observed.model.as_ref()),
            versions: versions.clone(),
        })
    };
    let able = arms::can_answer(spec, observed);
    if before.started.is_none() {
        return match able {
            Ok(arms) => Stage::Comparing(arms, None),
            Err(trouble) if [reasons::INVALID_SPEC, reasons::NOT_SUPPORTED].contains(&trouble.reason.as_str()) => {
                Stage::Refused(trouble)
            }
            Err(trouble) => Stage::Waiting(trouble),
        };
    }
    let silent = silence.map(|why| Trouble::new(reasons::PAIRS_UNAVAILABLE, why));
    // Before all pairs have been read nothing is decided: what was measured stands, whatever has become of the models since.
    let Some(evidence) = evidence else {
        return match arms::arms(spec, observed) {
            Ok(arms) => Stage::Comparing(arms, silent.or(able.err())),
            Err(trouble) => Stage::Waiting(silent.unwrap_or(trouble)),
        };
    };
    if let Some(decision) = &evidence.decision {
        return outcome(
            verdict(decision),
            reason(decision.reason),
            words(decision, evidence, wanted),
        );
    }
    match arms::arms(spec, observed) {
        Err(trouble) if [reasons::MODEL_GONE, reasons::CANDIDATE_GONE].contains(&trouble.reason.as_str()) => {
            outcome(Verdict::Inconclusive, &trouble.reason, trouble.message)
        }
        Err(trouble) => Stage::Waiting(trouble),
        Ok(arms) => {
            let changed = [
                (&before.primary_version, &arms.primary, reasons::PRIMARY_CHANGED),
                (&before.candidate_version, &arms.candidate, reasons::CANDIDATE_CHANGED),
            ];
            for (then, now, reason) in changed {
                if let Some(then) = then.as_ref().filter(|then| **then != now.version) {
                    let message = format!(
                        "LlmModel {} answers with version {} now, and with {then} when the comparison began: further pairs \
                         would not be about the same",
                        now.model, now.version
                    );
                    return outcome(Verdict::Inconclusive, reason, message);
                }
            }
            Stage::Comparing(arms, able.err())
        }
    }
}

/// What ends a comparison from outside, if anything does.
pub fn end(wanted: &Wanted, evidence: &Evidence, started: Option<Timestamp>, now: Timestamp) -> Option<End> {
    let is_spent = wanted.max_tokens.is_some_and(|limit| evidence.tokens >= limit)
        || wanted.max_money.is_some_and(|limit| {
            let cost = evidence.cost.as_ref().and_then(|cost| cost.parse::<f64>().ok());
            cost.is_some_and(|cost| cost >= limit)
        });
    let is_late = wanted.deadline(started).is_some_and(|deadline| deadline <= now);
    match (is_spent, is_late) {
        (true, _) => Some(End::Budget),
        (false, true) => Some(End::Deadline),
        (false, false) => None,
    }
}

fn verdict(decision: &Decision) -> Verdict {
    match decision.verdict {
        stats::Verdict::Promote => Verdict::Promote,
        stats::Verdict::Reject => Verdict::Reject,
        stats::Verdict::Inconclusive => Verdict::Inconclusive,
    }
}

/// The reason of a decision in status and report.
fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::NotWorse => "NotWorse",
        Reason::Worse => "Worse",
        Reason::MaxPairs => "MaxPairs",
        Reason::Futility => "Futility",
        Reason::Deadline => "Deadline",
        Reason::Budget => "Budget",
    }
}

/// A decision in a sentence.
fn words(decision: &Decision, evidence: &Evidence, wanted: &Wanted) -> String {
    let pairs = evidence.pairs;
    let name = decision.metric.as_deref().unwrap_or_default();
    let found = evidence
        .metrics
        .iter()
        .find(|found| shadow::metric::name(found.metric) == name);
    let detectable = found.and_then(|found| found.detectable_share).map_or_else(
        || format!("; nothing can be said of {name} yet"),
        |share| {
            format!(
                "; the smallest difference in {name} that {pairs} pairs could show is {}",
                percent(share)
            )
        },
    );
    match decision.reason {
        Reason::NotWorse => format!("after {pairs} pairs no metric is worse than its margin"),
        Reason::Worse => {
            let compared = wanted.metrics.iter().find(|it| shadow::metric::name(it.metric) == name);
            let margin = compared.map_or_else(String::new, |it| percent(it.margin));
            let unit = compared.map_or("", |it| it.description.unit.suffix());
            let value = |value: Option<f64>| value.map_or_else(|| "?".into(), |it| format!("{}{unit}", decimal(it)));
            let (primary, candidate) = found.map_or((None, None), |found| (found.primary, found.candidate));
            format!(
                "{name} is worse than its margin of {margin}: {} of the candidate against {}, after {pairs} pairs",
                value(candidate),
                value(primary)
            )
        }
        Reason::MaxPairs => format!("spec.stop.maxPairs, {pairs} pairs, are there without a verdict{detectable}"),
        Reason::Futility => format!(
            "after {pairs} pairs a verdict within spec.stop.maxPairs, {}, has become unlikely{detectable}",
            wanted.max_pairs
        ),
        Reason::Deadline => format!("spec.stop.maxDuration is over after {pairs} pairs{detectable}"),
        Reason::Budget => format!("spec.limits.budget is spent after {pairs} pairs{detectable}"),
    }
}

/// What a verdict leads to, which the LlmModel's own controller does.
fn follows(spec: &ShadowDeploymentSpec, verdict: Verdict, model: Option<&LlmModel>) -> String {
    let nobody = |why: &str| format!("nothing follows by itself: {why}");
    let asks = match verdict {
        Verdict::Promote => spec.on_pass != OnPass::None,
        Verdict::Reject => spec.on_fail != OnFail::None,
        Verdict::Inconclusive => false,
    };
    let (Some(version), Some(model)) = (&spec.candidate.version, model) else {
        return nobody("a person decides");
    };
    if !asks {
        let field = match verdict {
            Verdict::Promote => "spec.onPass is None, so a person decides".to_owned(),
            Verdict::Reject => "spec.onFail is None, so a person decides".to_owned(),
            Verdict::Inconclusive if spec.on_pass != OnPass::None => format!(
                "version {version} waits for the annotation atelier.dev/promote: {version}/shadow on the LlmModel, or \
                 another spec"
            ),
            Verdict::Inconclusive => "a person decides".into(),
        };
        return nobody(&field);
    }
    if let Some(pin) = &model.spec.version {
        return nobody(&format!(
            "spec.version of the LlmModel pins {pin}, and whoever pinned it has decided"
        ));
    }
    let status = model.status.as_ref();
    let wanted = status.and_then(|status| status.candidate_version.as_deref());
    if wanted != Some(version) {
        return nobody("the LlmModel's spec asks for another version, so this one is not on its way");
    }
    match (verdict, spec.on_pass) {
        (Verdict::Reject, _) => format!("version {version} is rejected"),
        (_, OnPass::Canary) => format!("version {version} goes on to its canary"),
        _ => format!("version {version} takes over"),
    }
}

/// A share as people write it: `2.5%`.
pub fn percent(share: f64) -> String {
    format!("{}%", trimmed(format!("{:.2}", share * 100.0)))
}

/// A number with six digits that count.
pub fn decimal(number: f64) -> String {
    if number == 0.0 || !number.is_finite() {
        return "0".into();
    }
    let places = 5 - number.abs().log10().floor() as i32;
    trimmed(format!(
        "{number:.*}",
        usize::try_from(places.clamp(0, 12)).unwrap_or(0)
    ))
}

fn trimmed(text: String) -> String {
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    };
    if text == "-0" { "0".into() } else { text }
}
