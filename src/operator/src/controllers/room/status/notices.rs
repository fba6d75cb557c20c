//! Events: one on each transition.

use api::{RoomStatus, conditions::types, reasons};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::{controllers::common::notices::transitions, events::Notice};

/// Reasons to be not ready that come by themselves and go by themselves.
const ON_THE_WAY: [&str; 6] = [
    reasons::NOTHING_INDEXED,
    reasons::NO_SOURCES,
    reasons::SYNCING,
    reasons::NOT_TESTED,
    reasons::PURGING,
    reasons::PAUSED,
];

/// What is worth telling about the change from one status to the next.
pub fn notices(before: &RoomStatus, after: &RoomStatus) -> Vec<Notice> {
    let types = [
        (types::READY, "Open"),
        (types::SYNCED, "Sync"),
        (types::ACCESS_SYNCED, "SyncAccess"),
        (types::RED_TEAM_PASSED, "Test"),
        (types::PAUSED, "Pause"),
    ];
    let quiet = [reasons::ACCESS_SYNCED];
    let is_warning = |told: &Condition| told.status == "False" && !ON_THE_WAY.contains(&told.reason.as_str());
    transitions(&before.conditions, &after.conditions, &types, &quiet, is_warning)
}
