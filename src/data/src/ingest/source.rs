//! One source: what is known of it, what it has now, and the difference.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use protocol::PrepareFailure;
use protocol::ingest::IngestSource;
use protocol::rooms::ingest::{KnownDocument, Rights as SentRights};

use super::acl::Rights;
use super::found::Found;
use super::gateway::{Embedder, Filling};
use super::push::Push;
use super::read::{Readers, read};
use super::report::Counts;
use super::sources::Listing;
use crate::failure::Result;

/// Documents that are placed in one go.
const PLACED: usize = 64;

/// What filling a Room from a source takes.
pub struct Filler<'a> {
    /// The generation.
    pub filling: &'a Filling,
    /// The model.
    pub embedder: &'a Embedder,
    /// Who reads documents.
    pub readers: &'a Arc<Readers>,
    /// How many at a time.
    pub at_once: usize,
    /// What is counted.
    pub counts: &'a Counts,
    /// Whether equal documents are left out.
    pub dedup: bool,
}

impl Filler<'_> {
    /// Brings what a source has; when its rights were read, if all of it was read.
    ///
    /// # Errors
    /// When the generation cannot be filled. A source that cannot be read is no such failure, as long as its documents can
    /// stay.
    pub async fn source(&self, source: &IngestSource, directory: &Path) -> Result<Option<i64>> {
        let known = match self.filling.known(&source.name).await? {
            Ok(known) => known,
            Err(said) => {
                tracing::error!(source = source.name, "it is passed over: {said}");
                self.counts.count(|counted| counted.error = Some(said));
                return Ok(None);
            }
        };
        if !source.read && self.keep(source, &known.documents).await?.is_empty() {
            return Ok(None);
        }
        // What was counted to keep it counts anew.
        self.counts.begin(&source.name);
        let listing = Listing {
            source,
            limits: &self.readers.limits,
            directory,
            programs: &self.readers.programs,
            filling: self.filling,
        };
        let listed = match listing.documents().await {
            Ok(listed) => listed,
            Err(failure) => {
                self.cannot_be_read(source, &known.documents, failure).await?;
                return Ok(None);
            }
        };
        self.listed(source, listed, &known.documents, known.now).await?;
        Ok(Some(known.now))
    }

    /// Takes over all that is known of a source; names of those that could not be.
    async fn keep(&self, source: &IngestSource, known: &BTreeMap<String, KnownDocument>) -> Result<Vec<String>> {
        let live: Vec<_> = known
            .values()
            .filter(|document| !document.barred && !document.deleted)
            .filter_map(|document| Some((document.name.clone(), document.digest.clone()?)))
            .collect();
        let whole: BTreeSet<String> = self
            .filling
            .carry(&source.name, live.clone())
            .await?
            .into_iter()
            .collect();
        let (kept, lost): (Vec<_>, Vec<_>) = live
            .into_iter()
            .map(|(name, _)| name)
            .partition(|name| whole.contains(name));
        self.carried(&kept, known);
        // Those that a curator has set aside are in no generation, and nobody looks for them.
        let is_sought = |name: &String| known.get(name).is_none_or(|document| document.quarantined.is_none());
        Ok(lost.into_iter().filter(is_sought).collect())
    }

    fn carried(&self, names: &[String], known: &BTreeMap<String, KnownDocument>) {
        for name in names {
            match known.get(name).and_then(|document| document.quarantined.as_deref()) {
                Some(reason) => self.counts.still_quarantined(reason),
                None => self.counts.count(|source| source.documents += 1),
            }
        }
        self.counts.count(|source| source.unchanged += names.len() as u64);
        self.counts.looked(names.len() as u64);
    }

    /// A source that fails keeps what it has; where that cannot be, nothing is published.
    async fn cannot_be_read(
        &self,
        source: &IngestSource,
        known: &BTreeMap<String, KnownDocument>,
        failure: PrepareFailure,
    ) -> Result<()> {
        tracing::error!(
            source = source.name,
            reason = failure.reason,
            "{}; its documents stay as they were",
            failure.message
        );
        let name = source.name.clone();
        self.counts.begin(&name);
        let lost = self.keep(source, known).await?;
        if let Some(first) = lost.first() {
            let message = format!(
                "{}; and {} of its documents (such as {first:?}) cannot stay as they were, because the embedding model or \
                 spec.ingestion has changed since: nothing is published until it can be read",
                failure.message,
                lost.len()
            );
            return Err(PrepareFailure::new(&failure.reason, message, true));
        }
        self.counts.count(|counted| counted.error = Some(failure.message));
        Ok(())
    }

    /// Brings the difference.
    async fn listed(
        &self,
        source: &IngestSource,
        listed: Vec<Found>,
        known: &BTreeMap<String, KnownDocument>,
        now: i64,
    ) -> Result<()> {
        // Rights first: whoever may see less does so at once, whatever becomes of the rest.
        let changed = listed
            .iter()
            .filter_map(|found| changed(found, known.get(&found.name)?))
            .collect();
        self.filling.rights(&source.name, now, changed).await?;
        let names: BTreeSet<&str> = listed.iter().map(|found| found.name.as_str()).collect();
        let gone: Vec<String> = known
            .values()
            .filter(|document| !document.deleted && !names.contains(document.name.as_str()))
            .map(|document| document.name.clone())
            .collect();
        self.counts.count(|counted| counted.removed = gone.len() as u64);
        self.filling.remove(&source.name, gone).await?;
        let wanted = listed
            .into_iter()
            .filter(|found| !known.get(&found.name).is_some_and(|document| document.barred));
        let wanted = self.distinct(wanted.collect());
        // One whose rights cannot be read is not taken over: it is set aside.
        let same = wanted.iter().filter(|found| found.refused.is_none());
        let same = same.map(|found| (found.name.clone(), found.digest.clone())).collect();
        let whole: BTreeSet<String> = self.filling.carry(&source.name, same).await?.into_iter().collect();
        let (kept, fresh): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|found| whole.contains(&found.name));
        self.carried(&kept.into_iter().map(|found| found.name).collect::<Vec<_>>(), known);
        self.fresh(source, fresh, known, now).await
    }

    /// Reads and brings documents, several at a time, in batches of as many as are ready.
    async fn fresh(
        &self,
        source: &IngestSource,
        fresh: Vec<Found>,
        known: &BTreeMap<String, KnownDocument>,
        now: i64,
    ) -> Result<()> {
        let push = Push {
            filling: self.filling,
            embedder: self.embedder,
            counts: self.counts,
            source: &source.name,
            read: now,
        };
        let push = &push;
        let reading = fresh.into_iter().map(|found| {
            let released = known.get(&found.name).and_then(|document| document.released.clone());
            read(self.readers.clone(), found, source.ocr.clone(), released, self.filling)
        });
        stream::iter(reading)
            .buffer_unordered(self.at_once)
            .ready_chunks(PLACED)
            .map(|batch| async move {
                let batch = batch.into_iter().collect::<Result<Vec<_>>>()?;
                push.documents(batch).await
            })
            .buffer_unordered(2)
            .try_collect::<()>()
            .await
    }

    /// Without documents that have the same bytes and the same rights as one before: never across rights, never across
    /// sources.
    fn distinct(&self, mut listed: Vec<Found>) -> Vec<Found> {
        if !self.dedup {
            return listed;
        }
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        let mut seen: HashMap<(String, Rights), ()> = HashMap::new();
        let before = listed.len();
        listed.retain(|found| {
            found.refused.is_some() || seen.insert((found.digest.clone(), found.rights.clone()), ()).is_none()
        });
        let duplicates = before - listed.len();
        self.counts.count(|source| source.duplicates = duplicates as u64);
        listed
    }
}

/// The rights of a document, where they are not as they are known.
fn changed(found: &Found, known: &KnownDocument) -> Option<SentRights> {
    let acl = |names: &Option<Vec<String>>| {
        names
            .as_ref()
            .map(|names| names.iter().cloned().collect::<BTreeSet<_>>())
    };
    let is_same = known.clearance == found.rights.clearance && acl(&known.acl) == found.rights.acl;
    (!is_same && !known.deleted).then(|| SentRights {
        name: found.name.clone(),
        clearance: found.rights.clearance,
        acl: found.rights.acl.as_ref().map(|names| names.iter().cloned().collect()),
    })
}
