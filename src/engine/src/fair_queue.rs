//! Who is next, when users compete.
//!
//! Each user has a counter of the tokens computed for them; the one with the lowest goes first, and
//! their own requests in order of arrival (the virtual token counter of Sheng et al. 2024,
//! <https://arxiv.org/abs/2401.00588>). A user who comes, or comes back, starts level with the lowest
//! of those who wait: being away saves nothing up.

use std::collections::{HashMap, VecDeque};

/// Requests that wait, by user.
pub(crate) struct FairQueue<T> {
    waiting: HashMap<String, VecDeque<T>>,
    /// Of users who wait, and of others until they fall behind.
    counters: HashMap<String, u64>,
}

impl<T> FairQueue<T> {
    pub fn new() -> Self {
        Self {
            waiting: HashMap::new(),
            counters: HashMap::new(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn push(&mut self, user: &str, item: T) {
        if !self.waiting.contains_key(user) {
            let level = self.level();
            let counter = self.counters.entry(user.into()).or_default();
            *counter = level.max(*counter);
        }
        self.waiting.entry(user.into()).or_default().push_back(item);
    }

    /// The request that is next.
    pub fn peek(&self) -> Option<&T> {
        self.waiting.get(self.next()?)?.front()
    }

    /// Takes the request that [`Self::peek`] shows.
    pub fn pop(&mut self) -> Option<T> {
        let user = self.next()?.to_owned();
        let requests = self.waiting.get_mut(&user)?;
        let item = requests.pop_front();
        if requests.is_empty() {
            self.waiting.remove(&user);
        }
        item
    }

    /// Notes that `tokens` were computed for a user.
    pub fn charge(&mut self, user: &str, tokens: usize) {
        *self.counters.entry(user.into()).or_default() += tokens as u64;
    }

    /// Drops the requests that `keep` does not want, and what is remembered of users without effect.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.waiting.retain(|_, requests| {
            requests.retain(&keep);
            !requests.is_empty()
        });
        // Who is below the level would be lifted to it on return: nothing to remember.
        let level = self.level();
        let Self { waiting, counters } = self;
        counters.retain(|user, counter| waiting.contains_key(user) || *counter > level);
    }

    fn next(&self) -> Option<&str> {
        let users = self.waiting.keys().map(String::as_str);
        users.min_by_key(|user| (self.counter(user), *user))
    }

    fn counter(&self, user: &str) -> u64 {
        self.counters.get(user).copied().unwrap_or_default()
    }

    /// The lowest counter of those who wait; of everybody if nobody does.
    fn level(&self) -> u64 {
        let waiting = self.waiting.keys().map(|user| self.counter(user)).min();
        waiting.unwrap_or_else(|| self.counters.values().copied().max().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(queue: &mut FairQueue<&'static str>, cost: usize) -> Vec<&'static str> {
        let mut order = Vec::new();
        while let Some(item) = queue.pop() {
            queue.charge(&item[..1], cost);
            order.push(item);
        }
        order
    }

    #[test]
    fn users_take_turns_however_many_requests_one_sends() {
        let mut queue = FairQueue::new();
        for item in ["a1", "a2", "a3", "b1", "b2"] {
            queue.push(&item[..1], item);
        }
        assert_eq!(queue.peek(), Some(&"a1"));
        assert_eq!(order(&mut queue, 10), ["a1", "b1", "a2", "b2", "a3"]);
        assert!(queue.is_empty());
    }

    #[test]
    fn turns_are_by_tokens() {
        let mut queue = FairQueue::new();
        for item in ["a1", "a2", "b1", "b2", "b3", "b4"] {
            queue.push(&item[..1], item);
        }
        let mut taken = Vec::new();
        while let Some(item) = queue.pop() {
            queue.charge(&item[..1], if item.starts_with('a') { 30 } else { 10 });
            taken.push(item);
        }
        assert_eq!(taken, ["a1", "b1", "b2", "b3", "a2", "b4"]);
    }

    #[test]
    fn being_away_saves_nothing_up() {
        let mut queue = FairQueue::new();
        queue.push("a", "a1");
        queue.charge("a", 1000);
        queue.push("b", "b1");
        queue.push("b", "b2");
        queue.push("a", "a2");
        assert_eq!(order(&mut queue, 10), ["a1", "b1", "a2", "b2"]);
        // Both are forgotten once they are level.
        queue.retain(|_| true);
        assert!(queue.counters.len() <= 1, "{:?}", queue.counters);
    }

    #[test]
    fn what_is_not_wanted_goes() {
        let mut queue = FairQueue::new();
        queue.push("a", "a1");
        queue.push("b", "b1");
        queue.retain(|item| *item != "a1");
        assert_eq!(queue.pop(), Some("b1"));
        assert_eq!(queue.pop(), None);
    }
}
