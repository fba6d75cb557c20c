//! Events: one on each transition.

use api::{LlmModelStatus, conditions::types, llmmodel::CanaryStatus, reasons};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::{controllers::common::notices::transitions, events::Notice};

/// Reasons to be not ready that come by themselves and go by themselves.
const ON_THE_WAY: [&str; 8] = [
    reasons::ADAPTERS_LOADING,
    reasons::EVALUATING,
    reasons::PREPARING,
    reasons::ROLLING_OUT,
    reasons::REPLICAS_NOT_READY,
    reasons::ROUTE_PENDING,
    reasons::PAUSED,
    reasons::SHADOWING,
];

/// What is worth telling about the change from one status to the next.
pub fn notices(before: &LlmModelStatus, after: &LlmModelStatus) -> Vec<Notice> {
    let types = [
        (types::READY, "Serve"),
        (types::PROGRESSING, "RollOut"),
        (types::ADAPTERS_READY, "LoadAdapters"),
        (types::ROUTE_ACCEPTED, "Route"),
        (types::PAUSED, "Pause"),
    ];
    // Each step of a canary is told below.
    let quiet = [reasons::UP_TO_DATE, reasons::CANARY];
    let mut notices = transitions(&before.conditions, &after.conditions, &types, &quiet, is_bad);
    notices.extend(canary(before, after));
    notices.extend(memory(before, after));
    notices
}

/// Each step of a canary.
fn canary(before: &LlmModelStatus, after: &LlmModelStatus) -> Option<Notice> {
    let now = after.canary.as_ref()?;
    let step = |canary: &CanaryStatus| (canary.version.clone(), canary.step);
    let is_news = before.canary.as_ref().map(step) != Some(step(now));
    is_news.then(|| Notice {
        warning: false,
        reason: reasons::CANARY.into(),
        action: "RollOut",
        note: format!(
            "step {}: version {} gets {} % of the traffic",
            now.step, now.version, now.weight
        ),
    })
}

/// Replicas that get more memory than was estimated.
fn memory<'a>(before: &'a LlmModelStatus, after: &'a LlmModelStatus) -> impl Iterator<Item = Notice> + 'a {
    after.versions.iter().filter_map(|version| {
        let then = before.versions.iter().find(|then| then.name == version.name);
        let bytes = version
            .memory
            .filter(|bytes| then.and_then(|then| then.memory) != Some(*bytes))?;
        let memory = format!("{}Mi", bytes / (1 << 20));
        Some(Notice {
            warning: true,
            reason: reasons::MEMORY_RAISED.into(),
            action: "Resize",
            note: format!(
                "replicas of version {} needed more memory than was estimated and get {memory} now; set \
                 spec.resources.memory to {memory} to give it to new ones from the start",
                version.name
            ),
        })
    })
}

fn is_bad(condition: &Condition) -> bool {
    condition.status == "False" && !ON_THE_WAY.contains(&condition.reason.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn status(conditions: Value) -> LlmModelStatus {
        serde_json::from_value(json!({"conditions": conditions})).unwrap()
    }

    fn condition(type_: &str, status: &str, reason: &str) -> Value {
        json!({"type": type_, "status": status, "reason": reason, "message": "text", "lastTransitionTime": "2026-01-01T00:00:00Z"})
    }

    #[test]
    fn only_transitions_are_told_and_each_once() {
        let preparing = status(json!([
            condition("Ready", "False", "Preparing"),
            condition("Progressing", "True", "Preparing"),
        ]));
        let told = notices(&LlmModelStatus::default(), &preparing);
        assert_eq!(told.len(), 1);
        assert!(!told[0].warning);
        assert!(notices(&preparing, &preparing).is_empty());

        let failed = status(json!([
            condition("Ready", "False", "DigestMismatch"),
            condition("Progressing", "False", "DigestMismatch"),
        ]));
        let told = notices(&preparing, &failed);
        assert_eq!((told.len(), told[0].warning), (1, true));
    }
}
