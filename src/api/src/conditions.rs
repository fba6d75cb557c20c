//! Conditions: merging what is true now with what was true before.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Longest message the API server accepts, in bytes.
const MESSAGE_MAX: usize = 32768;

/// The condition types of all kinds.
pub mod types {
    /// The object does what its spec asks for.
    pub const READY: &str = "Ready";
    /// The weights of the wanted version are complete and verified.
    pub const WEIGHTS_READY: &str = "WeightsReady";
    /// The weights of the wanted version were compressed within the allowed loss.
    pub const COMPRESSED: &str = "Compressed";
    /// The wanted version passed its evaluation.
    pub const EVALUATED: &str = "Evaluated";
    /// Every pod that answers requests has all adapters of the spec.
    pub const ADAPTERS_READY: &str = "AdaptersReady";
    /// Every Gateway that `spec.route` names leads requests to the model.
    pub const ROUTE_ACCEPTED: &str = "RouteAccepted";
    /// Some version answers requests.
    pub const SERVING: &str = "Serving";
    /// The operator is bringing a change about.
    pub const PROGRESSING: &str = "Progressing";
    /// Something is wrong, even if requests are answered.
    pub const DEGRADED: &str = "Degraded";
    /// Requests or answers have moved away from the reference.
    pub const DRIFTED: &str = "Drifted";
    /// The operator leaves the children alone because of the `atelier.dev/paused` annotation.
    pub const PAUSED: &str = "Paused";
    /// The sources were read and indexed.
    pub const SYNCED: &str = "Synced";
    /// Access rights of the sources were taken over.
    pub const ACCESS_SYNCED: &str = "AccessSynced";
    /// The last adversarial test run found no leak.
    pub const RED_TEAM_PASSED: &str = "RedTeamPassed";
    /// The object reached its end successfully.
    pub const COMPLETE: &str = "Complete";
    /// The object reached its end without success.
    pub const FAILED: &str = "Failed";
}

/// The truth value of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nothing is known yet.
    Unknown,
}

impl Status {
    /// As it is written in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Status {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// A condition before it is merged: what is true, without history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// One of [`types`].
    pub type_: &'static str,
    /// Whether it holds.
    pub status: Status,
    /// One of [`crate::reasons`], or the reason of a prepare report.
    pub reason: String,
    /// What is going on, where, and what to do about it.
    pub message: String,
}

impl Finding {
    /// A finding; `reason` is CamelCase.
    pub fn new(
        type_: &'static str,
        status: impl Into<Status>,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            type_,
            status: status.into(),
            reason: reason.into(),
            message: message.into(),
        }
    }
}

/// Sets one condition, keeping the list sorted by type.
///
/// `lastTransitionTime` is kept unless the status flips, so that an unchanged finding changes nothing
/// and nothing is written. `generation` is the `metadata.generation` the finding was computed from.
pub fn upsert(conditions: &mut Vec<Condition>, finding: Finding, generation: Option<i64>, now: &Time) {
    let status = finding.status.as_str();
    let position = conditions.iter().position(|old| old.type_ == finding.type_);
    let last_transition_time = position
        .map(|index| &conditions[index])
        .filter(|old| old.status == status)
        .map_or_else(|| now.clone(), |old| old.last_transition_time.clone());
    let condition = Condition {
        type_: finding.type_.into(),
        status: status.into(),
        reason: finding.reason,
        message: cut(finding.message),
        observed_generation: generation,
        last_transition_time,
    };
    match position {
        Some(index) => conditions[index] = condition,
        None => conditions.push(condition),
    }
    conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
}

/// The conditions that follow from the findings: those of `previous` that no finding speaks of are
/// dropped. See [`upsert`] for what is kept.
pub fn merge(
    previous: &[Condition],
    findings: impl IntoIterator<Item = Finding>,
    generation: Option<i64>,
    now: &Time,
) -> Vec<Condition> {
    let mut kept = previous.to_vec();
    let mut named = Vec::new();
    for finding in findings {
        named.push(finding.type_);
        upsert(&mut kept, finding, generation, now);
    }
    kept.retain(|condition| named.contains(&condition.type_.as_str()));
    kept
}

/// Whether two lists say the same, whatever their times and order.
pub fn same(left: &[Condition], right: &[Condition]) -> bool {
    let facts = |conditions: &[Condition]| {
        let mut facts: Vec<_> = conditions
            .iter()
            .map(|c| {
                (
                    c.type_.clone(),
                    c.status.clone(),
                    c.reason.clone(),
                    c.message.clone(),
                    c.observed_generation,
                )
            })
            .collect();
        facts.sort();
        facts
    };
    facts(left) == facts(right)
}

/// The condition of a type.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether the condition of a type exists and its status is `True`.
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|condition| condition.status == Status::True.as_str())
}

fn cut(mut message: String) -> String {
    if message.len() > MESSAGE_MAX {
        message.truncate(message.floor_char_boundary(MESSAGE_MAX - '…'.len_utf8()));
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    fn at(second: i64) -> Time {
        Time(Timestamp::from_second(second).unwrap())
    }

    fn ready(status: bool, reason: &str) -> Finding {
        Finding::new(types::READY, status, reason, "text")
    }

    #[test]
    fn transition_time_moves_only_when_the_status_flips() {
        let mut list = Vec::new();
        upsert(&mut list, ready(false, "Starting"), Some(1), &at(1));
        upsert(&mut list, ready(false, "PullingImage"), Some(2), &at(2));
        assert_eq!(list[0].last_transition_time, at(1));
        assert_eq!(
            (list[0].reason.as_str(), list[0].observed_generation),
            ("PullingImage", Some(2))
        );
        upsert(&mut list, ready(true, "Serving"), Some(2), &at(3));
        assert_eq!(list[0].last_transition_time, at(3));
        assert_eq!(list.len(), 1);
        assert!(is_true(&list, types::READY));
    }

    #[test]
    fn an_unchanged_finding_changes_nothing() {
        let findings = || {
            [
                ready(true, "Serving"),
                Finding::new(types::DEGRADED, false, "AllGood", ""),
            ]
        };
        let first = merge(&[], findings(), Some(1), &at(1));
        let second = merge(&first, findings(), Some(1), &at(9));
        assert_eq!(first, second);
        let order: Vec<_> = first.iter().map(|c| c.type_.as_str()).collect();
        assert_eq!(order, ["Degraded", "Ready"]);
    }

    #[test]
    fn conditions_no_finding_speaks_of_are_dropped() {
        let first = merge(&[], [Finding::new(types::PAUSED, true, "Annotation", "")], None, &at(1));
        assert_eq!(merge(&first, [ready(true, "Serving")], None, &at(2)).len(), 1);
    }

    #[test]
    fn comparison_ignores_times_and_order() {
        let other = || Finding::new(types::DEGRADED, false, "AllGood", "");
        let first = merge(&[], [ready(true, "Serving"), other()], Some(1), &at(1));
        let mut later = merge(&[], [other(), ready(true, "Serving")], Some(1), &at(2));
        later.reverse();
        assert!(same(&first, &later));
        assert!(!same(&first, &merge(&[], [ready(true, "Serving")], Some(1), &at(1))));
        assert!(!same(
            &first,
            &merge(&[], [ready(true, "Serving"), other()], Some(2), &at(1))
        ));
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let mut list = Vec::new();
        let finding = Finding::new(types::READY, Status::Unknown, "X", "é".repeat(MESSAGE_MAX));
        upsert(&mut list, finding, None, &at(1));
        assert!(list[0].message.len() <= MESSAGE_MAX);
        assert!(list[0].message.ends_with('…'));
    }
}
