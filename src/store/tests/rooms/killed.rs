//! Writers and servers that die: no half of anything is ever seen, and nothing is left of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use store::rooms::{Error, Placed, Writer, changes, documents, load, moment, sweep};
use store::testing::Postgres;

use super::support::{Doc, Room, chunks, filler, open_doc, recipe, room, room_on, visible, within};

/// Documents whose texts all say which generation they are of. The first one never changes.
fn tagged(tag: &str) -> Vec<Doc> {
    let tagged = |n| open_doc(&format!("d{n}"), &[&format!("{tag} {n}"), &format!("{tag} x{n}")]);
    [open_doc("same", &["same"])]
        .into_iter()
        .chain((0..3).map(tagged))
        .collect()
}

/// Fills a generation up to a step, and dies. Gives whether it came to its end.
async fn fill_to(room: &Room, documents: &[Doc], last: usize) -> Result<bool, Error> {
    let (database, grant) = (room.database(), filler(&room.key));
    let mut steps = 0;
    let mut dies = || {
        steps += 1;
        steps > last
    };
    if dies() {
        return Ok(false);
    }
    let writer = Writer::begin(database, &grant, recipe()).await?;
    if dies() {
        return Ok(false);
    }
    let wanted: Vec<_> = documents
        .iter()
        .map(|doc| (doc.new.name.clone(), doc.new.digest))
        .collect();
    let have = writer.carry(&grant, "files", &wanted).await?;
    let rest: Vec<_> = documents.iter().filter(|doc| !have.contains(&doc.new.name)).collect();
    for doc in rest {
        if dies() {
            return Ok(false);
        }
        let read = moment(database, &grant).await?;
        let placed = writer.place(&grant, read, std::slice::from_ref(&doc.new)).await?;
        let Placed::Here(id) = placed[0] else {
            panic!("{placed:?}")
        };
        for chunk in chunks(id, doc) {
            if dies() {
                return Ok(false);
            }
            writer.add(&grant, &[chunk]).await?;
        }
    }
    if dies() {
        return Ok(false);
    }
    writer.verify(&grant).await?;
    if dies() {
        return Ok(false);
    }
    writer.publish(&grant, 1).await?;
    Ok(true)
}

/// What jane sees is the whole of one generation; gives its tag.
async fn whole(room: &Room) -> String {
    let jane = room.jane(0);
    let texts = room.finds(&jane).await;
    assert_eq!(texts.len(), 7, "{texts:?}");
    let tagged: Vec<_> = texts.iter().filter(|text| *text != "same").collect();
    assert_eq!(tagged.len(), 6, "{texts:?}");
    let tag = tagged[0].split(' ').next().unwrap();
    assert!(
        tagged.iter().all(|text| text.split(' ').next() == Some(tag)),
        "{texts:?}"
    );
    let listing = documents(room.database(), &jane, None, 100).await.unwrap();
    assert_eq!((listing.total, listing.documents.len()), (Some(4), 4));
    tag.to_owned()
}

/// After a sweep there is what the generations have that are kept, and nothing else.
async fn is_swept(room: &Room, generations: i64) {
    within(sweep(room.database(), &room.ingest(), Duration::ZERO))
        .await
        .unwrap();
    for (count, expected) in [
        ("SELECT count(*) FROM room_generation", generations),
        ("SELECT count(*) FROM room_content", 4 * generations),
        ("SELECT count(*) FROM room_chunk", 7 * generations),
        ("SELECT count(*) FROM room_document", 4),
    ] {
        assert_eq!(room.test.number(count).await, expected, "{count}");
    }
}

#[tokio::test]
async fn a_writer_that_dies_at_any_step_leaves_nothing_that_is_seen() {
    let room = room().await;
    assert!(fill_to(&room, &tagged("first"), usize::MAX).await.unwrap());
    let before = load(room.database(), &room.jane(0)).await.unwrap().unwrap();
    let mut last = 0;
    let mut deaths = 0;
    while !fill_to(&room, &tagged("second"), last).await.unwrap() {
        deaths += 1;
        assert_eq!(whole(&room).await, "first", "after step {last}");
        // Whoever has an index goes on with it.
        let since = changes(room.database(), &room.jane(0), before.head.revision)
            .await
            .unwrap();
        assert!(matches!(since, store::rooms::Since::Changes { changes, .. } if changes.is_empty()));
        if last % 3 == 0 {
            is_swept(&room, 1).await;
        }
        last += 1;
    }
    assert_eq!((deaths, whole(&room).await), (13, "second".to_owned()));
    is_swept(&room, 2).await;
}

/// Documents that only a dead writer has seen are nobody's.
#[tokio::test]
async fn what_only_a_dead_writer_saw_is_forgotten() {
    let room = room().await;
    assert!(fill_to(&room, &tagged("first"), usize::MAX).await.unwrap());
    let others: Vec<_> = (0..3).map(|n| open_doc(&format!("other {n}"), &["other"])).collect();
    assert!(!fill_to(&room, &others, 7).await.unwrap());
    assert!(room.test.number("SELECT count(*) FROM room_document").await > 4);
    is_swept(&room, 1).await;
    assert_eq!(whole(&room).await, "first");
}

/// One who is only slow is given up after its time, and finds out.
#[tokio::test]
async fn a_writer_that_is_given_up_writes_no_more() {
    let room = room().await;
    let (database, ingest) = (room.database(), room.ingest());
    let writer = Writer::begin(database, &ingest, recipe()).await.unwrap();
    assert_eq!(
        sweep(database, &ingest, Duration::from_secs(3600))
            .await
            .unwrap()
            .generations,
        0
    );
    writer.add(&ingest, &[]).await.unwrap();
    assert_eq!(sweep(database, &ingest, Duration::ZERO).await.unwrap().generations, 1);
    assert!(matches!(writer.add(&ingest, &[]).await, Err(Error::Fenced)));
    assert!(matches!(writer.verify(&ingest).await, Err(Error::Fenced)));
    assert!(matches!(writer.publish(&ingest, 1).await, Err(Error::Fenced)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_is_killed_has_one_generation_or_another() {
    let server = Postgres::start();
    let room = Arc::new(room_on(&server).await);
    assert!(fill_to(&room, &tagged("g0"), usize::MAX).await.unwrap());
    let is_over = Arc::new(AtomicBool::new(false));
    let writer = {
        let (room, is_over) = (room.clone(), is_over.clone());
        tokio::spawn(async move {
            let mut generation = 0;
            while !is_over.load(Ordering::Relaxed) {
                generation += 1;
                let filled = fill_to(&room, &tagged(&format!("g{generation}")), usize::MAX).await;
                match filled {
                    Ok(_) | Err(Error::Database(_)) => {}
                    Err(error) => panic!("{error}"),
                }
                let _ = sweep(room.database(), &room.ingest(), Duration::from_secs(3600)).await;
            }
        })
    };
    for round in 0..5u64 {
        tokio::time::sleep(Duration::from_millis(60 + 37 * round)).await;
        server.kill();
        server.restart();
        // Its connections are gone, and the pool finds out.
        within(async {
            while documents(room.database(), &room.jane(0), None, 1).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        let jane = room.jane(0);
        let loaded = within(load(room.database(), &jane)).await.unwrap().unwrap();
        assert_eq!(visible(&loaded.index, &jane).len(), 7);
    }
    is_over.store(true, Ordering::Relaxed);
    within(writer).await.unwrap();
    assert!(fill_to(&room, &tagged("last"), usize::MAX).await.unwrap());
    assert_eq!(whole(&room).await, "last");
    is_swept(&room, 2).await;
}
