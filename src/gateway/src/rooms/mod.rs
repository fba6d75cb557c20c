//! Rooms at the gateway: documents that only some may search and ask about.
//!
//! [`authorize`] is the one door. Behind it, [`indexes`] are kept in memory and [`store::rooms`] keeps everything else;
//! what may be seen is decided there, row by row, by the grant. [`search`] finds, [`ask`] answers from what was found,
//! [`databases`] are asked beside them, [`people`] and [`answers`] are the rest of what people do, and [`ingest`] is how a Room is filled. [`keeper`] does
//! what specs and time want. Rooms fail closed: without the database, without the API server's word, and with rights
//! that are too old, nobody gets anything.

pub mod answers;
pub mod ask;
pub mod authorize;
pub mod catalog;
pub mod databases;
mod detectors;
mod error;
pub mod indexes;
pub mod ingest;
pub mod keeper;
mod metrics;
pub mod models;
pub mod people;
pub mod redteam;
mod request;
pub mod room;
pub mod routes;
pub mod search;
mod state;
pub(crate) mod units;
mod upload;
pub mod watch;

use std::sync::Arc;

use ::rooms::Clearance;
use prometheus::Registry;
use store::{Database, rooms::Head};
use tokio::sync::OnceCell;

pub use authorize::{Admitted, Caller};
pub(crate) use request::answer;
pub use units::Cidr;

use crate::{authz::Authorizer, error::Error};
use catalog::Rooms;
use databases::Databases;
use indexes::Indexes;
use metrics::Metrics;

/// Memory for indexes, if nobody says how much: some 130,000 chunks with vectors of 384 components.
pub const INDEX_MEMORY: usize = 160 << 20;

/// What can be set about Rooms.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes for indexes in memory.
    pub index_memory: usize,
    /// Who may say, by `X-Forwarded-For`, where somebody comes from.
    pub trusted_proxies: Vec<Cidr>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            index_memory: INDEX_MEMORY,
            trusted_proxies: Vec::new(),
        }
    }
}

/// All that requests for Rooms share.
pub struct Service {
    /// The Rooms that there are.
    pub catalog: Arc<Rooms>,
    authorizer: Arc<Authorizer>,
    database: Option<Database>,
    migrated: OnceCell<()>,
    indexes: Indexes,
    /// Those of others, which Rooms ask.
    databases: Arc<Databases>,
    metrics: Metrics,
    settings: Settings,
}

impl Service {
    /// Rooms in `database`; none of them answers without one. They may ask `databases` besides.
    pub fn new(
        authorizer: Arc<Authorizer>,
        database: Option<Database>,
        databases: Databases,
        settings: Settings,
        registry: &Registry,
    ) -> Self {
        let metrics = Metrics::new(registry);
        Self {
            catalog: Arc::default(),
            authorizer,
            database,
            migrated: OnceCell::new(),
            indexes: Indexes::new(settings.index_memory, metrics.clone()),
            databases: Arc::new(databases),
            metrics,
            settings,
        }
    }

    /// Who decides.
    pub fn authorizer(&self) -> &Arc<Authorizer> {
        &self.authorizer
    }

    /// Where everything is kept.
    ///
    /// # Errors
    /// When there is none.
    pub fn database(&self) -> Result<&Database, Error> {
        self.database.as_ref().ok_or(Error::RoomsOff)
    }

    /// Refuses where rights are too old to be acted upon, and where there is nothing yet.
    ///
    /// # Errors
    /// With which of both.
    pub fn fresh(&self, admitted: &Admitted, head: &Head) -> Result<(), Error> {
        if head.live.is_none() {
            return Err(Error::RoomEmpty);
        }
        match indexes::is_fresh(head, admitted.room.max_staleness) {
            true => Ok(()),
            false => Err(Error::RoomStale),
        }
    }

    /// The same, as the database has it now. Where a Room has databases alone, there are no rights of documents to be old.
    ///
    /// # Errors
    /// See [`Self::fresh`].
    pub async fn check_fresh(&self, admitted: &Admitted) -> Result<(), Error> {
        let room = &admitted.room;
        if !room.has_documents() && !room.databases(Clearance(100)).is_empty() {
            return Ok(());
        }
        let head = store::rooms::head(self.database()?, &admitted.grant).await;
        self.fresh(admitted, &head.map_err(|error| self.told(error))?)
    }
}
