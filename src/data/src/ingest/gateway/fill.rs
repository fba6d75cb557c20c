//! A generation, and what is put into it.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use protocol::PrepareFailure;
use protocol::report::reasons;
use protocol::rooms::ingest::{
    AddChunks, Added, Begin, Begun, Carried, Carry, Changed, Known, KnownDocument, NewChunk, NewDocument,
    PlaceDocuments, Placed, PlacedDocuments, Publish, Published, Recipe, Removed, Rights, SetRights, Verified,
};
use protocol::rooms::state::State;
use protocol::rooms::uploads::{Upload, Uploads};
use protocol::rooms::{MAX_BATCH, MAX_BODY, PREFIX, TOKEN_HEADER, code};
use reqwest::Method;
use rooms::{Acl, redteam};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::call::Call;
use super::{GATEWAY_FAILED, Gateway};
use crate::failure::{Result, disk};

/// Bytes of a chunk's JSON beside its text and vector.
const AROUND: usize = 512;

/// A generation that is being filled.
#[derive(Clone, Debug)]
pub struct Filling {
    gateway: Gateway,
    /// Path of the Room.
    room: String,
    begun: Begun,
}

/// What a Room knows of a source.
#[derive(Debug, Default)]
pub struct KnownSource {
    /// When that was asked, by the clock of the database: before the source is read.
    pub now: i64,
    /// Its documents.
    pub documents: BTreeMap<String, KnownDocument>,
}

impl Filling {
    /// Begins a generation, or goes on with one that was begun with the same recipe.
    ///
    /// # Errors
    /// When the gateway says no, or nothing.
    pub async fn begin(gateway: &Gateway, namespace: &str, room: &str, recipe: Recipe) -> Result<Self> {
        let room = format!("{PREFIX}{namespace}/{room}");
        let body = json(&Begin { recipe, anew: false })?;
        let call = Call {
            body,
            ..Call::new(Method::POST, format!("{room}/generations"))
        };
        let begun = gateway
            .json(&call)
            .await
            .map_err(|error| error.failure("begin a generation of the Room"))?;
        Ok(Self {
            gateway: gateway.clone(),
            room,
            begun,
        })
    }

    /// Its number.
    pub fn generation(&self) -> i64 {
        self.begun.generation
    }

    /// When this Job began, by the clock of the database.
    pub fn begun_at(&self) -> i64 {
        self.begun.now
    }

    /// Whether an earlier Job has begun it.
    pub fn is_resumed(&self) -> bool {
        self.begun.resumed
    }

    fn call(&self, method: Method, rest: &str) -> Call<'static> {
        let path = format!("{}/generations/{}{rest}", self.room, self.begun.generation);
        let mut call = Call::new(method, path);
        call.headers.push((TOKEN_HEADER, self.begun.token.clone()));
        call
    }

    async fn post<T: DeserializeOwned>(&self, rest: &str, body: &impl Serialize, what: &str) -> Result<T> {
        let mut call = self.call(Method::POST, rest);
        call.body = json(body)?;
        self.gateway.json(&call).await.map_err(|error| error.failure(what))
    }

    /// Everything that the Room knows of a source, but for what is planted; what the gateway says instead, if it takes no documents of it: a spec
    /// may have changed since the plan was made.
    ///
    /// # Errors
    /// See [`Self::begin`]; the same for all that follows.
    pub async fn known(&self, source: &str) -> Result<std::result::Result<KnownSource, String>> {
        let mut known = KnownSource::default();
        let mut after = String::new();
        loop {
            let call = self
                .call(Method::GET, "/known")
                .query("source", source)
                .query("after", after.clone());
            let page: Known = match self.gateway.json(&call).await {
                Ok(page) => page,
                Err(error) if error.has_code(code::UNFIT) => return Ok(Err(error.to_string())),
                Err(error) => return Err(error.failure("ask what the Room knows")),
            };
            if known.now == 0 {
                known.now = page.now;
            }
            // What is planted is no document of the source: it neither goes with it nor stays.
            let documents = page.documents.into_iter().filter(|document| !is_planted(document));
            known
                .documents
                .extend(documents.map(|document| (document.name.clone(), document)));
            match page.next {
                Some(next) if next > after => after = next,
                _ => return Ok(Ok(known)),
            }
        }
    }

    /// Takes over documents by their digests; names of those that are whole in the generation now.
    pub async fn carry(&self, source: &str, documents: Vec<(String, String)>) -> Result<Vec<String>> {
        let mut whole = Vec::new();
        for batch in documents.chunks(MAX_BATCH) {
            let carry = Carry {
                source: source.to_owned(),
                documents: batch.iter().cloned().collect(),
            };
            let carried: Carried = self.post("/carry", &carry, "take over documents").await?;
            whole.extend(carried.documents);
        }
        Ok(whole)
    }

    /// Places documents of a source, up to [`MAX_BATCH`].
    pub async fn place(&self, source: &str, read: i64, documents: Vec<NewDocument>) -> Result<Vec<Placed>> {
        let count = documents.len();
        let place = PlaceDocuments {
            source: source.to_owned(),
            read,
            documents,
        };
        let placed: PlacedDocuments = self.post("/documents", &place, "place documents").await?;
        match placed.documents.len() == count {
            true => Ok(placed.documents),
            false => {
                let what = format!(
                    "failed to place {count} documents: the gateway answers about {}",
                    placed.documents.len()
                );
                Err(PrepareFailure::new(GATEWAY_FAILED, what, true))
            }
        }
    }

    /// Adds chunks, in as many requests as it takes.
    pub async fn add(&self, chunks: Vec<NewChunk>) -> Result<u64> {
        let mut added = 0;
        let mut batch = AddChunks::default();
        let mut bytes = AROUND;
        for chunk in chunks {
            let size = size(&chunk);
            if !batch.chunks.is_empty() && (batch.chunks.len() >= MAX_BATCH || bytes + size > MAX_BODY) {
                added += self.add_batch(&std::mem::take(&mut batch)).await?;
                bytes = AROUND;
            }
            bytes += size;
            batch.chunks.push(chunk);
        }
        if !batch.chunks.is_empty() {
            added += self.add_batch(&batch).await?;
        }
        Ok(added)
    }

    async fn add_batch(&self, batch: &AddChunks) -> Result<u64> {
        let added: Added = self.post("/chunks", batch, "add chunks").await?;
        Ok(added.chunks)
    }

    /// Keeps the picture of a page.
    pub async fn picture(&self, document: i64, page: u32, media_type: &'static str, bytes: Vec<u8>) -> Result<()> {
        let mut call = self.call(Method::PUT, &format!("/documents/{document}/pages/{page}"));
        (call.body, call.content_type) = (bytes.into(), media_type);
        let answer = self.gateway.begin(&call).await;
        answer
            .map(drop)
            .map_err(|error| error.failure("keep the picture of a page"))
    }

    /// Says who may see documents, up to [`MAX_BATCH`] at a time.
    pub async fn rights(&self, source: &str, read: i64, documents: Vec<Rights>) -> Result<()> {
        for batch in documents.chunks(MAX_BATCH) {
            let set = SetRights {
                source: source.to_owned(),
                read,
                documents: batch.to_vec(),
                complete: false,
            };
            let _: Changed = self.post_room("/rights", &set, "say who may see documents").await?;
        }
        Ok(())
    }

    /// Takes away what a source has no more.
    pub async fn remove(&self, source: &str, names: Vec<String>) -> Result<()> {
        for batch in names.chunks(MAX_BATCH) {
            let removed = Removed {
                source: source.to_owned(),
                documents: batch.to_vec(),
            };
            let _: Changed = self.post_room("/removed", &removed, "remove documents").await?;
        }
        Ok(())
    }

    async fn post_room<T: DeserializeOwned>(&self, rest: &str, body: &impl Serialize, what: &str) -> Result<T> {
        let mut call = Call::new(Method::POST, format!("{}{rest}", self.room));
        call.headers.push((TOKEN_HEADER, self.begun.token.clone()));
        call.body = json(body)?;
        self.gateway.json(&call).await.map_err(|error| error.failure(what))
    }

    /// Counts what the generation has.
    pub async fn verify(&self) -> Result<Verified> {
        self.post("/verify", &serde_json::json!({}), "verify the generation")
            .await
    }

    /// Makes it the one that answers.
    pub async fn publish(&self, keep: u32, read: BTreeMap<String, i64>) -> Result<()> {
        let mut call = self.call(Method::POST, "/publish");
        call.body = json(&Publish { keep, read })?;
        let error = match self.gateway.json::<Published>(&call).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        // An answer that was lost is followed by one that nothing is left to publish.
        if error.has_code(code::FENCED) {
            let state = Call::new(Method::GET, format!("{}/state", self.room));
            let state: std::result::Result<State, _> = self.gateway.json(&state).await;
            if state.is_ok_and(|state| state.generation == Some(self.begun.generation)) {
                return Ok(());
            }
        }
        Err(error.failure("publish the generation"))
    }

    /// What people have uploaded to a source.
    pub async fn uploads(&self, source: &str) -> Result<Vec<Upload>> {
        let mut uploads: Vec<Upload> = Vec::new();
        let mut after = String::new();
        loop {
            let call = Call::new(Method::GET, format!("{}/uploads", self.room));
            let call = call.query("source", source).query("after", after.clone());
            let page: Uploads = self
                .gateway
                .json(&call)
                .await
                .map_err(|error| error.failure("list uploads"))?;
            uploads.extend(page.uploads);
            match page.next {
                Some(next) if next > after => after = next,
                _ => return Ok(uploads),
            }
        }
    }

    /// Brings an upload into a file, unless its bytes are not those that it should have.
    pub async fn upload(&self, upload: i64, digest: &str, to: &Path) -> Result<()> {
        let call = Call::new(Method::GET, format!("{}/uploads/{upload}", self.room));
        let mut tries = 0;
        loop {
            tries += 1;
            let response = self
                .gateway
                .begin(&call)
                .await
                .map_err(|error| error.failure("bring an upload"))?;
            let found = save(response, to).await?;
            if found.as_deref() == Some(digest) {
                return Ok(());
            }
            let error = super::call::Error::Unreachable("the bytes of an upload broke off or are others".into());
            self.gateway
                .wait(error, None, tries)
                .await
                .map_err(|error| error.failure("bring an upload"))?;
        }
    }
}

fn is_planted(document: &KnownDocument) -> bool {
    let names = document.acl.iter().flatten().cloned();
    document.acl.is_some() && redteam::is_planted(&Acl::of(names))
}

/// The digest of what has come; none where it broke off.
async fn save(mut response: reqwest::Response, to: &Path) -> Result<Option<String>> {
    let mut file = tokio::fs::File::create(to).await.map_err(disk("create", to))?;
    let mut sum = Sha256::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                sum.update(&chunk);
                file.write_all(&chunk).await.map_err(disk("write", to))?;
            }
            Ok(None) => break,
            Err(_) => return Ok(None),
        }
    }
    file.flush().await.map_err(disk("write", to))?;
    Ok(Some(hex::encode(sum.finalize())))
}

fn json(body: &impl Serialize) -> Result<Bytes> {
    let body = serde_json::to_vec(body)
        .map_err(|error| PrepareFailure::new(reasons::INTERNAL, format!("failed to write JSON: {error}"), false))?;
    Ok(body.into())
}

/// Bytes of its JSON, at most.
fn size(chunk: &NewChunk) -> usize {
    // Controls are out already, so that a byte becomes two at most.
    let headings: usize = chunk.place.headings.iter().map(|heading| 2 * heading.len() + 4).sum();
    2 * chunk.text.len() + chunk.vector.len() + headings + AROUND
}
