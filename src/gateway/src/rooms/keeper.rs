//! What specs and time do to Rooms: they are opened, swept and taken away.

use std::{collections::HashSet, sync::Arc, time::Duration};

use ::rooms::Grant;
use kube::{Api, Client, ResourceExt, api::ListParams, core::PartialObjectMeta};
use store::{
    Database,
    rooms::{self as kept, Error as StoreError},
};
use tokio::time::sleep;

use super::{
    Service,
    authorize::own,
    room::{Room, Source},
};
use crate::error::Error;

/// Between two looks at all Rooms.
const EVERY: Duration = Duration::from_secs(300);
/// A writer that does nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Rooms in one page of a list.
const PAGE: u32 = 500;

impl Service {
    /// Makes sure that the database knows a Room as its spec is. Until it does, nobody enters.
    ///
    /// # Errors
    /// When the database is not there, or does not guard us.
    pub(super) async fn open(&self, room: &Room) -> Result<(), Error> {
        let opened = room.opened.get_or_try_init(|| async {
            let database = self.database()?;
            self.migrate(database).await?;
            prepare(database, room).await.map_err(|error| self.told(error))
        });
        opened.await.map(drop)
    }

    /// The tables are up to date.
    async fn migrate(&self, database: &Database) -> Result<(), Error> {
        let migrated = self.migrated.get_or_try_init(|| async {
            let migrated = database.migrate().await;
            migrated.map(drop).map_err(|error| {
                tracing::warn!(%error, "the tables of Rooms cannot be brought up to date");
                Error::RoomsUnavailable
            })
        });
        migrated.await.map(drop)
    }

    /// Opens Rooms as they come, and does what is due from time to time, for ever. Rooms that are gone are purged once
    /// `client` confirms it.
    pub async fn keep(self: Arc<Self>, client: Client) {
        if self.database().is_err() {
            return;
        }
        let mut changes = self.catalog.subscribe();
        let mut gone = HashSet::new();
        loop {
            for room in self
                .catalog
                .all()
                .iter()
                .filter(|room| !room.is_going && room.spec.is_some())
            {
                // Whoever enters tries again.
                let _ = self.open(room).await;
                if let Err(error) = self.tend(room).await {
                    tracing::warn!(room = room.key.name, namespace = room.key.namespace, %error, "a Room was not swept");
                }
            }
            if self.catalog.is_complete() {
                gone = self.purge_gone(&client, gone).await;
            }
            tokio::select! {
                () = sleep(EVERY) => {}
                () = self.opened_soon(&mut changes) => {}
            }
        }
    }

    /// Opens Rooms whenever something changes. It never ends, and can be dropped at any time.
    async fn opened_soon(&self, changes: &mut tokio::sync::watch::Receiver<()>) {
        while changes.changed().await.is_ok() {
            for room in self
                .catalog
                .all()
                .iter()
                .filter(|room| !room.is_going && room.spec.is_some())
            {
                let _ = self.open(room).await;
            }
        }
        std::future::pending().await
    }

    /// What time does to a Room.
    pub(crate) async fn tend(&self, room: &Room) -> Result<(), StoreError> {
        let Ok(database) = self.database() else { return Ok(()) };
        fresh(database, room).await?;
        kept::expire_answers(database, &own(room), room.texts, room.metadata).await?;
        kept::sweep(database, &own(room), PATIENCE).await?;
        Ok(())
    }

    /// Purges Rooms that were gone the last time as well; those that are gone now.
    async fn purge_gone(&self, client: &Client, before: HashSet<String>) -> HashSet<String> {
        let Ok(database) = self.database() else {
            return HashSet::new();
        };
        let known = match kept::uids(database).await {
            Ok(known) => known,
            Err(error) => {
                tracing::warn!(%error, "Rooms that are gone are not looked for");
                return before;
            }
        };
        let here: HashSet<String> = self.catalog.all().iter().map(|room| room.key.uid.clone()).collect();
        let gone: HashSet<String> = known.into_iter().filter(|uid| !here.contains(uid)).collect();
        let due: Vec<&String> = gone.intersection(&before).collect();
        if due.is_empty() {
            return gone;
        }
        // A watch may be behind; what is taken away does not come back.
        let there = match uids_of(client).await {
            Ok(there) => there,
            Err(error) => {
                tracing::warn!(%error, "Rooms that are gone are not purged: the API server does not confirm it");
                return gone;
            }
        };
        for uid in due.into_iter().filter(|uid| !there.contains(*uid)) {
            match kept::purge(database, uid).await {
                Ok(purged) => {
                    tracing::info!(uid, ?purged, "a Room that is gone was purged");
                    self.metrics.purged.inc();
                    self.indexes.drop_room(uid);
                }
                Err(error) => tracing::warn!(uid, %error, "a Room that is gone was not purged"),
            }
        }
        gone
    }
}

/// Brings the database to what the spec says.
async fn prepare(database: &Database, room: &Room) -> Result<(), StoreError> {
    let sources: Vec<&str> = (room.sources.iter())
        .filter(|source| source.has_documents)
        .map(|source| &*source.name)
        .collect();
    kept::ensure(database, &own(room), &sources).await?;
    for known in kept::overview(database, &own(room)).await?.sources {
        if !sources.contains(&&*known.name) {
            kept::remove_source(database, &own(room), &known.name).await?;
        }
    }
    let has_some = |source: &&Source| source.has_documents && source.clearance.0 > 0;
    for source in room.sources.iter().filter(has_some) {
        kept::raise(database, &own(room), &source.name, source.clearance).await?;
    }
    let databases: Vec<_> = (room.sources.iter())
        .filter(|source| !source.has_documents)
        .map(|source| (&*source.name, source.clearance))
        .collect();
    kept::keep_databases(database, &own(room), &databases).await?;
    fresh(database, room).await
}

/// Nobody but us says who may see an upload, so what we know of that is never old.
async fn fresh(database: &Database, room: &Room) -> Result<(), StoreError> {
    let uploads = room.sources.iter().filter(|source| source.upload.is_some());
    let uploads: Vec<&str> = uploads.map(|source| &*source.name).collect();
    if uploads.is_empty() {
        return Ok(());
    }
    let grant: Grant = own(room);
    let now = kept::moment(database, &grant).await?;
    kept::synced(database, &grant, now, &uploads).await
}

/// The uids of all Rooms, as the API server has them at this moment.
async fn uids_of(client: &Client) -> kube::Result<HashSet<String>> {
    let api = Api::<PartialObjectMeta<api::Room>>::all(client.clone());
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
