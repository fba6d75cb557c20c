//! The conditions of a ShadowDeployment.

use api::{
    ShadowDeploymentStatus,
    conditions::{self, Finding, Status, types},
    reasons,
};

use super::Facts;
use crate::controllers::{
    common::trouble::Trouble,
    shadowdeployment::{decide::Stage, route},
};

/// What is true now.
pub fn findings(facts: &Facts<'_>, before: &ShadowDeploymentStatus, after: &ShadowDeploymentStatus) -> Vec<Finding> {
    let mut list = match facts.stage {
        Stage::Over => over(before),
        Stage::Decided(outcome) if after.verdict.is_some() => {
            let message = format!("{}; {}", outcome.message, outcome.follows);
            vec![
                Finding::new(types::COMPLETE, true, outcome.reason.clone(), message),
                Finding::new(types::READY, true, reasons::DECIDED, "the comparison has its verdict"),
                Finding::new(
                    types::PROGRESSING,
                    false,
                    reasons::DECIDED,
                    "no requests are copied any more",
                ),
                as_expected(),
            ]
        }
        Stage::Decided(_) => stopped(&unwritten(facts)),
        Stage::Refused(trouble) => stopped(trouble),
        Stage::Waiting(trouble) => stopped(trouble),
        Stage::Comparing(..) if facts.owner.paused => stopped(&Trouble::new(reasons::PAUSED, PAUSED)),
        Stage::Comparing(arms, trouble) => {
            let message = format!(
                "copies of requests to version {} of LlmModel {} are answered by version {} of {} too",
                arms.primary.version, arms.primary.model, arms.candidate.version, arms.candidate.model
            );
            let ready = match trouble {
                Some(trouble) => Finding::new(types::READY, false, &trouble.reason, &trouble.message),
                None => Finding::new(types::READY, true, reasons::COMPARING, message.clone()),
            };
            vec![
                ready,
                Finding::new(types::PROGRESSING, true, reasons::COMPARING, message),
                Finding::new(types::COMPLETE, false, reasons::COMPARING, "there is no verdict yet"),
                degraded(facts, trouble.as_ref()),
            ]
        }
    };
    list.extend(route::finding(&facts.shadow.spec, facts.owner, facts.observed));
    if facts.owner.paused {
        list.push(Finding::new(types::PAUSED, true, reasons::PAUSED, PAUSED));
    }
    list
}

const PAUSED: &str = "the annotation atelier.dev/paused is \"true\": no requests are copied, and nothing is decided";

/// What was said when the comparison ended stays said.
fn over(before: &ShadowDeploymentStatus) -> Vec<Finding> {
    let kinds = [types::COMPLETE, types::READY, types::PROGRESSING, types::DEGRADED];
    let known = kinds.into_iter().filter_map(|kind| {
        let known = conditions::find(&before.conditions, kind)?;
        Some(Finding::new(
            kind,
            known.status == "True",
            known.reason.clone(),
            known.message.clone(),
        ))
    });
    known.collect()
}

/// Nothing goes on, because of a trouble.
fn stopped(trouble: &Trouble) -> Vec<Finding> {
    let Trouble { reason, message } = trouble;
    let is_patient = [reasons::MODEL_NOT_READY, reasons::PAUSED].contains(&reason.as_str());
    let degraded = match is_patient {
        true => as_expected(),
        false => Finding::new(types::DEGRADED, true, reason, message),
    };
    vec![
        Finding::new(types::READY, false, reason, message),
        Finding::new(types::PROGRESSING, reason == reasons::MODEL_NOT_READY, reason, message),
        Finding::new(types::COMPLETE, false, reason, "there is no verdict yet"),
        degraded,
    ]
}

fn unwritten(facts: &Facts<'_>) -> Trouble {
    let waits = || {
        Trouble::new(
            reasons::API_ERROR,
            "there is a verdict, and its report is not written yet",
        )
    };
    facts.failure.cloned().unwrap_or_else(waits)
}

fn degraded(facts: &Facts<'_>, trouble: Option<&Trouble>) -> Finding {
    if let Some(trouble) = trouble {
        return Finding::new(types::DEGRADED, true, &trouble.reason, &trouble.message);
    }
    let retention = facts.shadow.spec.retention.as_ref();
    let wants_words = retention.is_some_and(|retention| retention.content.is_some());
    if wants_words && facts.evidence.is_some_and(|evidence| !evidence.keeps_words) {
        let message = "spec.retention.content: the gateway keeps no words, for it has no key-encryption keys to encrypt them \
                       with, or no audit trail to tell who reads them; the chart's values audit.content.mode: encrypted \
                       and audit.content.keysSecret set both up. Numbers are kept all the same";
        return Finding::new(types::DEGRADED, true, reasons::WORDS_NOT_KEPT, message);
    }
    let too_small = facts.evidence.map_or(&[][..], |evidence| &evidence.too_small);
    match too_small.is_empty() {
        true => as_expected(),
        false => {
            let message = format!(
                "{}: the verdict will rather be Inconclusive. Raise spec.stop.maxPairs, or create another ShadowDeployment \
                 with a wider margin",
                too_small.join("; ")
            );
            Finding::new(types::DEGRADED, true, reasons::MARGIN_TOO_SMALL, message)
        }
    }
}

fn as_expected() -> Finding {
    Finding::new(types::DEGRADED, Status::False, reasons::AS_EXPECTED, "")
}
