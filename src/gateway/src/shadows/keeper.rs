//! What time does: counts are written down, and what is gone is taken away.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use futures::future::join_all;
use kube::{Api, Client, ResourceExt, api::ListParams, core::PartialObjectMeta};
use store::{Database, Unreachable, shadows as kept};
use tokio::time::{sleep, timeout};

use super::{Service, Shadow, drops::Drop, experiment::Experiment};
use crate::error::Error;

/// Between two looks at counts.
const EVERY: Duration = Duration::from_secs(2);
/// A process that has nothing to tell says so as often: far more often than [`kept::SILENT`].
const ALIVE_EVERY: Duration = Duration::from_secs(10);
/// After the database was not there, nothing is copied for so long.
const PAUSE: Duration = Duration::from_secs(5);
/// Between two looks at what is gone.
const PURGE_EVERY: Duration = Duration::from_secs(300);
/// Between two looks at what has expired.
const EXPIRE_EVERY: Duration = Duration::from_secs(60);
/// Longest wait for the database at the end of the process.
const FAREWELL: Duration = Duration::from_secs(3);
/// ShadowDeployments in one page of a list.
const PAGE: u32 = 500;

impl Service {
    /// A ShadowDeployment is there, or has changed.
    pub fn apply(self: &Arc<Self>, shadow: Shadow) {
        if self.database.is_none() {
            return;
        }
        if let Some((experiment, jobs)) = self.catalog.apply(shadow) {
            tokio::spawn(self.clone().run(experiment, jobs));
        }
    }

    /// Where a comparison is kept, which the database knows of from now on.
    pub(super) async fn opened(&self, experiment: &Experiment) -> Result<&Database, Error> {
        let database = self.migrated().await.inspect_err(|_| self.hold_off())?;
        let opened = experiment
            .opened
            .get_or_try_init(|| kept::open(database, &experiment.key));
        opened.await.map_err(|error| {
            self.pause(&error);
            Error::ShadowsUnavailable
        })?;
        Ok(database)
    }

    /// The database is not there: nothing is copied for a while.
    pub(super) fn pause(&self, error: &Unreachable) -> Drop {
        tracing::warn!(%error, "pairs cannot be kept; mirroring pauses");
        self.hold_off();
        Drop::Database
    }

    fn hold_off(&self) {
        *self.paused.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + PAUSE);
    }

    /// Whether the database was not there a moment ago.
    pub(super) fn is_paused(&self) -> bool {
        let paused = *self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        paused.is_some_and(|until| Instant::now() < until)
    }

    /// Tells the database what was counted of a comparison, whatever was said before.
    pub(super) async fn tell(&self, experiment: &Experiment) {
        // One that nobody was ever asked for needs no rows.
        if experiment.tally.all() == kept::Counts::default() {
            return;
        }
        let Ok(database) = self.opened(experiment).await else {
            experiment.tally.untold();
            return;
        };
        let counts = experiment.tally.all();
        match kept::count(database, &experiment.key.uid, &self.replica, &counts).await {
            Ok(true) => {}
            Ok(false) => experiment.ended.cancel(),
            Err(error) => {
                self.pause(&error);
                experiment.tally.untold();
            }
        }
    }

    /// Writes counts down, and takes away what is gone once `client` confirms it, for ever.
    pub async fn keep(self: Arc<Self>, client: Client) {
        if self.database.is_none() {
            return;
        }
        tokio::join!(self.keep_counting(), self.keep_purging(&client), self.keep_expiring());
    }

    /// Writes counts down for ever.
    pub async fn keep_counting(&self) {
        let mut told = Instant::now();
        loop {
            sleep(EVERY).await;
            let is_due = told.elapsed() >= ALIVE_EVERY;
            for experiment in self.catalog.experiments() {
                if experiment.tally.news().is_some() || is_due {
                    self.tell(&experiment).await;
                }
            }
            if is_due {
                told = Instant::now();
            }
        }
    }

    /// Writes down what was counted, at the end of the process. Copies under way are lost with it.
    pub async fn drain(&self) {
        let telling = self
            .catalog
            .experiments()
            .into_iter()
            .map(async |experiment| self.tell(&experiment).await);
        let _ = timeout(FAREWELL, join_all(telling)).await;
    }

    async fn keep_expiring(&self) {
        loop {
            sleep(EXPIRE_EVERY).await;
            self.expire_words().await;
        }
    }

    async fn keep_purging(&self, client: &Client) {
        let mut gone = HashSet::new();
        loop {
            sleep(PURGE_EVERY).await;
            if self.catalog.is_complete() {
                gone = self.purge_gone(client, gone).await;
            }
        }
    }

    /// Purges what was gone the last time as well; what is gone now.
    async fn purge_gone(&self, client: &Client, before: HashSet<String>) -> HashSet<String> {
        let known = match self.migrated().await {
            Ok(database) => kept::kept(database).await.map(|known| (database, known)),
            Err(_) => return before,
        };
        let (database, known) = match known {
            Ok(known) => known,
            Err(error) => {
                tracing::warn!(%error, "ShadowDeployments that are gone are not looked for");
                return before;
            }
        };
        let gone: Vec<_> = known.into_iter().filter(|key| !self.catalog.has(&key.uid)).collect();
        let due: Vec<_> = gone.iter().filter(|key| before.contains(&key.uid)).collect();
        if !due.is_empty() {
            // A watch may be behind; what is taken away does not come back.
            match uids_of(client).await {
                Ok(there) => {
                    for key in due.into_iter().filter(|key| !there.contains(&key.uid)) {
                        match kept::forget(database, key).await {
                            Ok(pairs) => tracing::info!(?key, pairs, "a ShadowDeployment that is gone was purged"),
                            Err(error) => {
                                tracing::warn!(?key, %error, "a ShadowDeployment that is gone was not purged")
                            }
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "ShadowDeployments that are gone are not purged: the API server does not confirm it");
                }
            }
        }
        gone.into_iter().map(|key| key.uid).collect()
    }
}

/// The uids of all ShadowDeployments, as the API server has them at this moment.
async fn uids_of(client: &Client) -> kube::Result<HashSet<String>> {
    let api = Api::<PartialObjectMeta<api::ShadowDeployment>>::all(client.clone());
    let mut uids = HashSet::new();
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = api.list(&params).await?;
        uids.extend(page.items.iter().filter_map(ResourceExt::uid));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(uids),
        }
    }
}
