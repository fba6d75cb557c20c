//! Rooms with documents in them.

use std::future::Future;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use rooms::{
    Acl, ChunkId, Clearance, Grant, Place, Principal, RoomKey, Verb,
    chunking::Piece,
    index::{Embedding, Index},
    search::{Options, Query, search},
};
use store::{
    Database,
    rooms::{
        DocumentId, NewChunk, NewDocument, Placed, Published, Recipe, Writer, ensure, load, moment, synced, texts,
    },
    testing::{Postgres, TestDatabase},
};

pub const DIMENSION: usize = 32;

/// Fails a test that hangs. Nothing is measured.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), future)
        .await
        .expect("the test hangs")
}

/// A Room of a database of its own.
pub struct Room {
    pub test: TestDatabase,
    pub key: RoomKey,
}

pub fn key(uid: &str) -> RoomKey {
    RoomKey {
        uid: uid.into(),
        namespace: "ns".into(),
        name: format!("room-{uid}"),
    }
}

/// A grant to somebody, who may be in groups.
pub fn grant_to(room: &RoomKey, verb: Verb, user: &str, groups: &[&str], clearance: u8) -> Grant {
    let principal = Principal {
        user: user.into(),
        groups: groups.iter().map(|&group| group.into()).collect(),
    };
    Grant::issue(room.clone(), verb, principal, Clearance(clearance), Instant::now())
}

/// For whoever fills a Room.
pub fn filler(room: &RoomKey) -> Grant {
    grant_to(room, Verb::Ingest, "system:serviceaccount:ns:ingest", &[], 0)
}

pub async fn room() -> Room {
    room_on(Postgres::shared()).await
}

pub async fn room_on(server: &Postgres) -> Room {
    let test = server.database().await;
    test.database.migrate().await.unwrap();
    let key = key("8f1c");
    open(&test.database, &key).await;
    Room { test, key }
}

/// A Room with two sources, whose rights are fresh.
pub async fn open(database: &Database, key: &RoomKey) {
    let grant = filler(key);
    ensure(database, &grant, &["files", "wiki"]).await.unwrap();
    let read = moment(database, &grant).await.unwrap();
    synced(database, &grant, read, &["files", "wiki"]).await.unwrap();
}

impl Room {
    pub fn database(&self) -> &Database {
        &self.test.database
    }

    pub fn ingest(&self) -> Grant {
        filler(&self.key)
    }

    /// Jane, who is in `hr`.
    pub fn jane(&self, clearance: u8) -> Grant {
        self.grant(Verb::Search, clearance)
    }

    pub fn grant(&self, verb: Verb, clearance: u8) -> Grant {
        grant_to(&self.key, verb, "jane", &["hr"], clearance)
    }

    pub async fn fill(&self, documents: &[Doc]) -> Published {
        fill(self.database(), &self.key, documents).await
    }

    /// What a search for everything gives now, by its texts.
    pub async fn finds(&self, grant: &Grant) -> Vec<String> {
        finds(self.database(), grant).await
    }
}

/// A document, with a chunk for each text.
#[derive(Clone)]
pub struct Doc {
    pub new: NewDocument,
    pub texts: Vec<String>,
}

pub fn doc(name: &str, texts: &[&str], clearance: u8, acl: Acl) -> Doc {
    Doc {
        new: NewDocument {
            source: "files".into(),
            name: name.into(),
            clearance: Clearance(clearance),
            acl,
            digest: digest(&texts.join("|")),
            title: Some(format!("Title of {name}")),
            origin: Some(format!("/files/{name}")),
            bytes: 10,
            pages: Some(2),
            chunks: texts.len() as u32,
            quarantined: None,
        },
        texts: texts.iter().map(|&text| text.into()).collect(),
    }
}

/// One that everyone sees.
pub fn open_doc(name: &str, texts: &[&str]) -> Doc {
    doc(name, texts, 0, Acl::everyone())
}

/// One that was set aside.
pub fn aside(name: &str, reason: &str, clearance: u8) -> Doc {
    let mut aside = doc(name, &[], clearance, Acl::everyone());
    aside.new.digest = digest(name);
    aside.new.quarantined = Some(reason.into());
    aside
}

pub fn acl(names: &[&str]) -> Acl {
    Acl::of(names.iter().map(|&name| name.to_owned()))
}

pub fn digest(text: &str) -> [u8; 32] {
    let mut digest = [7; 32];
    let mut hash = DefaultHasher::new();
    text.hash(&mut hash);
    digest[..8].copy_from_slice(&hash.finish().to_le_bytes());
    digest
}

pub fn recipe() -> Recipe {
    Recipe {
        model: "embed".into(),
        digest: "sha256:1".into(),
        dimension: DIMENSION,
        settings: "512/64".into(),
    }
}

pub fn vector(text: &str) -> Vec<f32> {
    let mut vector = vec![0.01; DIMENSION];
    for word in text.split_whitespace() {
        let mut hash = DefaultHasher::new();
        word.hash(&mut hash);
        vector[hash.finish() as usize % DIMENSION] += 1.0;
    }
    vector
}

pub fn piece(text: &str, document: &NewDocument) -> Piece {
    Piece {
        text: text.into(),
        embedded: text.into(),
        place: Place {
            page: Some(1),
            headings: vec!["One".into(), "Two \"quoted\"".into()],
            area: Some([0.1, 0.25, 0.5, 1.0]),
            offsets: Some([0, 10]),
        },
        spans: Vec::new(),
        clearance: document.clearance,
        acl: document.acl.clone(),
    }
}

pub fn chunks(id: DocumentId, doc: &Doc) -> Vec<NewChunk> {
    let of = |(ordinal, text): (usize, &String)| {
        let embedding = Embedding::new(&vector(text)).unwrap();
        let tokens = text.split_whitespace().count() as u32;
        NewChunk::new((id, &doc.new), ordinal as u32, piece(text, &doc.new), tokens, embedding).unwrap()
    };
    doc.texts.iter().enumerate().map(of).collect()
}

/// Puts documents into a generation.
pub async fn put(writer: &Writer, database: &Database, grant: &Grant, documents: &[Doc]) -> Vec<Placed> {
    let read = moment(database, grant).await.unwrap();
    let new: Vec<_> = documents.iter().map(|doc| doc.new.clone()).collect();
    let placed = writer.place(grant, read, &new).await.unwrap();
    for (placed, doc) in placed.iter().zip(documents) {
        if let Placed::Here(id) = placed {
            writer.add(grant, &chunks(*id, doc)).await.unwrap();
        }
    }
    placed
}

/// Fills a generation and publishes it. One from before is kept.
pub async fn fill(database: &Database, key: &RoomKey, documents: &[Doc]) -> Published {
    let grant = filler(key);
    let writer = Writer::begin(database, &grant, recipe()).await.unwrap();
    put(&writer, database, &grant, documents).await;
    writer.verify(&grant).await.unwrap();
    writer.publish(&grant, 1).await.unwrap()
}

/// The chunks of an index that somebody sees.
pub fn visible(index: &Index, grant: &Grant) -> Vec<ChunkId> {
    let everything = Options {
        top_k: 1000,
        min_score: -1.0,
        max_context_tokens: u32::MAX,
        ..Options::default()
    };
    let vector = vec![1.0; index.dimension()];
    let query = Query {
        vector: &vector,
        text: "everything",
    };
    let found = search(index, grant, query, &everything, Instant::now()).unwrap();
    found.hits.iter().map(|hit| hit.chunk).collect()
}

pub async fn finds(database: &Database, grant: &Grant) -> Vec<String> {
    let Some(loaded) = load(database, grant).await.unwrap() else {
        return Vec::new();
    };
    let hits = visible(&loaded.index, grant);
    let generation = loaded.index.generation();
    let texts = texts(database, grant, generation, Some(loaded.head.revision), &hits).await;
    let mut texts: Vec<_> = texts.unwrap().into_iter().map(|text| text.chunk.text).collect();
    texts.sort();
    texts
}
