//! Kubernetes Events, one on each transition. They are for people: losing one is no error.
//!
//! Not by kube's recorder: it takes Events that differ in their note only for one, and keeps the first note.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use api::names;
use k8s_openapi::{api::events::v1::Event, apimachinery::pkg::apis::meta::v1::MicroTime, jiff::Timestamp};
use kube::{ResourceExt, api::ObjectMeta};
use serde_json::json;

use crate::cluster::{Cluster, ClusterError, Kind};

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

/// Longest note that the API server takes, in bytes.
const NOTE_MAX: usize = 1024;
/// Repeats within this time become one series.
const SERIES: Duration = Duration::from_secs(360);

/// Publishes Events, repeats of one as a series.
pub struct Events {
    cluster: Cluster,
    instance: String,
    told: Mutex<Told>,
}

impl Events {
    /// A publisher for the process `instance`.
    pub fn new(cluster: Cluster, instance: String) -> Self {
        Self {
            cluster,
            instance,
            told: Mutex::default(),
        }
    }

    /// Publishes `notice` about `object`; a failure is logged.
    pub async fn publish<K: Kind>(&self, object: &K, notice: &Notice) {
        if let Err(error) = self.tell(object, notice).await
            && !error.is_namespace_leaving()
        {
            tracing::warn!(reason = notice.reason, %error, "failed to publish an Event");
        }
    }

    async fn tell<K: Kind>(&self, object: &K, notice: &Notice) -> Result<(), ClusterError> {
        let about = object.uid().unwrap_or_default();
        let namespace = object.namespace().unwrap_or_default();
        let repeated = self.told().again(&about, notice, Instant::now());
        if let Some((name, count)) = repeated {
            let series = json!({"series": {"count": count, "lastObservedTime": MicroTime(Timestamp::now())}});
            let patched = self
                .cluster
                .merge::<Event>(names::OPERATOR, &namespace, &name, &series)
                .await;
            match patched {
                // It was deleted: it is told anew.
                Err(error) if error.status() == Some(404) => {}
                other => return other.map(drop),
            }
        }
        let event = self.event(object, notice);
        self.cluster.create(&event).await?;
        self.told().first(&about, notice, event.name_any(), Instant::now());
        Ok(())
    }

    fn event<K: Kind>(&self, object: &K, notice: &Notice) -> Event {
        let now = Timestamp::now();
        let kind = if notice.warning { "Warning" } else { "Normal" };
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{}.{:x}", object.name_any(), now.as_nanosecond())),
                namespace: object.namespace(),
                ..ObjectMeta::default()
            },
            action: Some(notice.action.into()),
            event_time: Some(MicroTime(now)),
            note: Some(cut(&notice.note).to_owned()),
            reason: Some(notice.reason.clone()),
            regarding: Some(object.object_ref(&())),
            reporting_controller: Some(names::OPERATOR.into()),
            reporting_instance: Some(self.instance.clone()),
            type_: Some(kind.into()),
            ..Event::default()
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was told lately.
#[derive(Debug, Default)]
struct Told(HashMap<(String, String, String), Known>);

#[derive(Debug)]
struct Known {
    name: String,
    count: i32,
    last: Instant,
}

impl Told {
    /// The name of the Event that said the same lately, and how often it was said with this time.
    fn again(&mut self, about: &str, notice: &Notice, now: Instant) -> Option<(String, i32)> {
        self.0
            .retain(|_, known| now.saturating_duration_since(known.last) < SERIES);
        let known = self.0.get_mut(&key(about, notice))?;
        known.count = known.count.saturating_add(1);
        known.last = now;
        Some((known.name.clone(), known.count))
    }

    fn first(&mut self, about: &str, notice: &Notice, name: String, now: Instant) {
        let known = Known {
            name,
            count: 1,
            last: now,
        };
        self.0.insert(key(about, notice), known);
    }
}

fn key(about: &str, notice: &Notice) -> (String, String, String) {
    (about.into(), notice.reason.clone(), notice.note.clone())
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

    #[test]
    fn only_the_same_words_within_a_while_are_a_series() {
        let notice = |note: &str| Notice {
            warning: false,
            reason: "Serving".into(),
            action: "Serve",
            note: note.into(),
        };
        let (mut told, start) = (Told::default(), Instant::now());
        assert_eq!(told.again("uid", &notice("a"), start), None);
        told.first("uid", &notice("a"), "m.1".into(), start);
        assert_eq!(told.again("uid", &notice("a"), start), Some(("m.1".into(), 2)));
        assert_eq!(told.again("uid", &notice("b"), start), None);
        assert_eq!(told.again("other", &notice("a"), start), None);
        assert_eq!(told.again("uid", &notice("a"), start + SERIES), None);
    }
}
