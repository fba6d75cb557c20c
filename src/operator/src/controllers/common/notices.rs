//! Events: one on each transition of a condition.

use api::conditions;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::events::Notice;

/// What is worth telling about the change from the conditions `before` to those `after`: of each type in `types`, which
/// come with the action that they tell of, a status or reason that is new. A reason is told once, and those that are
/// `quiet` never; `is_warning` says whether something is wrong.
pub fn transitions(
    before: &[Condition],
    after: &[Condition],
    types: &[(&str, &'static str)],
    quiet: &[&str],
    is_warning: impl Fn(&Condition) -> bool,
) -> Vec<Notice> {
    let mut notices: Vec<Notice> = Vec::new();
    for (type_, action) in types {
        let Some(now) = conditions::find(after, type_) else {
            continue;
        };
        let then = conditions::find(before, type_);
        let is_news = then.is_none_or(|then| (&then.status, &then.reason) != (&now.status, &now.reason));
        let is_told = notices.iter().any(|notice| notice.reason == now.reason);
        if is_news && !is_told && !quiet.contains(&now.reason.as_str()) {
            notices.push(Notice {
                warning: is_warning(now),
                reason: now.reason.clone(),
                action,
                note: now.message.clone(),
            });
        }
    }
    notices
}
