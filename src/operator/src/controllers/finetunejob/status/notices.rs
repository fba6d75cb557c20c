//! Events: one on each transition.

use api::{
    FineTuneJobStatus,
    conditions::{self, types},
    reasons,
};

use crate::events::Notice;

/// What is worth telling about the change from one status to the next.
pub fn notices(before: &FineTuneJobStatus, after: &FineTuneJobStatus) -> Vec<Notice> {
    let mut notices: Vec<Notice> = Vec::new();
    for (type_, action) in [
        (types::COMPLETE, "Train"),
        (types::PROGRESSING, "Train"),
        (types::DEGRADED, "Train"),
        (types::PAUSED, "Pause"),
    ] {
        let (Some(now), then) = (
            conditions::find(&after.conditions, type_),
            conditions::find(&before.conditions, type_),
        ) else {
            continue;
        };
        let is_news = then.is_none_or(|then| (&then.status, &then.reason) != (&now.status, &now.reason));
        let is_told = notices.iter().any(|notice| notice.reason == now.reason);
        let is_quiet = [reasons::UP_TO_DATE, reasons::AS_EXPECTED].contains(&now.reason.as_str());
        if is_news && !is_told && !is_quiet {
            let failed = conditions::find(&after.conditions, types::FAILED);
            let degraded = conditions::find(&after.conditions, types::DEGRADED);
            let wrong = [failed, degraded].into_iter().flatten();
            notices.push(Notice {
                warning: wrong.clone().any(|it| it.status == "True" && it.reason == now.reason),
                reason: now.reason.clone(),
                action,
                note: now.message.clone(),
            });
        }
    }
    notices
}
