//! What was spent this month, and what is set aside for requests under way, of all for whom this replica counts.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::Money;

/// How old a sum may be before the database is asked again: others may have added to it.
const FRESH: Duration = Duration::from_secs(10);
/// What is set aside for a request is free again after so long: its replica is gone.
const LAPSE: Duration = Duration::from_secs(15 * 60);
/// Accounts held before those without use are looked for.
const SWEEP_FROM: usize = 1024;

/// Whose money, and which.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Account {
    /// Who spends it on what.
    pub key: String,
    /// Currency by ISO 4217.
    pub currency: String,
}

/// A wish to spend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserve {
    /// From which account.
    pub account: Account,
    /// The request's own number.
    pub id: u64,
    /// What may be spent in a month.
    pub limit: Money,
    /// What it may cost. More than the limit is let in when nothing else was spent.
    pub wanted: Money,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Grant {
    /// It is set aside.
    Reserved,
    /// It would be more than the limit.
    Refused,
    /// Nobody knows what was spent.
    Unknown,
}

#[derive(Debug, Default)]
struct State {
    spent: Money,
    /// When it was read, and when its month ends.
    read: Option<(Instant, Instant)>,
    reserved: HashMap<u64, (Money, Instant)>,
}

impl State {
    fn is_of_this_month(&self, now: Instant) -> bool {
        self.read.is_some_and(|(_, end)| now < end)
    }
}

/// The accounts.
#[derive(Debug, Default)]
pub struct Ledger {
    accounts: HashMap<Account, State>,
    sweep_at: usize,
}

impl Ledger {
    /// Whether the database was asked a moment ago, in this month.
    pub fn is_fresh(&self, account: &Account, now: Instant) -> bool {
        let state = self.accounts.get(account);
        let read = state.and_then(|state| state.read);
        read.is_some_and(|(at, end)| now < at + FRESH && now < end)
    }

    /// What the database says: so much is spent, in a month that ends at `end`.
    pub fn learn(&mut self, account: &Account, spent: Money, end: Instant, now: Instant) {
        self.sweep(now);
        let state = self.accounts.entry(account.clone()).or_default();
        state.spent = spent;
        state.read = Some((now, end));
    }

    /// Sets aside what is wanted if it is within the limit.
    pub fn reserve(&mut self, wish: &Reserve, now: Instant) -> Grant {
        let state = self.accounts.get_mut(&wish.account);
        let Some(state) = state.filter(|state| state.is_of_this_month(now)) else {
            return Grant::Unknown;
        };
        state.reserved.retain(|_, (_, until)| now < *until);
        let used = state.spent + state.reserved.values().map(|(money, _)| *money).sum();
        if used + wish.wanted > wish.limit && !used.is_zero() {
            return Grant::Refused;
        }
        state.reserved.insert(wish.id, (wish.wanted, now + LAPSE));
        Grant::Reserved
    }

    /// These requests have ended; `total` was spent when the last of them had been added.
    pub fn settle(&mut self, account: &Account, ids: &[u64], total: Option<Money>, now: Instant) {
        let Some(state) = self.accounts.get_mut(account) else {
            return;
        };
        for id in ids {
            state.reserved.remove(id);
        }
        if let Some(total) = total.filter(|_| state.is_of_this_month(now)) {
            state.spent = state.spent.max(total);
        }
    }

    /// Forgets accounts that the database knows as well, whenever their number has doubled.
    fn sweep(&mut self, now: Instant) {
        if self.accounts.len() >= self.sweep_at.max(SWEEP_FROM) {
            self.accounts.retain(|_, state| {
                state.reserved.retain(|_, (_, until)| now < *until);
                !state.reserved.is_empty() || state.read.is_some_and(|(at, _)| now < at + FRESH)
            });
            self.sweep_at = self.accounts.len() * 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Book {
        ledger: Ledger,
        now: Instant,
        next: u64,
    }

    fn account() -> Account {
        Account {
            key: "u/ns/m/jane".into(),
            currency: "EUR".into(),
        }
    }

    fn money(nanos: i64) -> Money {
        Money::of_nanos(nanos)
    }

    impl Book {
        /// Of jane, who may spend 100 and has spent some.
        fn with(spent: i64) -> Self {
            let (mut ledger, now) = (Ledger::default(), Instant::now());
            ledger.learn(&account(), money(spent), now + Duration::from_secs(86_400), now);
            Self { ledger, now, next: 0 }
        }

        fn reserve(&mut self, wanted: i64) -> Grant {
            self.next += 1;
            let wish = Reserve {
                account: account(),
                id: self.next,
                limit: money(100),
                wanted: money(wanted),
            };
            self.ledger.reserve(&wish, self.now)
        }
    }

    #[test]
    fn what_is_under_way_is_set_aside() {
        let mut book = Book::with(50);
        assert_eq!(book.reserve(30), Grant::Reserved);
        assert_eq!(book.reserve(30), Grant::Refused);
        assert_eq!(book.reserve(20), Grant::Reserved);
        // The first one has cost less.
        book.ledger.settle(&account(), &[1], Some(money(55)), book.now);
        assert_eq!(book.reserve(26), Grant::Refused);
        assert_eq!(book.reserve(25), Grant::Reserved);
        // The third one has cost nothing.
        book.ledger.settle(&account(), &[3], None, book.now);
        assert_eq!(book.reserve(20), Grant::Reserved);
    }

    #[test]
    fn a_request_that_is_dearer_than_the_limit_is_let_in_first() {
        assert_eq!(Book::with(0).reserve(500), Grant::Reserved);
        assert_eq!(Book::with(1).reserve(500), Grant::Refused);
        assert_eq!(Book::with(100).reserve(0), Grant::Reserved);
        assert_eq!(Book::with(101).reserve(0), Grant::Refused);
    }

    #[test]
    fn sums_are_read_again_and_end_with_their_month() {
        let mut book = Book::with(90);
        assert!(book.ledger.is_fresh(&account(), book.now));
        book.now += FRESH;
        assert!(!book.ledger.is_fresh(&account(), book.now));
        // Without the database, what is known counts.
        assert_eq!(book.reserve(20), Grant::Refused);
        book.now += Duration::from_secs(86_400);
        assert_eq!(book.reserve(20), Grant::Unknown);
        // News of the old month are none of the new one.
        book.ledger.settle(&account(), &[], Some(money(99)), book.now);
        book.ledger
            .learn(&account(), money(0), book.now + Duration::from_secs(86_400), book.now);
        assert_eq!(book.reserve(20), Grant::Reserved);
    }

    #[test]
    fn what_nobody_settles_is_free_again() {
        let mut book = Book::with(1);
        assert_eq!(book.reserve(99), Grant::Reserved);
        assert_eq!(book.reserve(1), Grant::Refused);
        book.now += LAPSE;
        assert_eq!(book.reserve(1), Grant::Reserved);
    }

    #[test]
    fn memory_is_of_accounts_in_use_only() {
        let (mut ledger, start) = (Ledger::default(), Instant::now());
        for i in 0..10 * SWEEP_FROM as u64 {
            let (key, currency) = (i.to_string(), "EUR".into());
            let now = start + Duration::from_secs(i);
            ledger.learn(&Account { key, currency }, money(1), now + FRESH * 100, now);
        }
        assert!(ledger.accounts.len() <= 2 * SWEEP_FROM, "{}", ledger.accounts.len());
    }
}
