//! A bounded cache whose entries expire, and which asks once however many wait for the answer.

use std::{
    collections::HashMap,
    future::Future,
    hash::Hash,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture, future::Shared};
use prometheus::IntCounterVec;
use tokio::time::{Instant, timeout};

/// The authority behind the cache could not be asked. Never cached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// An answer and how long it may be believed.
pub type Answer<V> = Result<(V, Duration), Unavailable>;

type Pending<V> = Shared<BoxFuture<'static, Result<V, Unavailable>>>;

/// How long an answer that has expired still counts while the authority cannot be asked.
pub const KEPT_IN_OUTAGE: Duration = Duration::from_secs(300);
/// How long the authority may take before an expired answer is used instead.
const PATIENCE: Duration = Duration::from_secs(1);
/// After a failure to ask, when to ask again.
const RECHECK: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct Known<V> {
    value: V,
    asked: Instant,
    expires: Instant,
}

enum Slot<V: Clone> {
    Known(Known<V>),
    /// Being asked, by the number of the question, and what was known before.
    Asked(u64, Pending<V>, Option<Known<V>>),
}

struct Inner<K, V: Clone> {
    slots: Mutex<HashMap<K, Slot<V>>>,
    questions: AtomicU64,
    capacity: usize,
}

/// Cache of answers from an authority (the Kubernetes API server).
///
/// Answers count from the moment the question was asked, and are not used beyond their time to live
/// unless the authority fails to answer: then for [`KEPT_IN_OUTAGE`]. Concurrent questions with one
/// key are asked once; that asking goes on when the callers leave, so that one impatient client
/// cannot fail the others.
pub struct Cache<K, V: Clone> {
    inner: Arc<Inner<K, V>>,
    lookups: IntCounterVec,
    name: &'static str,
}

impl<K, V> Cache<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// An empty cache of at most `capacity` entries. `lookups` counts by the labels `cache` (the
    /// `name`) and `result` (`hit`, `miss`, `shared`, and `outage` for an expired answer).
    pub fn new(name: &'static str, capacity: usize, lookups: IntCounterVec) -> Self {
        let inner = Inner {
            slots: Mutex::new(HashMap::new()),
            questions: AtomicU64::new(0),
            capacity,
        };
        Self {
            inner: Arc::new(inner),
            lookups,
            name,
        }
    }

    /// The cached answer for `key`, or that of `ask`.
    ///
    /// # Errors
    /// When the authority cannot be asked and no answer is kept.
    pub async fn get<F>(&self, key: K, ask: impl FnOnce() -> F) -> Result<V, Unavailable>
    where
        F: Future<Output = Answer<V>> + Send + 'static,
    {
        let (pending, before, result) = {
            let mut slots = self.inner.lock();
            let now = Instant::now();
            let before = match slots.get(&key) {
                Some(Slot::Known(known)) if now < known.expires => {
                    let value = known.value.clone();
                    drop(slots);
                    self.count("hit");
                    return Ok(value);
                }
                Some(Slot::Known(known)) => Some(known.clone()),
                Some(Slot::Asked(_, _, before)) => before.clone(),
                None => None,
            };
            let before = before.filter(|known| now < known.asked + KEPT_IN_OUTAGE);
            match slots.get(&key) {
                Some(Slot::Asked(_, pending, _)) => (pending.clone(), before, "shared"),
                _ => {
                    let question = self.inner.questions.fetch_add(1, Ordering::Relaxed);
                    let pending = self.inner.ask(key.clone(), question, ask());
                    make_room(&mut slots, self.inner.capacity);
                    slots.insert(key, Slot::Asked(question, pending.clone(), before.clone()));
                    (pending, before, "miss")
                }
            }
        };
        self.count(result);
        let Some(before) = before else {
            return pending.await;
        };
        match timeout(PATIENCE, pending).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) | Err(_) => {
                self.count("outage");
                Ok(before.value)
            }
        }
    }

    /// Forgets the answer for `key` if it turned out to be wrong.
    pub fn forget_if(&self, key: &K, is_wrong: impl FnOnce(&V) -> bool) {
        let mut slots = self.inner.lock();
        if let Some(Slot::Known(known)) = slots.get(key)
            && is_wrong(&known.value)
        {
            slots.remove(key);
        }
    }

    /// Forgets the answers for such keys, also those that are on their way: whoever waits for one gets it, and nobody
    /// after them.
    pub fn forget_where(&self, is_meant: impl Fn(&K) -> bool) {
        self.inner.lock().retain(|key, _| !is_meant(key));
    }

    fn count(&self, result: &str) {
        self.lookups.with_label_values(&[self.name, result]).inc();
    }
}

impl<K, V> Inner<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Slot<V>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts asking in a task of its own. The task stores the answer; it can only do so after the
    /// caller, who holds the lock, has stored the question.
    fn ask(
        self: &Arc<Self>,
        key: K,
        question: u64,
        asking: impl Future<Output = Answer<V>> + Send + 'static,
    ) -> Pending<V> {
        let inner = Arc::clone(self);
        let asked = Instant::now();
        let task = tokio::spawn(async move {
            // A panic must not leave the question in the map for ever.
            let answer = std::panic::AssertUnwindSafe(asking)
                .catch_unwind()
                .await
                .unwrap_or_else(|_| Err(Unavailable("the question panicked".into())));
            let mut slots = inner.lock();
            let is_wanted = matches!(slots.get(&key), Some(Slot::Asked(asked, ..)) if *asked == question);
            match answer {
                Ok((value, _)) if !is_wanted => Ok(value),
                Err(error) if !is_wanted => Err(error),
                Ok((value, ttl)) => {
                    let known = Known {
                        value: value.clone(),
                        asked,
                        expires: asked + ttl,
                    };
                    slots.insert(key, Slot::Known(known));
                    Ok(value)
                }
                Err(error) => {
                    if let Some(Slot::Asked(_, _, Some(before))) = slots.remove(&key) {
                        let expires = (Instant::now() + RECHECK).min(before.asked + KEPT_IN_OUTAGE);
                        slots.insert(key, Slot::Known(Known { expires, ..before }));
                    }
                    Err(error)
                }
            }
        });
        task.map(|joined| joined.unwrap_or_else(|error| Err(Unavailable(error.to_string()))))
            .boxed()
            .shared()
    }
}

/// Makes room for one more entry: first what has expired, then of a few entries the one that expires
/// first. Short-lived refusals thus make way before long-lived permissions do.
fn make_room<K: Clone + Eq + Hash, V: Clone>(slots: &mut HashMap<K, Slot<V>>, capacity: usize) {
    if slots.len() < capacity {
        return;
    }
    let now = Instant::now();
    slots.retain(|_, slot| match slot {
        Slot::Known(known) => now < known.expires,
        Slot::Asked(..) => true,
    });
    while slots.len() >= capacity {
        let victim = slots
            .iter()
            .filter_map(|(key, slot)| match slot {
                Slot::Known(known) => Some((known.expires, key)),
                Slot::Asked(..) => None,
            })
            .take(16)
            .min_by_key(|(expires, _)| *expires)
            .map(|(_, key)| key.clone());
        match victim {
            Some(key) => slots.remove(&key),
            None => return,
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use prometheus::Opts;
    use tokio::{sync::Notify, time};

    use super::*;

    const TTL: Duration = Duration::from_secs(10);

    fn cache(capacity: usize) -> Cache<u32, u32> {
        let lookups = IntCounterVec::new(Opts::new("lookups", "Lookups."), &["cache", "result"]).unwrap();
        Cache::new("test", capacity, lookups)
    }

    async fn ask(cache: &Cache<u32, u32>, key: u32, count: &Arc<AtomicUsize>) -> u32 {
        let count = Arc::clone(count);
        cache
            .get(key, || async move {
                Ok((count.fetch_add(1, Ordering::Relaxed) as u32, TTL))
            })
            .await
            .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn answers_are_kept_until_they_expire() {
        let (cache, count) = (cache(8), Arc::new(AtomicUsize::new(0)));
        assert_eq!(ask(&cache, 1, &count).await, 0);
        time::advance(TTL - Duration::from_millis(1)).await;
        assert_eq!(ask(&cache, 1, &count).await, 0);
        time::advance(Duration::from_millis(1)).await;
        assert_eq!(ask(&cache, 1, &count).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn time_spent_asking_counts() {
        let cache = cache(8);
        let slow = || async {
            time::sleep(TTL).await;
            Ok((7, TTL))
        };
        assert_eq!(cache.get(1, slow).await, Ok(7));
        assert_eq!(cache.get(1, || async { Ok((8, TTL)) }).await, Ok(8));
    }

    #[tokio::test]
    async fn concurrent_questions_are_asked_once_and_outlive_the_asker() {
        let (cache, asked, gate) = (
            Arc::new(cache(8)),
            Arc::new(AtomicUsize::new(0)),
            Arc::new(Notify::new()),
        );
        let question = || {
            let (cache, asked, gate) = (cache.clone(), asked.clone(), gate.clone());
            async move {
                let ask = || async move {
                    asked.fetch_add(1, Ordering::Relaxed);
                    gate.notified().await;
                    Ok((5, TTL))
                };
                cache.get(1, ask).await
            }
        };
        let impatient = tokio::spawn(question());
        while asked.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        let patient = tokio::spawn(question());
        impatient.abort();
        assert!(impatient.await.unwrap_err().is_cancelled());
        gate.notify_one();
        assert_eq!(patient.await.unwrap(), Ok(5));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn an_answer_that_was_forgotten_on_its_way_is_not_kept() {
        let (cache, gate) = (Arc::new(cache(8)), Arc::new(Notify::new()));
        let asking = {
            let (cache, gate) = (cache.clone(), gate.clone());
            tokio::spawn(async move {
                let ask = || async move {
                    gate.notified().await;
                    Ok((5, TTL))
                };
                cache.get(1, ask).await
            })
        };
        while cache.inner.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        cache.forget_where(|key| *key == 1);
        assert_eq!(cache.get(1, || async { Ok((6, TTL)) }).await, Ok(6));
        gate.notify_one();
        assert_eq!(asking.await.unwrap(), Ok(5), "who has waited is answered");
        assert_eq!(cache.get(1, || async { Ok((7, TTL)) }).await, Ok(6));
        cache.forget_where(|key| *key == 2);
        assert_eq!(cache.get(1, || async { Ok((7, TTL)) }).await, Ok(6));
    }

    #[tokio::test]
    async fn failures_are_not_kept() {
        let cache = cache(8);
        let down = Unavailable("down".into());
        let error = down.clone();
        assert_eq!(cache.get(1, || async { Err(error) }).await, Err(down));
        let panicked = cache.get(1, || async { panic!("boom") }).await;
        assert!(panicked.is_err());
        assert_eq!(cache.get(1, || async { Ok((2, TTL)) }).await, Ok(2));
    }

    #[tokio::test(start_paused = true)]
    async fn in_an_outage_the_last_answer_stands_for_a_while() {
        let cache = cache(8);
        let down = || async { Err(Unavailable("down".into())) };
        let started = Instant::now();
        assert_eq!(cache.get(1, || async { Ok((7, TTL)) }).await, Ok(7));
        while started.elapsed() < KEPT_IN_OUTAGE {
            assert_eq!(cache.get(1, down).await, Ok(7), "after {:?}", started.elapsed());
            time::advance(Duration::from_secs(7)).await;
        }
        assert_eq!(cache.get(1, down).await, Err(Unavailable("down".into())));
        assert_eq!(cache.get(1, || async { Ok((8, TTL)) }).await, Ok(8));
    }

    #[tokio::test(start_paused = true)]
    async fn the_outage_over_the_answer_is_asked_for_again() {
        let cache = cache(8);
        assert_eq!(cache.get(1, || async { Ok((7, TTL)) }).await, Ok(7));
        time::advance(TTL).await;
        assert_eq!(cache.get(1, || async { Err(Unavailable("down".into())) }).await, Ok(7));
        time::advance(RECHECK).await;
        assert_eq!(cache.get(1, || async { Ok((8, TTL)) }).await, Ok(8));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_authority_delays_a_known_answer_only_a_little() {
        let cache = cache(8);
        assert_eq!(cache.get(1, || async { Ok((7, TTL)) }).await, Ok(7));
        time::advance(TTL).await;
        let slow = || async {
            time::sleep(TTL / 2).await;
            Ok((8, TTL))
        };
        let started = Instant::now();
        assert_eq!(cache.get(1, slow).await, Ok(7));
        assert_eq!(started.elapsed(), PATIENCE);
        time::sleep(TTL / 2).await;
        assert_eq!(cache.get(1, slow).await, Ok(8), "the late answer counts");
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_entries_is_bounded_and_short_lived_ones_go_first() {
        let cache = cache(4);
        assert_eq!(cache.get(0, || async { Ok((0, TTL)) }).await, Ok(0));
        for key in 1..100 {
            assert_eq!(cache.get(key, || async move { Ok((key, TTL / 10)) }).await, Ok(key));
            assert!(cache.inner.lock().len() <= 4);
        }
        assert_eq!(
            cache.get(0, || async { Ok((1, TTL)) }).await,
            Ok(0),
            "evicted by short-lived entries"
        );
    }
}
