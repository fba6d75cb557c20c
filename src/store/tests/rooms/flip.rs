//! Readers beside writers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rooms::{Acl, Clearance};
use store::rooms::{Error, Placed, Rights, Writer, documents, load, moment, roll_back, set_rights, sweep, texts};

use super::support::{Doc, Room, chunks, open_doc, recipe, room, visible, within};

/// Documents whose texts all say which generation they are of.
fn tagged(generation: usize) -> Vec<Doc> {
    (0..5)
        .map(|n| {
            open_doc(
                &format!("d{n}"),
                &[&format!("g{generation} {n}"), &format!("g{generation} x{n}")],
            )
        })
        .collect()
}

/// One that was loaded and searched, with all its texts; none where it expired meanwhile.
async fn search(room: &Room) -> Option<Vec<String>> {
    let jane = room.jane(0);
    let loaded = load(room.database(), &jane).await.unwrap()?;
    let hits = visible(&loaded.index, &jane);
    match texts(
        room.database(),
        &jane,
        loaded.index.generation(),
        Some(loaded.head.revision),
        &hits,
    )
    .await
    {
        Ok(texts) => Some(texts.into_iter().map(|text| text.chunk.text).collect()),
        Err(Error::NoGeneration(_)) => None,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_see_one_generation_or_another() {
    let room = Arc::new(room().await);
    room.fill(&tagged(0)).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let readers = (0..2).map(|_| {
        let (room, is_over) = (room.clone(), is_over.clone());
        tokio::spawn(async move {
            let mut searched = 0;
            while !is_over.load(Ordering::Relaxed) || searched == 0 {
                let Some(texts) = search(&room).await else { continue };
                assert_eq!(texts.len(), 10);
                let tag = texts[0].split(' ').next().unwrap();
                assert!(
                    texts.iter().all(|text| text.split(' ').next() == Some(tag)),
                    "{texts:?}"
                );
                let listing = documents(room.database(), &room.jane(0), None, 100).await.unwrap();
                assert_eq!((listing.total, listing.documents.len()), (Some(5), 5));
                searched += 1;
            }
            searched
        })
    });
    let readers: Vec<_> = readers.collect();
    within(async {
        for generation in 1..8 {
            room.fill(&tagged(generation)).await;
            if generation % 3 == 0 {
                roll_back(room.database(), &room.ingest(), generation as i64)
                    .await
                    .unwrap();
            }
            sweep(room.database(), &room.ingest(), std::time::Duration::from_secs(3600))
                .await
                .unwrap();
        }
    })
    .await;
    is_over.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(within(reader).await.unwrap() > 0);
    }
}

/// What is committed holds for the next search, whatever is published meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_search_after_narrowing_shows_what_was_narrowed() {
    let room = Arc::new(room().await);
    room.fill(&[open_doc("a", &["a"]), open_doc("b", &["b"])]).await;
    let is_over = Arc::new(AtomicBool::new(false));
    // They know the rights as they were at first.
    let early = moment(room.database(), &room.ingest()).await.unwrap();
    let writers = {
        let (room, is_over) = (room.clone(), is_over.clone());
        tokio::spawn(async move {
            let mut generation = 0;
            while !is_over.load(Ordering::Relaxed) {
                generation += 1;
                let all = [open_doc("a", &[&format!("a {generation}")]), open_doc("b", &["b"])];
                let ingest = room.ingest();
                let writer = Writer::begin(room.database(), &ingest, recipe()).await.unwrap();
                let new: Vec<_> = all.iter().map(|doc| doc.new.clone()).collect();
                let placed = writer.place(&ingest, early, &new).await.unwrap();
                for (placed, doc) in placed.iter().zip(&all) {
                    let Placed::Here(id) = placed else { panic!("{placed:?}") };
                    writer.add(&ingest, &chunks(*id, doc)).await.unwrap();
                }
                writer.verify(&ingest).await.unwrap();
                writer.publish(&ingest, 1).await.unwrap();
            }
        })
    };
    let jane = async |clearance| {
        let ingest = room.ingest();
        let read = moment(room.database(), &ingest).await.unwrap();
        let rights = Rights {
            document: "a".into(),
            clearance: Clearance(clearance),
            acl: Acl::everyone(),
        };
        set_rights(room.database(), &ingest, read, "files", &[rights])
            .await
            .unwrap();
        let jane = room.jane(0);
        let loaded = load(room.database(), &jane).await.unwrap().unwrap();
        visible(&loaded.index, &jane).len()
    };
    within(async {
        for _ in 0..15 {
            assert_eq!(jane(3).await, 1);
            assert_eq!(jane(0).await, 2);
        }
    })
    .await;
    is_over.store(true, Ordering::Relaxed);
    within(writers).await.unwrap();
}
