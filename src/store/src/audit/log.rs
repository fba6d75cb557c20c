//! Where the rows of a process begin their way.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::timeout,
};

use super::{
    chain::{Chain, Draft, Row},
    content::{Content, Vault},
    spool::Spool,
    writer::Writer,
};
use crate::Database;

/// When a row counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// When the database has committed it.
    Strict,
    /// When it lies in this directory, which outlives the process.
    Buffered {
        /// Used by one process at a time.
        spool: PathBuf,
    },
}

/// What can be set about the log.
#[derive(Clone)]
pub struct Settings {
    /// When a row counts.
    pub mode: Mode,
    /// Rows that may be on their way to the database at once, those included that will close what is open.
    pub capacity: u32,
    /// How long a request waits for its row to count.
    pub patience: Duration,
    /// What encrypts requests and answers. Without it they are not kept.
    pub vault: Option<Arc<Vault>>,
}

/// Why a row does not count.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// The database cannot be written to.
    #[error("the database cannot be written to")]
    Down,
    /// It takes too long.
    #[error("the database does not commit in time")]
    Slow,
    /// Too many rows, or too much of what is in them, are on their way.
    #[error("as much waits for the database as may")]
    Full,
    /// The local disk does not take it.
    #[error("the row cannot be kept on the local disk: {0}")]
    Disk(#[from] io::Error),
}

/// The place of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The chain.
    pub chain: String,
    /// The number in it.
    pub seq: i64,
}

/// What the log has done, and has yet to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Rows on their way to the database.
    pub queued: u64,
    /// Rows in the database.
    pub written: u64,
    /// Times that rows did not count, and their requests were refused.
    pub refused: u64,
    /// Times that the database did not take rows.
    pub failures: u64,
    /// Whether it takes them now, as far as is known.
    pub up: bool,
}

/// Counters that the log and its writer share.
#[derive(Debug, Default)]
pub struct Shared {
    pub up: AtomicBool,
    pub queued: AtomicU64,
    pub written: AtomicU64,
    pub refused: AtomicU64,
    pub failures: AtomicU64,
}

/// A row on its way.
pub struct Queued {
    pub row: Row,
    pub done: Option<oneshot::Sender<()>>,
    /// Its place among those that may be on their way.
    pub _room: OwnedSemaphorePermit,
    /// The memory that its content takes.
    pub _memory: Option<OwnedSemaphorePermit>,
}

/// The chain of this process, and the way of its rows to the database.
pub struct Log {
    tail: Mutex<Tail>,
    spool: Option<Arc<Mutex<Spool>>>,
    room: Arc<Semaphore>,
    shared: Arc<Shared>,
    settings: Settings,
}

struct Tail {
    chain: Chain,
    queue: mpsc::UnboundedSender<Queued>,
}

/// A spool is synced this often, when there is something new in it.
const SYNC: Duration = Duration::from_millis(100);

impl Log {
    /// Begins a chain, and writes it to `database` in the background until the log is dropped. The database need not be
    /// there yet.
    ///
    /// # Errors
    /// When the spool cannot be used.
    pub fn start(database: Database, settings: Settings) -> io::Result<Arc<Self>> {
        let chain = Chain::new();
        let (queue, queued) = mpsc::unbounded_channel();
        let shared = Arc::<Shared>::default();
        let (spool, left) = match &settings.mode {
            Mode::Strict => (None, Vec::new()),
            Mode::Buffered { spool } => {
                let (spool, left) = Spool::open(spool, chain.name())?;
                (Some(Arc::new(Mutex::new(spool))), left)
            }
        };
        if let Some(spool) = &spool {
            tokio::spawn(sync(Arc::downgrade(spool)));
        }
        tokio::spawn(Writer::new(database, shared.clone(), spool.clone()).run(queued, left));
        Ok(Arc::new(Self {
            tail: Mutex::new(Tail { chain, queue }),
            spool,
            room: Arc::new(Semaphore::new(settings.capacity as usize)),
            shared,
            settings,
        }))
    }

    /// Writes a row that opens a request. It counts when [`Committed::wait`] has returned; the request must be closed
    /// in any case.
    ///
    /// # Errors
    /// When it will not count; nothing is written then.
    pub fn open(self: &Arc<Self>, draft: Draft) -> Result<(Opened, Committed), Unavailable> {
        let mut room = self.room(2)?;
        let closing = room.split(1).expect("there are two");
        let (place, committed) = self.append(draft, room)?;
        let opened = Opened {
            log: self.clone(),
            room: closing,
            place,
        };
        Ok((opened, committed))
    }

    /// Writes a row that stands alone. It counts when [`Committed::wait`] has returned.
    ///
    /// # Errors
    /// When it will not count; nothing is written then.
    pub fn write(self: &Arc<Self>, draft: Draft) -> Result<Committed, Unavailable> {
        let room = self.room(1)?;
        Ok(self.append(draft, room)?.1)
    }

    /// `text`, asked of a model of `namespace`, for a row. `None` if nothing is kept.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn content(&self, namespace: &str, text: &[u8]) -> Result<Option<Content>, Unavailable> {
        let Some(vault) = &self.settings.vault else {
            return Ok(None);
        };
        let content = Content::whole(vault.clone(), namespace, text);
        content.map(Some).map_err(|_| self.refuse(Unavailable::Full))
    }

    /// Where an answer of a model of `namespace` is gathered for a row. `None` if nothing is kept.
    pub fn gather(&self, namespace: &str) -> Option<Content> {
        let vault = self.settings.vault.clone()?;
        Some(Content::new(vault, namespace))
    }

    /// What has been done so far.
    pub fn stats(&self) -> Stats {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            queued: of(&self.shared.queued),
            written: of(&self.shared.written),
            refused: of(&self.shared.refused),
            failures: of(&self.shared.failures),
            up: self.shared.up.load(Ordering::Relaxed),
        }
    }

    /// Waits until the database has every row, for `patience` at most; whether it has.
    pub async fn drain(&self, patience: Duration) -> bool {
        let all = self.room.acquire_many(self.settings.capacity);
        timeout(patience, all).await.is_ok()
    }

    fn is_strict(&self) -> bool {
        self.settings.mode == Mode::Strict
    }

    fn room(&self, rows: u32) -> Result<OwnedSemaphorePermit, Unavailable> {
        // Nobody shall wait for what is known to fail; at first nothing is known.
        let stats = self.stats();
        if self.is_strict() && !stats.up && stats.failures > 0 {
            return Err(self.refuse(Unavailable::Down));
        }
        let room = self.room.clone().try_acquire_many_owned(rows);
        room.map_err(|_| self.refuse(Unavailable::Full))
    }

    fn refuse(&self, why: Unavailable) -> Unavailable {
        self.shared.refused.fetch_add(1, Ordering::Relaxed);
        why
    }

    fn append(self: &Arc<Self>, draft: Draft, room: OwnedSemaphorePermit) -> Result<(Place, Committed), Unavailable> {
        let (done, committed) = oneshot::channel();
        let strict = self.is_strict();
        let place = self.enqueue(draft, room, strict.then_some(done), true);
        let place = place.map_err(|error| self.refuse(error.into()))?;
        let committed = Committed {
            log: self.clone(),
            done: strict.then_some(committed),
        };
        Ok((place, committed))
    }

    /// The one place where the chain grows. Rows are queued in the order of the chain.
    fn enqueue(
        &self,
        mut draft: Draft,
        room: OwnedSemaphorePermit,
        done: Option<oneshot::Sender<()>>,
        must_be_kept: bool,
    ) -> io::Result<Place> {
        let memory = draft.memory.take();
        let mut tail = lock(&self.tail);
        let row = tail.chain.next(draft);
        if let Some(spool) = &self.spool
            && let Err(error) = lock(spool).append(&row)
        {
            if must_be_kept {
                return Err(error);
            }
            tracing::error!(%error, "an audit row is in memory only: the spool does not take it");
        }
        tail.chain.advance(&row);
        let place = Place {
            chain: row.chain.clone(),
            seq: row.seq,
        };
        self.shared.queued.fetch_add(1, Ordering::Relaxed);
        let queued = Queued {
            row,
            done,
            _room: room,
            _memory: memory,
        };
        // The writer ends after the log only.
        let _ = tail.queue.send(queued);
        Ok(place)
    }
}

/// A row that counts, or is about to.
pub struct Committed {
    log: Arc<Log>,
    done: Option<oneshot::Receiver<()>>,
}

impl Committed {
    /// Waits until the row counts.
    ///
    /// # Errors
    /// When it does not in time. It is written all the same as soon as that is possible.
    pub async fn wait(self) -> Result<(), Unavailable> {
        let Some(done) = self.done else { return Ok(()) };
        match timeout(self.log.settings.patience, done).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(self.log.refuse(Unavailable::Down)),
            Err(_) => Err(self.log.refuse(Unavailable::Slow)),
        }
    }
}

/// A request whose end is not told yet; there is a place for it.
pub struct Opened {
    log: Arc<Log>,
    room: OwnedSemaphorePermit,
    place: Place,
}

impl Opened {
    /// Where its row is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Writes the row that closes it.
    pub fn close(self, draft: Draft) {
        // What has happened cannot be refused.
        let _ = self.log.enqueue(draft, self.room, None, false);
    }
}

async fn sync(spool: std::sync::Weak<Mutex<Spool>>) {
    loop {
        tokio::time::sleep(SYNC).await;
        let Some(spool) = spool.upgrade() else { return };
        let Some(file) = lock(&spool).unsynced() else { continue };
        let synced = tokio::task::spawn_blocking(move || file.sync_data()).await;
        if let Ok(Err(error)) = synced {
            tracing::error!(%error, "failed to sync the audit spool");
        }
    }
}

/// Nothing is left half done where a lock is held.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
