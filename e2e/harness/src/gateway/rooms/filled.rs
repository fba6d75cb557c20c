//! Rooms with documents in them, put there as an ingestion does.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use api::Room;
use kube::{Api, Client, ResourceExt, api::PostParams};
use rooms::{Acl, Clearance, Grant, Place, Principal, RoomKey, Verb, chunking::Piece, index::Embedding};
use serde_json::json;
use store::{
    Database,
    rooms::{NewChunk, NewDocument, Placed, Recipe, Writer, ensure, moment, synced},
};

use super::{
    super::world::NAMESPACE,
    models::{CHAT, EMBEDDER},
};

/// Components of a vector, as those of all-MiniLM-L6-v2.
pub const DIMENSION: usize = 384;
/// What few chunks say, so that answers have something to cite.
pub const SENTENCE: &str = "The pump of the second line is looked after every three months";
/// What is asked.
pub const QUESTION: &str = "How often is the pump of the second line looked after?";

const SOURCE: &str = "files";
/// Words of a chunk beside the sentence.
const WORDS: usize = 90;
const CHUNKS_OF_DOCUMENT: usize = 20;
/// The first of so many chunks has the sentence.
const CHUNKS_OF_SENTENCE: usize = 100;
/// Chunks that are written in one call.
const BATCH: usize = 1000;

/// So many Rooms with so many chunks each, all alike.
///
/// # Errors
/// When the API server or the database refuses something.
pub async fn rooms(client: &Client, database: &Database, rooms: usize, chunks: usize) -> Result<Vec<RoomKey>> {
    database.migrate().await.context("failed to migrate the database")?;
    let api = Api::<Room>::namespaced(client.clone(), NAMESPACE);
    let vectors: Vec<Embedding> = (0..chunks)
        .map(|number| Embedding::new(&vector(number)))
        .collect::<Result<_, _>>()?;
    let texts: Vec<String> = (0..chunks).map(text).collect();
    let mut keys = Vec::new();
    for number in 0..rooms {
        if number % 50 == 0 {
            eprintln!("filling Rooms: {number} of {rooms}");
        }
        let key = create(&api, &format!("room-{number}")).await?;
        fill(database, &key, &vectors, &texts)
            .await
            .with_context(|| format!("failed to fill {}", key.name))?;
        keys.push(key);
    }
    ensure!(!keys.is_empty(), "--rooms is 0");
    Ok(keys)
}

async fn create(api: &Api<Room>, name: &str) -> Result<RoomKey> {
    let room: Room = serde_json::from_value(json!({
        "apiVersion": "atelier.dev/v1alpha1", "kind": "Room", "metadata": {"name": name},
        "spec": {
            "embedding": {"name": EMBEDDER}, "model": {"name": CHAT}, "sources": [{"name": SOURCE, "upload": {}}],
        },
    }))?;
    let created = api.create(&PostParams::default(), &room).await;
    let created = created.context("failed to create a Room")?;
    Ok(RoomKey {
        uid: created.uid().context("a Room has no uid")?,
        namespace: NAMESPACE.into(),
        name: name.into(),
    })
}

async fn fill(database: &Database, key: &RoomKey, vectors: &[Embedding], texts: &[String]) -> Result<()> {
    // A grant is over soon.
    let grant = || {
        let principal = Principal {
            user: "bench".into(),
            groups: Default::default(),
        };
        Grant::issue(key.clone(), Verb::Ingest, principal, Clearance(100), Instant::now())
    };
    ensure(database, &grant(), &[SOURCE]).await?;
    let read = moment(database, &grant()).await?;
    synced(database, &grant(), read, &[SOURCE]).await?;
    let recipe = Recipe {
        model: EMBEDDER.into(),
        digest: "sha256:1".into(),
        dimension: DIMENSION,
        settings: "512/64".into(),
    };
    let writer = Writer::begin(database, &grant(), recipe).await?;
    for (batch, texts) in texts.chunks(BATCH).enumerate() {
        let documents: Vec<NewDocument> = texts
            .chunks(CHUNKS_OF_DOCUMENT)
            .enumerate()
            .map(|(number, texts)| document(batch * BATCH + number, texts.len()))
            .collect();
        let placed = writer.place(&grant(), read, &documents).await?;
        let mut chunks = Vec::new();
        for ((placed, document), (number, texts)) in placed
            .iter()
            .zip(&documents)
            .zip(texts.chunks(CHUNKS_OF_DOCUMENT).enumerate())
        {
            let Placed::Here(id) = placed else {
                anyhow::bail!("a document was not taken: {placed:?}");
            };
            for (ordinal, text) in texts.iter().enumerate() {
                let vector = &vectors[batch * BATCH + number * CHUNKS_OF_DOCUMENT + ordinal];
                let ordinal = u32::try_from(ordinal)?;
                chunks.push(NewChunk::new(
                    (*id, document),
                    ordinal,
                    piece(text),
                    150,
                    vector.clone(),
                )?);
            }
        }
        writer.add(&grant(), &chunks).await?;
    }
    writer.verify(&grant()).await?;
    writer.publish(&grant(), 1).await?;
    Ok(())
}

fn document(number: usize, chunks: usize) -> NewDocument {
    let mut digest = [7; 32];
    digest[..8].copy_from_slice(&number.to_le_bytes());
    NewDocument {
        source: SOURCE.into(),
        name: format!("document {number}"),
        clearance: Clearance(0),
        acl: Acl::everyone(),
        digest,
        title: None,
        origin: None,
        bytes: 10,
        pages: None,
        chunks: u32::try_from(chunks).unwrap_or(u32::MAX),
        quarantined: None,
    }
}

fn piece(text: &str) -> Piece {
    Piece {
        text: text.into(),
        embedded: text.into(),
        place: Place::default(),
        spans: Vec::new(),
        clearance: Clearance(0),
        acl: Acl::everyone(),
    }
}

/// One that depends on the number, and is like no other: components from -1 to 1 that follow no order.
pub fn vector(number: usize) -> Vec<f32> {
    let component = |component: usize| ((number * DIMENSION + component) as f64 * 12.9898).sin() * 43_758.545_3;
    (0..DIMENSION).map(|at| component(at).fract() as f32).collect()
}

/// Words, of which the n-th is as frequent as 1/n; now and then behind the sentence.
fn text(number: usize) -> String {
    let mut text = match number % CHUNKS_OF_SENTENCE {
        0 => format!("{SENTENCE}."),
        _ => String::new(),
    };
    for place in 0..WORDS {
        let share = ((number * WORDS + place) as f64 * 0.618_033_988_75).fract();
        text.push_str(&format!(" w{}", 20_000f64.powf(share) as u32));
    }
    text
}
