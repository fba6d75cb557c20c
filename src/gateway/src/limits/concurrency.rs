//! How many requests somebody may have under way at once.
//!
//! As with windows of a minute, one replica counts for each key. A place is given back when its request has ended, however
//! that was; replicas ask every [`RENEWAL`] to keep those that they hold, so that places of a replica that is gone
//! lapse, and one that begins to count for a key learns of those that are taken.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{
    peers::{Counter, Counting, Peers},
    places::{LAPSE, Places, Seat},
};

/// Where replicas ask for a place, on their admin port.
pub const TAKE_PATH: &str = "/peers/limits/places/take";
/// Where they ask to keep places.
pub const KEEP_PATH: &str = "/peers/limits/places/keep";
/// Where they give one back.
pub const GIVE_BACK_PATH: &str = "/peers/limits/places/give-back";
/// How often replicas ask to keep their places.
const RENEWAL: Duration = Duration::from_secs(LAPSE.as_secs() / 3);
/// So many are kept by one question.
const BATCH: usize = 1000;
/// The place of a request that has just ended may be on its way back for so long.
const ON_ITS_WAY: Duration = Duration::from_millis(100);

/// A wish for a place.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlaceWish {
    /// The place.
    pub seat: Seat,
    /// How many there are.
    pub limit: u32,
}

/// The places that this replica counts, and those that its own requests hold.
pub struct Concurrency {
    peers: Arc<Peers>,
    counted: Mutex<Places>,
    held: Mutex<HashMap<u64, (String, Counter)>>,
}

/// A place that is given back when it is dropped.
pub struct Place {
    concurrency: Arc<Concurrency>,
    seat: Seat,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.concurrency.clone().free(&self.seat);
    }
}

impl Concurrency {
    /// Counts with `peers`.
    pub fn new(peers: Arc<Peers>) -> Self {
        Self {
            peers,
            counted: Mutex::default(),
            held: Mutex::default(),
        }
    }

    /// A place among the `limit` that `key` has; `None` if all are taken.
    pub async fn take(self: &Arc<Self>, key: &str, limit: u32) -> Option<Place> {
        if let Some(place) = self.try_take(key, limit).await {
            return Some(place);
        }
        tokio::time::sleep(ON_ITS_WAY).await;
        self.try_take(key, limit).await
    }

    async fn try_take(self: &Arc<Self>, key: &str, limit: u32) -> Option<Place> {
        let seat = Seat {
            key: key.into(),
            id: rand::random(),
        };
        let counter = match self.peers.counting(key) {
            Counting::Other(address) => Counter::Other(address),
            Counting::Own | Counting::StandIn => Counter::Own,
        };
        lock(&self.held).insert(seat.id, (key.into(), counter));
        // From here on it is given back, even when the client leaves before the other replica has answered.
        let place = Place {
            concurrency: self.clone(),
            seat: seat.clone(),
        };
        let wish = PlaceWish { seat, limit };
        let is_taken = match self.peers.ask_counting(key, TAKE_PATH, &wish).await {
            Ok((is_taken, _)) => is_taken,
            Err(counting) => {
                lock(&self.held).insert(wish.seat.id, (key.into(), Counter::Own));
                let limit = match counting {
                    Counting::Own => limit,
                    _ => limit.div_ceil(self.peers.replicas()),
                };
                lock(&self.counted).take(&wish.seat, limit, Instant::now())
            }
        };
        is_taken.then_some(place)
    }

    /// Answers another replica that asks [`TAKE_PATH`].
    pub fn answer(&self, wish: &PlaceWish) -> bool {
        lock(&self.counted).take(&wish.seat, wish.limit, Instant::now())
    }

    /// Answers another replica that asks [`KEEP_PATH`].
    pub fn keep(&self, seats: &[Seat]) {
        let (mut counted, now) = (lock(&self.counted), Instant::now());
        for seat in seats {
            counted.keep(seat, now);
        }
    }

    /// Answers another replica that asks [`GIVE_BACK_PATH`].
    pub fn give_back(&self, seat: &Seat) {
        lock(&self.counted).give_back(seat);
    }

    fn free(self: Arc<Self>, seat: &Seat) {
        match lock(&self.held).remove(&seat.id) {
            Some((_, Counter::Other(address))) => self.peers.clone().tell(address, GIVE_BACK_PATH, seat.clone()),
            _ => self.give_back(seat),
        }
    }

    /// Asks to keep all places that are held, for ever.
    pub async fn keep_renewing(self: Arc<Self>) {
        loop {
            tokio::time::sleep(RENEWAL).await;
            self.renew().await;
        }
    }

    /// Asks once to keep all places that are held, at those who count now.
    pub async fn renew(&self) {
        lock(&self.counted).sweep(Instant::now());
        let held: Vec<_> = lock(&self.held)
            .iter()
            .map(|(id, (key, _))| Seat {
                key: key.clone(),
                id: *id,
            })
            .collect();
        let mut by_counter: HashMap<Option<IpAddr>, Vec<Seat>> = HashMap::new();
        for seat in held {
            let counter = match self.peers.counting(&seat.key) {
                Counting::Other(address) => Some(address),
                Counting::Own | Counting::StandIn => None,
            };
            by_counter.entry(counter).or_default().push(seat);
        }
        for (counter, seats) in by_counter {
            for seats in seats.chunks(BATCH) {
                self.renew_at(counter, seats).await;
            }
        }
    }

    async fn renew_at(&self, address: Option<IpAddr>, seats: &[Seat]) {
        let counter = match address {
            Some(address) if self.peers.ask_at::<_, ()>(address, KEEP_PATH, &seats).await.is_some() => {
                Counter::Other(address)
            }
            _ => Counter::Own,
        };
        let mut ended = Vec::new();
        {
            let mut held = lock(&self.held);
            for seat in seats {
                match held.get_mut(&seat.id) {
                    Some(known) => known.1 = counter,
                    None => ended.push(seat),
                }
            }
        }
        match counter {
            Counter::Own => {
                self.keep(seats);
                ended.into_iter().for_each(|seat| self.give_back(seat));
            }
            // These ended while the other replica was asked to keep them.
            Counter::Other(address) => {
                for seat in ended {
                    let _ = self.peers.ask_at::<_, ()>(address, GIVE_BACK_PATH, seat).await;
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
