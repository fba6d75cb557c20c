//! ShadowDeployments at the gateway: copies of live requests that a candidate answers in the dark, and what is measured of
//! both answers. What a copy looks like and what a pair says is in the crate `shadow`; what pairs prove is for the operator.
//!
//! The way of a request: [`mirror`] decides beside the live path whether it is copied, and hands it over without ever
//! waiting; [`tap`] writes down the live answer as it passes. From then on, everything happens in tasks of their own:
//! [`pair`] sends the copy by [`ask`], waits for both answers, scores them and keeps the numbers. [`keeper`] writes
//! counts down and takes away what is gone, [`routes`] is what the operator collects by.
//!
//! # What copies do not do
//! They delay nothing: what cannot be copied at once is dropped and counted by its [`Drop`](drops::Drop). They have
//! connections, concurrency and memory of their own, and are never sent twice. They go past limits, prices, the audit trail,
//! the metrics of live requests and the load that balances and scales workers; all of them are counted here instead.
//! Nobody calls the tools that they ask for.
//!
//! # What is not copied
//! Requests for an adapter or for a version by name, what Rooms ask their models, and what opts out
//! ([`headers::SHADOW`](crate::headers::SHADOW)).
//!
//! # When mirroring stops
//! With the verdict, with the ShadowDeployment, and [two minutes](alive::PATIENCE) after the operator was last heard of.

mod alive;
mod ask;
mod catalog;
mod drops;
mod experiment;
mod hearing;
mod judge;
mod keeper;
mod likelihood;
mod memory;
mod metrics;
mod mirror;
mod outline;
mod pair;
mod report;
pub mod routes;
pub(crate) mod spec;
mod tally;
mod tap;
pub mod watch;
mod words;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use prometheus::Registry;
use store::{Database, audit::content::KeyRing};
use tokio::sync::OnceCell;

pub use alive::Alive;
pub use catalog::Shadows;
pub use mirror::Live;
pub use spec::{Shadow, WatchedShadow};
pub use tap::{Tap, listen};

use crate::{authz::Authorizer, catalog::Catalog, error::Error, hosted::Hosts, upstream::UpstreamTimeouts};
use ask::Asking;
use memory::Memory;
use metrics::Metrics;

/// All that ShadowDeployments share.
pub struct Service {
    /// The ShadowDeployments that there are.
    pub catalog: Arc<Shadows>,
    /// Whether an operator is there to decide.
    pub alive: Alive,
    authorizer: Arc<Authorizer>,
    /// By connections of its own, so that no live request waits for one.
    database: Option<Database>,
    migrated: OnceCell<()>,
    asking: Asking,
    memory: Memory,
    metrics: Metrics,
    vault: Option<words::Vault>,
    /// A name that no other process has, nor this one after a restart.
    replica: String,
    /// The database was not there: until when nothing is copied.
    paused: Mutex<Option<Instant>>,
    /// How long a live request may take.
    longest: Duration,
}

impl Service {
    /// ShadowDeployments in `database`, without which nothing is mirrored. Copies go to workers in `models`, or through
    /// `hosts`, which count for nobody else. Words are kept by `keys` alone.
    pub fn new(
        authorizer: Arc<Authorizer>,
        database: Option<&Database>,
        keys: Option<KeyRing>,
        models: Arc<Catalog>,
        hosts: Hosts,
        timeouts: UpstreamTimeouts,
        registry: &Registry,
    ) -> Self {
        let metrics = Metrics::new(registry);
        let database = database.and_then(|database| {
            let apart = database.apart();
            apart
                .inspect_err(|error| tracing::error!(%error, "requests are not mirrored"))
                .ok()
        });
        Self {
            catalog: Arc::new(Shadows::new(metrics.clone())),
            alive: Alive::default(),
            authorizer,
            database,
            migrated: OnceCell::new(),
            asking: Asking::new(models, hosts, timeouts),
            memory: Memory::default(),
            metrics,
            vault: keys.map(words::Vault::new),
            replica: format!("{:032x}", rand::random::<u128>()),
            paused: Mutex::default(),
            longest: timeouts.first_byte,
        }
    }

    /// Where pairs are kept.
    ///
    /// # Errors
    /// When there is no database.
    pub(crate) fn database(&self) -> Result<&Database, Error> {
        self.database.as_ref().ok_or(Error::ShadowsOff)
    }

    /// The tables are up to date.
    async fn migrated(&self) -> Result<&Database, Error> {
        let database = self.database()?;
        let migrated = self.migrated.get_or_try_init(|| async {
            let migrated = database.migrate().await;
            migrated.map(drop).map_err(|error| {
                tracing::warn!(%error, "the tables of ShadowDeployments cannot be brought up to date");
                Error::ShadowsUnavailable
            })
        });
        migrated.await.map(|()| database)
    }
}
