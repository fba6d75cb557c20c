//! Money that callers may spend in a month.
//!
//! The database has what was spent; every replica adds to it what its own requests have cost. One replica counts for each
//! account, as with windows of a minute: it knows the sum, and what is set aside for requests under way. What a request has
//! cost is told to it once the database has it: until then the estimate stays set aside. While the database is down,
//! the sums that are known count, and nobody else is let in.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use store::{Database, Unreachable, spending};
use tokio::{
    sync::{Notify, OnceCell},
    time::timeout,
};

use super::{
    Money,
    ledger::{Account, Grant, Ledger, Reserve},
    peers::{Counter, Counting, Peers},
};

/// Where replicas ask to spend, on their admin port.
pub const RESERVE_PATH: &str = "/peers/limits/money/reserve";
/// Where they tell what was spent.
pub const SPENT_PATH: &str = "/peers/limits/money/spent";
/// How long to leave a database alone that does not answer.
const PAUSE: Duration = Duration::from_secs(1);
/// The same where nobody has asked yet.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long it may take to say what was spent.
const READ: Duration = Duration::from_secs(3);
/// The same where another replica waits for it, and would think that this one is gone.
const READ_FOR_OTHERS: Duration = Duration::from_millis(300);

/// Requests that have ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settled {
    account: Account,
    ids: Vec<u64>,
    /// What was spent in all, if they have cost something.
    total: Option<Money>,
}

/// What the database does not have yet.
#[derive(Default)]
struct Pending {
    cost: Money,
    requests: Vec<(u64, Counter)>,
}

/// The accounts of callers.
pub struct Accounts {
    database: Database,
    migrated: OnceCell<()>,
    peers: Arc<Peers>,
    ledger: Mutex<Ledger>,
    pending: Mutex<HashMap<Account, Pending>>,
    added: Notify,
    /// Held while the database is written to.
    writing: tokio::sync::Mutex<()>,
    /// Held while it is read, with the time before which that makes no sense.
    reading: tokio::sync::Mutex<Option<Instant>>,
}

/// What is set aside for a request. Dropping it books what it has cost.
pub struct Reservation {
    accounts: Arc<Accounts>,
    account: Account,
    id: u64,
    counter: Counter,
    cost: Money,
}

impl Reservation {
    /// The request has cost so much.
    pub fn costs(&mut self, cost: Money) {
        self.cost = cost;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.accounts.clone().book(self);
    }
}

impl Accounts {
    /// Accounts in `database`, which `peers` count. It needs a runtime, on which it writes what was spent.
    pub fn start(database: Database, peers: Arc<Peers>) -> Arc<Self> {
        let this = Arc::new(Self {
            database,
            migrated: OnceCell::new(),
            peers,
            ledger: Mutex::default(),
            pending: Mutex::default(),
            added: Notify::new(),
            writing: tokio::sync::Mutex::default(),
            reading: tokio::sync::Mutex::default(),
        });
        tokio::spawn(this.clone().keep_writing());
        this
    }

    /// Sets aside what a request may cost, and says whether it may. It may not as well where nobody knows.
    pub async fn reserve(
        self: &Arc<Self>,
        account: Account,
        limit: Money,
        wanted: Money,
    ) -> Result<Reservation, Grant> {
        let counter = match self.peers.counting(&account.key) {
            Counting::Other(address) => Counter::Other(address),
            Counting::Own | Counting::StandIn => Counter::Own,
        };
        // From here on it is freed, even when the client leaves before anybody has answered.
        let mut reservation = Reservation {
            accounts: self.clone(),
            account: account.clone(),
            id: rand::random(),
            counter,
            cost: Money::default(),
        };
        let wish = Reserve {
            account,
            id: reservation.id,
            limit,
            wanted,
        };
        let grant = match self.peers.ask_counting(&wish.account.key, RESERVE_PATH, &wish).await {
            Ok((grant, _)) => grant,
            Err(_) => {
                reservation.counter = Counter::Own;
                self.set_aside(&wish, READ).await
            }
        };
        match grant {
            Grant::Reserved => Ok(reservation),
            refused => Err(refused),
        }
    }

    /// Answers another replica that asks [`RESERVE_PATH`].
    pub async fn answer(&self, wish: &Reserve) -> Grant {
        self.set_aside(wish, READ_FOR_OTHERS).await
    }

    async fn set_aside(&self, wish: &Reserve, patience: Duration) -> Grant {
        if !lock(&self.ledger).is_fresh(&wish.account, Instant::now())
            && timeout(patience, self.refresh(&wish.account)).await.is_err()
        {
            tracing::warn!("what was spent this month cannot be read: the database takes too long");
        }
        lock(&self.ledger).reserve(wish, Instant::now())
    }

    /// Reads what was spent, one account after the other: most of those who wait for it ask about the same one.
    async fn refresh(&self, account: &Account) {
        let mut not_before = self.reading.lock().await;
        let now = Instant::now();
        if lock(&self.ledger).is_fresh(account, now) || not_before.is_some_and(|time| now < time) {
            return;
        }
        match self.read(account).await {
            Ok(spent) => {
                let (now, nanos) = (Instant::now(), Money::of_nanos(spent.nanos));
                lock(&self.ledger).learn(account, nanos, now + spent.month_left, now);
            }
            Err(error) => {
                tracing::warn!(%error, "what was spent this month cannot be read");
                self.look_again().await;
                *not_before = Some(Instant::now() + PAUSE);
            }
        }
    }

    /// Answers another replica that asks [`SPENT_PATH`].
    pub fn note(&self, settled: &Settled) {
        let Settled { account, ids, total } = settled;
        lock(&self.ledger).settle(account, ids, *total, Instant::now());
    }

    /// Waits until the database has all that was spent, within `patience`.
    pub async fn drain(self: &Arc<Self>, patience: Duration) -> bool {
        let empty = async {
            while !self.flush().await {
                tokio::time::sleep(PAUSE / 4).await;
            }
        };
        timeout(patience, empty).await.is_ok()
    }

    async fn read(&self, account: &Account) -> Result<spending::Spent, Unreachable> {
        self.migrate().await?;
        spending::read(&self.database, &account.key, &account.currency).await
    }

    async fn migrate(&self) -> Result<(), Unreachable> {
        let migrate = async || self.database.migrate().await.map(drop);
        self.migrated.get_or_try_init(migrate).await.map(drop)
    }

    /// The password in the database's file may have changed.
    async fn look_again(&self) {
        if let Err(error) = self.database.connect().await {
            tracing::debug!(%error, "there is no connection to the database");
        }
    }

    fn book(self: Arc<Self>, reservation: &Reservation) {
        let Reservation {
            account,
            id,
            counter,
            cost,
            ..
        } = reservation;
        if cost.is_zero() {
            let settled = Settled {
                account: account.clone(),
                ids: vec![*id],
                total: None,
            };
            return self.tell(*counter, settled);
        }
        {
            let mut pending = lock(&self.pending);
            let pending = pending.entry(account.clone()).or_default();
            pending.cost = pending.cost + *cost;
            pending.requests.push((*id, *counter));
        }
        self.added.notify_one();
    }

    async fn keep_writing(self: Arc<Self>) {
        let mut pause = PAUSE;
        while let Err(error) = self.migrate().await {
            tracing::warn!(%error, "what is spent cannot be counted yet");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        loop {
            self.added.notified().await;
            while !self.flush().await {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Writes what was spent; `false` if some of it could not be written.
    async fn flush(self: &Arc<Self>) -> bool {
        let _writing = self.writing.lock().await;
        let pending = std::mem::take(&mut *lock(&self.pending));
        let mut is_done = true;
        for (account, pending) in pending {
            match self.write(&account, pending.cost).await {
                Ok(total) => self.tell_all(&account, &pending, Money::of_nanos(total)),
                Err(error) => {
                    tracing::warn!(%error, "what was spent cannot be written down; it is tried again");
                    let mut all = lock(&self.pending);
                    let known = all.entry(account).or_default();
                    known.cost = known.cost + pending.cost;
                    known.requests.extend(pending.requests);
                    is_done = false;
                }
            }
        }
        if !is_done {
            self.look_again().await;
        }
        is_done
    }

    async fn write(&self, account: &Account, cost: Money) -> Result<i64, Unreachable> {
        self.migrate().await?;
        spending::add(&self.database, &account.key, &account.currency, cost.nanos()).await
    }

    fn tell_all(self: &Arc<Self>, account: &Account, pending: &Pending, total: Money) {
        let mut by_counter: HashMap<Counter, Vec<u64>> = HashMap::new();
        for (id, counter) in &pending.requests {
            by_counter.entry(*counter).or_default().push(*id);
        }
        for (counter, ids) in by_counter {
            let settled = Settled {
                account: account.clone(),
                ids,
                total: Some(total),
            };
            self.clone().tell(counter, settled);
        }
    }

    fn tell(self: Arc<Self>, counter: Counter, settled: Settled) {
        match counter {
            Counter::Own => self.note(&settled),
            Counter::Other(address) => self.peers.clone().tell(address, SPENT_PATH, settled),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
