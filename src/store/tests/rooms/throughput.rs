//! How fast Rooms are filled, loaded and read: `cargo test -p atelier-store --test rooms --release -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use rooms::index::Embedding;
use store::rooms::{
    NewChunk, Placed, Recipe, Rights, Writer, changes, documents, load, moment, purge, set_rights, sweep, texts,
};
use store::testing::Postgres;

use super::support::{Doc, doc, piece, room_on, visible};

const DOCUMENTS: usize = 5000;
const CHUNKS: usize = 20;
const DIMENSION: usize = 384;

fn told(what: &str, since: Instant, times: usize) {
    let each = since.elapsed().as_secs_f64() / times as f64;
    println!("{what}: {:.3} ms each, {:.0} per second", each * 1000.0, 1.0 / each);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn rooms_per_second() {
    let server = Postgres::start_with(&["shared_buffers=256MB"]);
    let room = room_on(&server).await;
    let database = room.database();
    let recipe = Recipe {
        dimension: DIMENSION,
        ..super::support::recipe()
    };
    let text = "the pump of the second line has to be looked after every three months ".repeat(28);
    let all: Vec<Doc> = (0..DOCUMENTS)
        .map(|n| {
            doc(
                &format!("document {n}"),
                &vec![&*text; CHUNKS],
                (n % 3) as u8,
                super::support::acl(&["group:hr"]),
            )
        })
        .collect();
    let vector: Vec<f32> = (0..DIMENSION).map(|n| (n as f32).sin()).collect();

    let began = Instant::now();
    let writer = Writer::begin(database, &room.ingest(), recipe.clone()).await.unwrap();
    for batch in all.chunks(50) {
        let ingest = room.ingest();
        let read = moment(database, &ingest).await.unwrap();
        let new: Vec<_> = batch.iter().map(|doc| doc.new.clone()).collect();
        let placed = writer.place(&ingest, read, &new).await.unwrap();
        let mut chunks = Vec::new();
        for (placed, doc) in placed.iter().zip(batch) {
            let Placed::Here(id) = placed else { panic!("{placed:?}") };
            chunks.extend(doc.texts.iter().enumerate().map(|(ordinal, text)| {
                let embedding = Embedding::new(&vector).unwrap();
                NewChunk::new((*id, &doc.new), ordinal as u32, piece(text, &doc.new), 400, embedding).unwrap()
            }));
        }
        writer.add(&ingest, &chunks).await.unwrap();
    }
    told("chunks added", began, DOCUMENTS * CHUNKS);
    let began = Instant::now();
    writer.verify(&room.ingest()).await.unwrap();
    told("verified", began, 1);
    let began = Instant::now();
    writer.publish(&room.ingest(), 1).await.unwrap();
    told("published", began, 1);

    let began = Instant::now();
    let writer = Writer::begin(database, &room.ingest(), recipe).await.unwrap();
    for batch in all.chunks(500) {
        let wanted: Vec<_> = batch.iter().map(|doc| (doc.new.name.clone(), doc.new.digest)).collect();
        let have = writer.carry(&room.ingest(), "files", &wanted).await.unwrap();
        assert_eq!(have.len(), batch.len());
    }
    told("chunks taken over", began, DOCUMENTS * CHUNKS);

    let began = Instant::now();
    let loaded = load(database, &room.jane(9)).await.unwrap().unwrap();
    told("chunks loaded", began, DOCUMENTS * CHUNKS);
    let hits = visible(&loaded.index, &room.jane(9));
    let revision = loaded.head.revision;
    let times = 500;
    let began = Instant::now();
    for _ in 0..times {
        changes(database, &room.jane(9), revision).await.unwrap();
    }
    told("changes asked for", began, times);
    let began = Instant::now();
    for n in 0..times {
        let some = &hits[n % 900..][..8];
        assert_eq!(
            texts(database, &room.jane(9), 1, Some(revision), some)
                .await
                .unwrap()
                .len(),
            8
        );
    }
    told("texts of 8 chunks", began, times);
    let began = Instant::now();
    for _ in 0..20 {
        documents(database, &room.jane(9), None, 100).await.unwrap();
    }
    told("pages of documents", began, 20);

    let rights: Vec<_> = (all.iter().take(1000))
        .map(|doc| Rights {
            document: doc.new.name.clone(),
            clearance: rooms::Clearance(7),
            acl: doc.new.acl.clone(),
        })
        .collect();
    let began = Instant::now();
    let read = moment(database, &room.ingest()).await.unwrap();
    set_rights(database, &room.ingest(), read, "files", &rights)
        .await
        .unwrap();
    told("documents narrowed", began, 1000);
    let began = Instant::now();
    let swept = sweep(database, &room.ingest(), Duration::ZERO).await.unwrap();
    told("chunks swept away", began, swept.chunks as usize);
    let began = Instant::now();
    purge(database, &room.key.uid).await.unwrap();
    told("purged", began, 1);
}
