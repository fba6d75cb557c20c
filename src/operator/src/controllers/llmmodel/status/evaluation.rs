//! What is said of the evaluation of the wanted version.

use api::{
    conditions::{Finding, types},
    reasons,
};

use super::Facts;
use crate::controllers::llmmodel::{plan::Target, version::Version};

/// Whether it has passed; nothing where the spec asks for no evaluation.
pub fn finding(facts: &Facts<'_>) -> Option<Finding> {
    let finding = |status: bool, reason: &str, message: String| Finding::new(types::EVALUATED, status, reason, message);
    facts.suites.first()?;
    match &facts.plan.target {
        Target::Known(version) => {
            // What serves, or was named, may never have been asked.
            let evaluation = facts.observed.version(&version.name)?.evaluation?;
            let scores = evaluation.report.suites.iter();
            let scores: Vec<_> = scores.map(|score| format!("{} {}", score.suite, score.score)).collect();
            Some(finding(true, reasons::EVALUATED, scores.join(", ")))
        }
        Target::Evaluating(_, Some(trouble)) => Some(finding(false, &trouble.reason, trouble.message.clone())),
        Target::Evaluating(version, None) => Some(finding(false, reasons::EVALUATING, asking(facts, version))),
        Target::Refused(trouble) => {
            facts.plan.refused.as_ref()?;
            Some(finding(false, &trouble.reason, trouble.message.clone()))
        }
        Target::Preparing(_) => None,
    }
}

/// What goes on.
pub fn asking(facts: &Facts<'_>, version: &Version) -> String {
    let suites: Vec<_> = facts.suites.iter().map(|suite| suite.name.as_str()).collect();
    format!("version {} is evaluated on {}", version.name, suites.join(", "))
}
