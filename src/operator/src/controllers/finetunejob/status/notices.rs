//! Events: one on each transition.

use api::{
    FineTuneJobStatus,
    conditions::{self, types},
    reasons,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::{controllers::common::notices::transitions, events::Notice};

/// What is worth telling about the change from one status to the next.
pub fn notices(before: &FineTuneJobStatus, after: &FineTuneJobStatus) -> Vec<Notice> {
    let types = [
        (types::COMPLETE, "Train"),
        (types::PROGRESSING, "Train"),
        (types::DEGRADED, "Train"),
        (types::PAUSED, "Pause"),
    ];
    let failed = conditions::find(&after.conditions, types::FAILED);
    let degraded = conditions::find(&after.conditions, types::DEGRADED);
    let is_warning = |told: &Condition| {
        let mut wrong = [failed, degraded].into_iter().flatten();
        wrong.any(|it| it.status == "True" && it.reason == told.reason)
    };
    let quiet = [reasons::UP_TO_DATE, reasons::AS_EXPECTED];
    transitions(&before.conditions, &after.conditions, &types, &quiet, is_warning)
}
