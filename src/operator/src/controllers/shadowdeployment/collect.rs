//! Reads what the gateway has measured since the last look, and keeps what it says.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::sync::Mutex;

use super::{
    decide,
    evidence::Evidence,
    run::Run,
    validate::{Owner, Wanted},
};
use crate::{gateway_call::CallError, shadow_pairs::ShadowPairs};

/// Pages of pairs in one pass: others wait for their turn meanwhile.
const PAGES: usize = 50;
/// Least time between two looks, and so between two writes of numbers.
const PAUSE: Duration = Duration::from_secs(4);

/// A comparison, and when the gateway was asked last.
struct Kept {
    run: Run,
    asked: Option<Instant>,
}

type Key = (String, String);
/// A uid, and what is kept of it.
type Known = (String, Arc<Mutex<Option<Kept>>>);

/// The comparisons under way, by namespace and name: the uid tells whose they are.
#[derive(Default)]
pub struct Runs(StdMutex<HashMap<Key, Known>>);

/// What a look has brought.
#[derive(Clone, Debug)]
pub struct Look {
    /// What all pairs say; none while not all have been read.
    pub evidence: Option<Evidence>,
    /// Whether the gateway has more to tell at once.
    pub more: bool,
    /// Why it does not tell.
    pub silence: Option<String>,
}

impl Runs {
    /// Forgets a comparison.
    pub fn forget(&self, owner: &Owner) {
        self.forget_named(&owner.namespace, &owner.name);
    }

    /// Forgets a comparison by the name of its ShadowDeployment.
    pub fn forget_named(&self, namespace: &str, name: &str) {
        self.lock().remove(&(namespace.to_owned(), name.to_owned()));
    }

    /// Reads on where the last look has stopped, or from the first pair on.
    pub async fn look(
        &self,
        pairs: &ShadowPairs,
        owner: &Owner,
        wanted: &Wanted,
        started: Option<Timestamp>,
        now: Timestamp,
    ) -> Look {
        let kept = self.kept(owner);
        let mut kept = kept.lock().await;
        let is_same = kept.as_ref().is_some_and(|kept| kept.run.key == wanted.key);
        if !is_same {
            *kept = None;
        }
        let kept = kept.get_or_insert_with(|| Kept {
            run: Run::new(wanted),
            asked: None,
        });
        let is_due = kept.asked.is_none_or(|asked| asked.elapsed() >= PAUSE);
        let (more, silence) = match is_due {
            false => (false, None),
            true => match read(pairs, owner, &mut kept.run, wanted.deadline(started)).await {
                Ok(more) => {
                    kept.asked = (!more).then(Instant::now);
                    (more, None)
                }
                Err(error) => (false, Some(error.to_string())),
            },
        };
        if more || silence.is_some() {
            return Look {
                evidence: None,
                more,
                silence,
            };
        }
        let evidence = kept.run.evidence(None);
        let end = decide::end(wanted, &evidence, started, now);
        Look {
            evidence: Some(end.map_or(evidence, |end| kept.run.evidence(Some(end)))),
            more,
            silence,
        }
    }

    fn kept(&self, owner: &Owner) -> Arc<Mutex<Option<Kept>>> {
        let mut all = self.lock();
        let key = (owner.namespace.clone(), owner.name.clone());
        let known = all.get(&key).filter(|(uid, _)| *uid == owner.uid);
        if let Some((_, kept)) = known {
            return kept.clone();
        }
        let kept = Arc::new(Mutex::new(None));
        all.insert(key, (owner.uid.clone(), kept.clone()));
        kept
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads pages; whether there are more.
async fn read(
    pairs: &ShadowPairs,
    owner: &Owner,
    run: &mut Run,
    deadline: Option<Timestamp>,
) -> Result<bool, CallError> {
    for _ in 0..PAGES {
        let before = run.after;
        let page = pairs.after(&owner.namespace, &owner.name, &owner.uid, before).await?;
        run.take(&page, deadline);
        // A gateway that promises more and gives nothing would be asked for ever.
        if !page.more || run.after == before || run.is_decided() {
            return Ok(false);
        }
    }
    Ok(true)
}
