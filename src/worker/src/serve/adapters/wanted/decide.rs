//! What is to be done to have the adapters that are wanted. Pure.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use protocol::{AdapterReport, AdapterState, WantedAdapter};

/// Wait after the first failure; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// What is known of the adapters, by name.
pub type AllKnown = BTreeMap<String, Known>;

/// What is known of one adapter.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// What requests get.
    pub loaded: Option<Loaded>,
    /// What is on its way to replace it.
    pub running: Option<Asked>,
    /// What went wrong last.
    pub failed: Option<Failed>,
}

/// An adapter that requests get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The key that it was wanted with.
    pub key: String,
    /// Its digest.
    pub digest: String,
    /// The commit that it is of.
    pub revision: Option<String>,
}

/// What was asked for: a key, and the digest that it is pinned to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// See [`WantedAdapter::key`].
    pub key: String,
    /// See [`WantedAdapter::digest`].
    pub digest: Option<String>,
}

/// A failure.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Of what.
    pub asked: Asked,
    /// What happened.
    pub message: String,
    /// How often in a row.
    pub times: u32,
    /// When it is tried again.
    pub again: Instant,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Fetch and load an adapter.
    Bring(Box<WantedAdapter>),
    /// Stop fetching for a name: something else is wanted.
    Stop(String),
    /// Unload what has a name.
    Remove(String),
}

impl Asked {
    /// What `wanted` asks for.
    pub fn of(wanted: &WantedAdapter) -> Self {
        Self {
            key: wanted.key.clone(),
            digest: wanted.digest.clone(),
        }
    }
}

impl Known {
    /// Notes how an attempt ended.
    pub fn ended(&mut self, asked: Asked, outcome: Result<Loaded, String>, now: Instant) {
        self.running = None;
        match outcome {
            Ok(loaded) => {
                self.loaded = Some(loaded);
                self.failed = None;
            }
            Err(message) => {
                let before = self.failed.as_ref().filter(|failed| failed.asked == asked);
                let times = before.map_or(0, |failed| failed.times) + 1;
                let wait = FIRST_WAIT.saturating_mul(1 << (times - 1).min(16)).min(LONGEST_WAIT);
                self.failed = Some(Failed {
                    asked,
                    message,
                    times,
                    again: now + wait,
                });
            }
        }
    }

    fn has(&self, wanted: &WantedAdapter) -> bool {
        let fits = |digest: &String| wanted.digest.as_ref().is_none_or(|it| it == digest);
        let loaded = self.loaded.as_ref();
        loaded.is_some_and(|loaded| loaded.key == wanted.key && fits(&loaded.digest))
    }

    fn failure(&self, wanted: &WantedAdapter) -> Option<&Failed> {
        self.failed.as_ref().filter(|failed| failed.asked == Asked::of(wanted))
    }
}

/// What is to be done. There is one attempt for each name at a time.
pub fn steps(wanted: &[WantedAdapter], known: &AllKnown, now: Instant) -> Vec<Step> {
    let mut steps = Vec::new();
    for (name, known) in known {
        let asked = wanted.iter().find(|wanted| wanted.name == *name);
        match (&known.running, asked) {
            (Some(running), Some(asked)) if !known.has(asked) && *running == Asked::of(asked) => {}
            (Some(_), _) => steps.push(Step::Stop(name.clone())),
            (None, None) => steps.push(Step::Remove(name.clone())),
            (None, Some(_)) => {}
        }
    }
    let unknown = Known::default();
    for wanted in wanted {
        let known = known.get(&wanted.name).unwrap_or(&unknown);
        let must_wait = known.failure(wanted).is_some_and(|failed| now < failed.again);
        if known.running.is_none() && !known.has(wanted) && !must_wait {
            steps.push(Step::Bring(Box::new(wanted.clone())));
        }
    }
    steps
}

/// Whether each adapter that is wanted is loaded, or has failed at least once.
pub fn is_settled(wanted: &[WantedAdapter], known: &AllKnown) -> bool {
    wanted.iter().all(|wanted| {
        let known = known.get(&wanted.name);
        known.is_some_and(|known| known.has(wanted) || known.failure(wanted).is_some())
    })
}

/// What is told of the adapters that are wanted. One that failed stays so until it is loaded.
pub fn report(wanted: &[WantedAdapter], known: &AllKnown) -> Vec<AdapterReport> {
    let tell = |wanted: &WantedAdapter| {
        let known = known.get(&wanted.name);
        let loaded = known
            .filter(|known| known.has(wanted))
            .and_then(|known| known.loaded.as_ref());
        let failed = known
            .and_then(|known| known.failure(wanted))
            .filter(|_| loaded.is_none());
        AdapterReport {
            name: wanted.name.clone(),
            key: wanted.key.clone(),
            state: match (loaded, failed) {
                (Some(_), _) => AdapterState::Ready,
                (None, Some(_)) => AdapterState::Failed,
                (None, None) => AdapterState::Loading,
            },
            digest: loaded.map(|loaded| loaded.digest.clone()),
            revision: loaded.and_then(|loaded| loaded.revision.clone()),
            message: failed.map(|failed| failed.message.clone()),
        }
    };
    wanted.iter().map(tell).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted(name: &str, key: &str, digest: Option<&str>) -> WantedAdapter {
        serde_json::from_value(json!({
            "name": name, "key": key, "digest": digest, "source": {"mounted": {"mount": "/m"}},
        }))
        .unwrap()
    }

    fn loaded(key: &str, digest: &str) -> Loaded {
        Loaded {
            key: key.into(),
            digest: digest.into(),
            revision: None,
        }
    }

    fn with(name: &str, key: &str, digest: &str) -> AllKnown {
        let known = Known {
            loaded: Some(loaded(key, digest)),
            ..Known::default()
        };
        [(name.to_owned(), known)].into()
    }

    fn states(wanted: &[WantedAdapter], known: &AllKnown) -> Vec<AdapterState> {
        report(wanted, known).iter().map(|report| report.state).collect()
    }

    #[test]
    fn what_is_missing_is_brought_and_what_is_not_wanted_goes() {
        let (now, a, b) = (Instant::now(), wanted("a", "k1", None), wanted("b", "k2", None));
        let known = with("a", "k1", "d1");
        assert_eq!(
            steps(&[a.clone(), b.clone()], &known, now),
            [Step::Bring(b.clone().into())]
        );
        assert_eq!(steps(std::slice::from_ref(&a), &known, now), []);
        assert_eq!(
            steps(std::slice::from_ref(&b), &known, now),
            [Step::Remove("a".into()), Step::Bring(b.into())]
        );
        // Another source, and another digest of the same one.
        for other in [wanted("a", "k3", None), wanted("a", "k1", Some("d2"))] {
            assert_eq!(
                steps(std::slice::from_ref(&other), &known, now),
                [Step::Bring(other.into())]
            );
        }
        // It is pinned to what it is.
        assert_eq!(steps(&[wanted("a", "k1", Some("d1"))], &known, now), []);
    }

    #[test]
    fn there_is_one_attempt_at_a_time() {
        let now = Instant::now();
        let [old, new] = ["k1", "k2"].map(|key| wanted("a", key, None));
        let mut known = AllKnown::new();
        known.entry("a".into()).or_default().running = Some(Asked::of(&old));
        assert_eq!(steps(std::slice::from_ref(&old), &known, now), []);
        assert_eq!(steps(std::slice::from_ref(&new), &known, now), [Step::Stop("a".into())]);
        assert_eq!(steps(&[], &known, now), [Step::Stop("a".into())]);
        // What is there already is wanted again.
        known.entry("a".into()).or_default().loaded = Some(loaded("k2", "d"));
        assert_eq!(steps(&[new], &known, now), [Step::Stop("a".into())]);
    }

    #[test]
    fn failures_are_told_and_tried_again_later_and_later() {
        let (start, a) = (Instant::now(), wanted("a", "k1", None));
        let all = std::slice::from_ref(&a);
        let mut known = AllKnown::new();
        assert_eq!(
            (states(all, &known), is_settled(all, &known)),
            (vec![AdapterState::Loading], false)
        );
        let mut now = start;
        for wait in [2, 4, 8] {
            known
                .entry("a".into())
                .or_default()
                .ended(Asked::of(&a), Err("why".into()), now);
            assert!(is_settled(all, &known));
            assert_eq!(report(all, &known)[0].message.as_deref(), Some("why"));
            assert_eq!(steps(all, &known, now + Duration::from_secs(wait - 1)), []);
            now += Duration::from_secs(wait);
            assert_eq!(steps(all, &known, now), [Step::Bring(a.clone().into())]);
        }
        // Another source is tried at once, and is no failure yet.
        let other = [wanted("a", "k2", None)];
        assert_eq!(steps(&other, &known, start), [Step::Bring(other[0].clone().into())]);
        assert_eq!(states(&other, &known), [AdapterState::Loading]);
        known
            .entry("a".into())
            .or_default()
            .ended(Asked::of(&a), Ok(loaded("k1", "d")), now);
        assert_eq!(states(all, &known), [AdapterState::Ready]);
        assert_eq!(report(all, &known)[0].message, None);
    }

    #[test]
    fn what_failed_to_replace_an_adapter_is_a_failure_and_the_old_one_stays() {
        let (now, new) = (Instant::now(), wanted("a", "k2", None));
        let mut known = with("a", "k1", "d1");
        known
            .entry("a".into())
            .or_default()
            .ended(Asked::of(&new), Err("why".into()), now);
        let all = std::slice::from_ref(&new);
        assert_eq!(states(all, &known), [AdapterState::Failed]);
        assert_eq!(steps(all, &known, now), []);
        assert_eq!(known["a"].loaded, Some(loaded("k1", "d1")));
    }

    #[test]
    fn waits_have_an_end() {
        let (now, a) = (Instant::now(), wanted("a", "k1", None));
        let mut known = Known::default();
        for _ in 0..100 {
            known.ended(Asked::of(&a), Err(String::new()), now);
        }
        assert_eq!(known.failed.unwrap().again, now + LONGEST_WAIT);
    }
}
