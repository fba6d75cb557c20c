//! What the engine is doing, readable at any time from any thread.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// What the engine is doing, readable at any time.
#[derive(Debug, Default)]
pub struct Gauges {
    admitted: AtomicUsize,
    running: AtomicUsize,
    cached_tokens: AtomicUsize,
    cache_room: AtomicUsize,
    preemptions: AtomicUsize,
    stopped: AtomicBool,
}

impl Gauges {
    /// Requests being computed.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// Requests that wait for their turn.
    pub fn waiting(&self) -> usize {
        self.admitted.load(Ordering::Relaxed).saturating_sub(self.running())
    }

    /// Tokens whose keys and values are held for requests being computed.
    pub fn cached_tokens(&self) -> usize {
        self.cached_tokens.load(Ordering::Relaxed)
    }

    /// Tokens whose keys and values there is room for.
    pub fn cache_room(&self) -> usize {
        self.cache_room.load(Ordering::Relaxed)
    }

    /// How often a request gave its share of the cache back, to be computed again later.
    pub fn preemptions(&self) -> usize {
        self.preemptions.load(Ordering::Relaxed)
    }

    /// Whether the engine thread has ended: nothing will be answered any more.
    pub fn has_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Says what the engine holds after a pass.
    pub(crate) fn report(&self, running: usize, cached_tokens: usize, cache_room: usize) {
        self.cache_room.store(cache_room, Ordering::Relaxed);
        self.running.store(running, Ordering::Relaxed);
        self.cached_tokens.store(cached_tokens, Ordering::Relaxed);
    }
}

/// A request's place among those that the engine has taken; free again when it is dropped.
pub(crate) struct Place(Arc<Gauges>);

impl Place {
    /// A place among at most `most`, if there is one left.
    pub fn take(gauges: &Arc<Gauges>, most: usize) -> Option<Self> {
        let one_more = |admitted| (admitted < most).then_some(admitted + 1);
        let taken = gauges
            .admitted
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        taken.ok().map(|_| Self(gauges.clone()))
    }

    /// Counts that the request gave its share of the cache back.
    pub fn preempted(&self) {
        self.0.preemptions.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.admitted.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Says that the engine thread has ended, however it ended, when it is dropped.
pub(crate) struct StopMark(pub Arc<Gauges>);

impl Drop for StopMark {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_and_come_back() {
        let gauges = Arc::new(Gauges::default());
        let first = Place::take(&gauges, 2);
        let second = Place::take(&gauges, 2);
        assert!(first.is_some() && second.is_some() && Place::take(&gauges, 2).is_none());
        gauges.report(1, 5, 9);
        assert_eq!((gauges.running(), gauges.waiting()), (1, 1));
        assert_eq!((gauges.cached_tokens(), gauges.cache_room()), (5, 9));
        first.iter().for_each(Place::preempted);
        drop((first, second));
        assert_eq!((gauges.waiting(), gauges.preemptions()), (0, 1));
    }
}
