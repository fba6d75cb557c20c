//! Rights: they hold at once, everywhere, and what was read later counts.

use rooms::{Acl, Clearance, Grant};
use store::rooms::{
    Error, Head, Rights, Unfit, Writer, changes, document, documents, ensure, load, load_shadow, moment, overview,
    remove_source, roll_back, set_rights, synced, texts,
};

use super::support::{Room, acl, aside, doc, grant_to, key, open_doc, put, recipe, room, visible};

fn rights(name: &str, clearance: u8, acl: Acl) -> Rights {
    Rights {
        document: name.into(),
        clearance: Clearance(clearance),
        acl,
    }
}

/// Sets rights that were read just now.
async fn set(room: &Room, all: &[Rights]) -> u64 {
    let ingest = room.ingest();
    let read = moment(room.database(), &ingest).await.unwrap();
    set_rights(room.database(), &ingest, read, "files", all).await.unwrap()
}

/// Everywhere that somebody may look, there is nothing of document `a`.
async fn sees_nothing_of_a(room: &Room, grant: &Grant, generation: i64) {
    let database = room.database();
    assert!(document(database, grant, "files", "a").await.unwrap().is_none());
    let listing = documents(database, grant, None, 10).await.unwrap();
    assert!(
        listing.documents.iter().all(|document| document.name != "a"),
        "{listing:?}"
    );
    assert_eq!(listing.total, Some(listing.documents.len() as u64));
    assert!(room.finds(grant).await.iter().all(|text| !text.starts_with("a ")));
    // By the chunks' names, in any generation.
    let all = load_shadow(database, &room.ingest(), generation).await.unwrap();
    let everyone = grant_to(&room.key, rooms::Verb::Search, "root", &["hr", "ops"], 100);
    let ids = visible(&all.index, &everyone);
    match texts(database, grant, generation, None, &ids).await {
        Ok(found) => assert!(found.iter().all(|text| text.chunk.document != "a"), "{found:?}"),
        // One that is building gives nothing at all.
        Err(Error::NoGeneration(number)) => assert_eq!((number, generation), (3, 3)),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn narrowing_holds_at_once_in_all_generations() {
    let room = room().await;
    let ingest = room.ingest();
    room.fill(&[open_doc("a", &["a one"]), open_doc("b", &["b one"])]).await;
    room.fill(&[open_doc("a", &["a two"]), open_doc("b", &["b two"])]).await;
    let writer = Writer::begin(room.database(), &ingest, recipe()).await.unwrap();
    put(
        &writer,
        room.database(),
        &ingest,
        &[open_doc("a", &["a three"]), open_doc("b", &["b three"])],
    )
    .await;

    let jane = room.jane(1);
    assert_eq!(room.finds(&jane).await, ["a two", "b two"]);
    for (narrow, wide) in [
        (rights("a", 2, Acl::everyone()), rights("a", 1, Acl::everyone())),
        (
            rights("a", 0, acl(&["user:joe", "group:ops"])),
            rights("a", 0, acl(&["group:hr"])),
        ),
        (rights("a", 0, acl(&[])), rights("a", 0, Acl::everyone())),
    ] {
        assert_eq!(set(&room, std::slice::from_ref(&narrow)).await, 1);
        assert_eq!(set(&room, &[narrow]).await, 0, "the same again is no change");
        for generation in 1..=3 {
            sees_nothing_of_a(&room, &jane, generation).await;
        }
        assert_eq!(room.finds(&jane).await, ["b two"]);
        assert_eq!(set(&room, &[wide]).await, 1);
        assert_eq!(room.finds(&jane).await, ["a two", "b two"]);
    }
    set(&room, &[rights("a", 9, Acl::everyone())]).await;
    writer.verify(&ingest).await.unwrap();
    writer.publish(&ingest, 2).await.unwrap();
    assert_eq!(room.finds(&jane).await, ["b three"]);
    roll_back(room.database(), &ingest, 1).await.unwrap();
    assert_eq!(room.finds(&jane).await, ["b one"]);
    assert_eq!(room.finds(&room.jane(9)).await, ["a one", "b one"]);
    // In each row that has a clearance, for row-level security goes by that.
    for table in ["room_chunk", "room_content"] {
        let wrong = format!(
            "SELECT count(*) FROM {table} t JOIN room_document d ON d.id = t.document WHERE t.clearance <> d.clearance"
        );
        assert_eq!(room.test.number(&wrong).await, 0);
    }
}

#[tokio::test]
async fn what_was_read_earlier_replaces_nothing() {
    let room = room().await;
    let (database, ingest, jane) = (room.database(), room.ingest(), room.jane(0));
    let early = moment(database, &ingest).await.unwrap();
    room.fill(&[open_doc("a", &["a"])]).await;
    let before = moment(database, &ingest).await.unwrap();
    set(&room, &[rights("a", 5, Acl::everyone())]).await;
    // A slow reader of rights, and a writer that had begun before.
    for read in [early, before] {
        let changed = set_rights(database, &ingest, read, "files", &[rights("a", 0, Acl::everyone())]).await;
        assert_eq!(changed.unwrap(), 0);
        let writer = Writer::begin(database, &ingest, recipe()).await.unwrap();
        let placed = writer.place(&ingest, read, &[open_doc("a", &["a"]).new]).await.unwrap();
        assert_eq!(placed.len(), 1);
        assert!(room.finds(&jane).await.is_empty());
    }
    // What confirms rights makes them newer, too.
    let between = moment(database, &ingest).await.unwrap();
    set(&room, &[rights("a", 5, Acl::everyone())]).await;
    let late = set_rights(database, &ingest, between, "files", &[rights("a", 0, Acl::everyone())]).await;
    assert_eq!(late.unwrap(), 0);
    assert_eq!(
        set(
            &room,
            &[rights("a", 0, Acl::everyone()), rights("unknown", 0, Acl::everyone())]
        )
        .await,
        1
    );
    assert_eq!(room.finds(&jane).await, ["a"]);
}

#[tokio::test]
async fn a_writer_that_reads_narrower_rights_narrows_at_once() {
    let room = room().await;
    let ingest = room.ingest();
    room.fill(&[open_doc("a", &["a"])]).await;
    let writer = Writer::begin(room.database(), &ingest, recipe()).await.unwrap();
    put(
        &writer,
        room.database(),
        &ingest,
        &[doc("a", &["a new"], 3, Acl::everyone())],
    )
    .await;
    assert!(room.finds(&room.jane(0)).await.is_empty());
    // And content only when it is published.
    assert_eq!(room.finds(&room.jane(3)).await, ["a"]);
}

#[tokio::test]
async fn rights_age_is_that_of_the_oldest_source() {
    let room = room().await;
    let (database, ingest, jane) = (room.database(), room.ingest(), room.jane(0));
    let age = async || -> Option<std::time::Duration> {
        let since = changes(database, &jane, 0).await.unwrap();
        let store::rooms::Since::Changes {
            head: Head { rights_age, .. },
            ..
        } = since
        else {
            panic!("{since:?}")
        };
        rights_age
    };
    assert!(age().await.is_some());
    ensure(database, &ingest, &["files", "wiki", "new"]).await.unwrap();
    assert_eq!(age().await, None, "there is one of which rights were never read");
    let read = moment(database, &ingest).await.unwrap();
    synced(database, &ingest, read, &["new"]).await.unwrap();
    // An hour ago, by the clock of the database.
    let back = "UPDATE room_source SET rights_read_at = now() - interval '1 hour' WHERE source = 'wiki'";
    room.test.tamper(back).await;
    synced(database, &ingest, read, &["new"]).await.unwrap();
    let hour = std::time::Duration::from_secs(3600);
    let oldest = age().await.unwrap();
    assert!(oldest >= hour && oldest < 2 * hour, "{oldest:?}");
    room.fill(&[open_doc("a", &["a"]), aside("b", "Blurred", 0)]).await;
    let loaded = load(database, &jane).await.unwrap().unwrap();
    assert!(loaded.head.rights_age.unwrap() >= hour);
    // An earlier reading does not make it older, and a later one by a slow clock none negative.
    let future = "UPDATE room SET rights_read_at = now() + interval '1 hour'";
    room.test.tamper(future).await;
    assert_eq!(age().await, Some(std::time::Duration::ZERO));
    remove_source(database, &ingest, "wiki").await.unwrap();
    assert!(age().await.unwrap() < hour);
    let overview = overview(database, &ingest).await.unwrap();
    let sources: Vec<_> = overview
        .sources
        .iter()
        .map(|source| (&*source.name, source.documents))
        .collect();
    assert_eq!(sources, [("files", 1), ("new", 0)]);
    assert_eq!(overview.quarantined, [("Blurred".to_owned(), 1)]);
    assert_eq!((overview.documents, overview.chunks), (1, 1));
}

#[tokio::test]
async fn rights_that_are_none_are_refused() {
    let room = room().await;
    let (database, ingest) = (room.database(), room.ingest());
    let read = moment(database, &ingest).await.unwrap();
    let refused = set_rights(database, &ingest, read, "files", &[rights("a", 101, Acl::everyone())]).await;
    assert!(matches!(refused, Err(Error::Unfit(Unfit::Stranger(_)))), "{refused:?}");
    let twice = [rights("a", 1, Acl::everyone()), rights("a", 2, Acl::everyone())];
    let refused = set_rights(database, &ingest, read, "files", &twice).await;
    assert!(matches!(refused, Err(Error::Unfit(Unfit::Twice(_)))), "{refused:?}");
    // What a grant says above 100 is 100.
    room.fill(&[doc("a", &["a"], 100, Acl::everyone())]).await;
    assert_eq!(room.finds(&room.jane(255)).await, ["a"]);
    let other = grant_to(&key("none"), rooms::Verb::Ingest, "jane", &[], 0);
    assert!(matches!(moment(database, &other).await, Err(Error::NoRoom)));
}
