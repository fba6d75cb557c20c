//! The task that brings rows to the database, many in one commit.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use sqlx::PgConnection;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use super::{
    chain::Row,
    log::{Queued, Shared, lock},
    rows::{self, NotWritten},
    spool::{self, Spool},
};
use crate::{Database, Unreachable};

/// Rows in one commit. While one is under way, the rows of the next one gather.
const MOST_ROWS: usize = 512;
/// A commit that takes longer has failed: the connection is given up, and with it whatever the server still does.
const COMMIT: Duration = Duration::from_secs(10);
/// Making tables takes longer.
const MIGRATE: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Writes what is queued, in order, and tries again until it is written.
pub struct Writer {
    database: Database,
    connection: Option<PgConnection>,
    shared: Arc<Shared>,
    spool: Option<Arc<Mutex<Spool>>>,
}

/// Why rows are still on their way.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    #[error(transparent)]
    NotWritten(#[from] NotWritten),
    #[error("the database does not answer")]
    Silent,
}

impl Writer {
    /// A writer without connection yet.
    pub fn new(database: Database, shared: Arc<Shared>, spool: Option<Arc<Mutex<Spool>>>) -> Self {
        Self {
            database,
            connection: None,
            shared,
            spool,
        }
    }

    /// Writes what earlier processes left in files, then all of `queue` until its end.
    pub async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Queued>, left: Vec<PathBuf>) {
        self.until_written(&[]).await;
        for file in left {
            self.take_over(&file).await;
        }
        let mut batch = Vec::with_capacity(MOST_ROWS);
        while queue.recv_many(&mut batch, MOST_ROWS).await > 0 {
            let rows: Vec<_> = batch.iter().map(|queued| &queued.row).collect();
            self.until_written(&rows).await;
            if let (Some(spool), Some(last)) = (&self.spool, rows.last())
                && let Err(error) = lock(spool).release(last.seq)
            {
                tracing::warn!(%error, "failed to clear the audit spool");
            }
            self.shared.queued.fetch_sub(batch.len() as u64, Ordering::Relaxed);
            for done in batch.drain(..).filter_map(|queued| queued.done) {
                let _ = done.send(());
            }
        }
    }

    /// Tries until the database has `rows`, or is there at least.
    async fn until_written(&mut self, rows: &[&Row]) {
        let mut pause = FIRST_PAUSE;
        while let Err(error) = self.attempt(rows).await {
            self.connection = None;
            self.shared.failures.fetch_add(1, Ordering::Relaxed);
            if self.shared.up.swap(false, Ordering::Relaxed) || pause == LONGEST_PAUSE {
                tracing::error!(%error, rows = rows.len(), "audit rows cannot be written");
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.shared.written.fetch_add(rows.len() as u64, Ordering::Relaxed);
        if !self.shared.up.swap(true, Ordering::Relaxed) {
            tracing::info!("audit rows can be written");
        }
    }

    async fn attempt(&mut self, rows: &[&Row]) -> Result<(), Failure> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => {
                let connection = timeout(MIGRATE, self.database.migrate()).await;
                self.connection.insert(connection.map_err(|_| Failure::Silent)??)
            }
        };
        if !rows.is_empty() {
            let written = timeout(COMMIT, rows::insert(connection, rows)).await;
            written.map_err(|_| Failure::Silent)??;
        }
        Ok(())
    }

    /// Writes the rows of a file that an earlier process left behind, and removes it.
    async fn take_over(&mut self, file: &PathBuf) {
        let (rows, whole) = match spool::read(file) {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(%error, file = %file.display(), "audit rows of an earlier process cannot be read");
                return;
            }
        };
        let references: Vec<_> = rows.iter().collect();
        for some in references.chunks(MOST_ROWS) {
            self.until_written(some).await;
        }
        tracing::info!(rows = rows.len(), "audit rows of an earlier process are written");
        let done = match whole {
            true => std::fs::remove_file(file),
            // Somebody may want to look at the rest.
            false => std::fs::rename(file, file.with_extension("damaged")),
        };
        if let Err(error) = done {
            tracing::warn!(%error, file = %file.display(), "failed to clear the audit spool");
        }
    }
}
