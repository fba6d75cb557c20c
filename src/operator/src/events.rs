//! Kubernetes Events, one on each transition. They are for people: losing one is no error.

use std::time::Duration;

use api::{LlmModel, names};
use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tokio::time::timeout;

/// What an Event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether something is wrong.
    pub warning: bool,
    /// CamelCase, the reason of the condition that changed.
    pub reason: String,
    /// What the operator was doing, CamelCase.
    pub action: &'static str,
    /// What happened, where, and what to do about it.
    pub note: String,
}

/// Longest call; kube itself sets no limit.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest note that the API server takes, in bytes.
const NOTE_MAX: usize = 1024;

/// Publishes Events; shared, so that repeats become one series.
#[derive(Clone)]
pub struct Events(Recorder);

impl Events {
    /// A publisher for the process `instance`.
    pub fn new(client: Client, instance: String) -> Self {
        let reporter = Reporter {
            controller: names::OPERATOR.into(),
            instance: Some(instance),
        };
        Self(Recorder::new(client, reporter))
    }

    /// Publishes `notice` about `model`; a failure is logged.
    pub async fn publish(&self, model: &LlmModel, notice: &Notice) {
        let event = Event {
            type_: if notice.warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: notice.reason.clone(),
            note: Some(cut(&notice.note).to_owned()),
            action: notice.action.into(),
            secondary: None,
        };
        match timeout(CALL_TIMEOUT, self.0.publish(&event, &model.object_ref(&()))).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(reason = notice.reason, %error, "failed to publish an Event"),
            Err(_) => tracing::warn!(reason = notice.reason, "failed to publish an Event in time"),
        }
    }
}

fn cut(note: &str) -> &str {
    &note[..note.floor_char_boundary(NOTE_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_notes_are_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        let long = "é".repeat(NOTE_MAX);
        assert!(cut(&long).len() <= NOTE_MAX);
    }
}
