//! What curators decide, and that they decide on what they see.

use std::time::Duration;

use rooms::{Acl, Verb};
use store::rooms::{
    Picture, Placed, Writer, document, known, picture, quarantine, quarantined, release, remove, sweep,
};

use super::support::{acl, aside, doc, grant_to, open_doc, put, recipe, room};

#[tokio::test]
async fn what_a_curator_removes_no_writer_brings_back() {
    let room = room().await;
    let (database, ingest, curator) = (room.database(), room.ingest(), room.grant(Verb::Curate, 1));
    let both = [open_doc("a", &["a"]), open_doc("b", &["b"])];
    room.fill(&both).await;
    assert_eq!(remove(database, &curator, "files", &["a"]).await.unwrap(), 1);
    assert_eq!(remove(database, &curator, "files", &["a"]).await.unwrap(), 0);
    assert_eq!(room.finds(&room.jane(0)).await, ["b"]);
    assert_eq!(
        room.test
            .number("SELECT count(*) FROM room_chunk WHERE text = 'a'")
            .await,
        0,
        "it is gone"
    );
    let writer = Writer::begin(database, &ingest, recipe()).await.unwrap();
    let placed = put(&writer, database, &ingest, &both).await;
    assert_eq!(placed[0], Placed::Barred);
    assert!(matches!(placed[1], Placed::Here(_)));
    assert!(known(database, &ingest, "files", "").await.unwrap()[0].is_barred);
    // Unless one lets it in again.
    assert!(release(database, &curator, "files", "a").await.unwrap());
    room.fill(&both).await;
    assert_eq!(room.finds(&room.jane(0)).await, ["a", "b"]);
    // What its source does not have any more may come back.
    assert_eq!(remove(database, &ingest, "files", &["a", "b"]).await.unwrap(), 2);
    assert!(room.finds(&room.jane(0)).await.is_empty());
    room.fill(&both).await;
    assert_eq!(room.finds(&room.jane(0)).await, ["a", "b"]);
}

#[tokio::test]
async fn for_a_curator_hidden_documents_are_not_there() {
    let room = room().await;
    let (database, curator) = (room.database(), room.grant(Verb::Curate, 1));
    room.fill(&[
        doc("high", &["high"], 2, Acl::everyone()),
        doc("listed", &["listed"], 0, acl(&["group:ops"])),
        aside("blurred", "Blurred", 2),
    ])
    .await;
    for name in ["high", "listed", "blurred", "absent"] {
        assert_eq!(remove(database, &curator, "files", &[name]).await.unwrap(), 0, "{name}");
        assert!(
            !quarantine(database, &curator, "files", name, "x").await.unwrap(),
            "{name}"
        );
        assert!(!release(database, &curator, "files", name).await.unwrap(), "{name}");
    }
    assert!(quarantined(database, &curator, None, 10).await.unwrap().is_empty());
    let everyone = grant_to(&room.key, Verb::Search, "root", &["ops"], 9);
    assert_eq!(room.finds(&everyone).await, ["high", "listed"]);
    let ops = grant_to(&room.key, Verb::Curate, "root", &["ops"], 9);
    assert_eq!(quarantined(database, &ops, None, 10).await.unwrap().len(), 1);
    assert_eq!(remove(database, &ops, "files", &["high", "listed"]).await.unwrap(), 2);
}

#[tokio::test]
async fn what_is_set_aside_is_hidden_until_it_is_released() {
    let room = room().await;
    let (database, ingest, curator) = (room.database(), room.ingest(), room.grant(Verb::Curate, 1));
    room.fill(&[open_doc("a", &["a"]), open_doc("b", &["b"])]).await;
    assert!(quarantine(database, &curator, "files", "a", "Injection").await.unwrap());
    assert_eq!(room.finds(&room.jane(0)).await, ["b"]);
    assert!(document(database, &room.jane(0), "files", "a").await.unwrap().is_none());
    let list = quarantined(database, &curator, None, 10).await.unwrap();
    assert_eq!((list.len(), &*list[0].name, &*list[0].reason), (1, "a", "Injection"));
    let writer = Writer::begin(database, &ingest, recipe()).await.unwrap();
    let placed = put(&writer, database, &ingest, &[open_doc("a", &["a"])]).await;
    assert_eq!(placed, [Placed::Quarantined]);
    assert!(release(database, &curator, "files", "a").await.unwrap());
    assert_eq!(room.finds(&room.jane(0)).await, ["a", "b"]);
    assert!(!release(database, &curator, "files", "a").await.unwrap(), "it is");
}

#[tokio::test]
async fn what_a_writer_sets_aside_stays_as_it_was_until_then() {
    let room = room().await;
    let (database, ingest, curator, jane) = (
        room.database(),
        room.ingest(),
        room.grant(Verb::Curate, 1),
        room.jane(1),
    );
    room.fill(&[open_doc("a", &["old"])]).await;
    let blurred = aside("a", "Blurred", 1);
    let writer = Writer::begin(database, &ingest, recipe()).await.unwrap();
    let placed = put(&writer, database, &ingest, std::slice::from_ref(&blurred)).await;
    let Placed::Here(id) = placed[0] else {
        panic!("{placed:?}")
    };
    let page = Picture {
        media_type: "image/png".into(),
        bytes: vec![1, 2, 3],
    };
    writer.add_picture(&ingest, id, 1, &page).await.unwrap();
    assert_eq!(room.finds(&jane).await, ["old"]);
    writer.verify(&ingest).await.unwrap();
    writer.publish(&ingest, 1).await.unwrap();
    assert!(room.finds(&jane).await.is_empty());
    // Its picture is for those who decide on it.
    assert_eq!(
        picture(database, &curator, "files", "a", 1).await.unwrap(),
        Some(page.clone())
    );
    assert_eq!(picture(database, &jane, "files", "a", 1).await.unwrap(), None);
    let list = quarantined(database, &curator, None, 10).await.unwrap();
    assert_eq!((list[0].pictures, list[0].is_released), (1, false));

    assert!(release(database, &curator, "files", "a").await.unwrap());
    assert!(quarantined(database, &curator, None, 10).await.unwrap()[0].is_released);
    assert_eq!(
        known(database, &ingest, "files", "").await.unwrap()[0].released,
        Some(blurred.new.digest)
    );
    // It is not taken over as set aside, and whoever reads it lets it in.
    let writer = Writer::begin(database, &ingest, recipe()).await.unwrap();
    let wanted = [("a".to_owned(), blurred.new.digest)];
    assert!(writer.carry(&ingest, "files", &wanted).await.unwrap().is_empty());
    let mut read = doc("a", &["blurred text"], 1, Acl::everyone());
    read.new.digest = blurred.new.digest;
    put(&writer, database, &ingest, &[read]).await;
    writer.verify(&ingest).await.unwrap();
    writer.publish(&ingest, 1).await.unwrap();
    assert_eq!(room.finds(&jane).await, ["blurred text"]);
    assert_eq!(picture(database, &jane, "files", "a", 1).await.unwrap(), Some(page));
    assert_eq!(
        picture(database, &room.jane(0), "files", "a", 1).await.unwrap(),
        None,
        "it needs what its document does"
    );
    assert_eq!(picture(database, &jane, "files", "a", 2).await.unwrap(), None);
}

#[tokio::test]
async fn pictures_go_when_no_generation_has_the_bytes() {
    let room = room().await;
    let (database, ingest) = (room.database(), room.ingest());
    for text in ["one", "two", "two", "three"] {
        let document = open_doc("a", &[text]);
        let writer = Writer::begin(database, &ingest, recipe()).await.unwrap();
        let placed = put(&writer, database, &ingest, std::slice::from_ref(&document)).await;
        let Placed::Here(id) = placed[0] else {
            panic!("{placed:?}")
        };
        let page = Picture {
            media_type: "image/jpeg".into(),
            bytes: text.into(),
        };
        writer.add_picture(&ingest, id, 1, &page).await.unwrap();
        writer.verify(&ingest).await.unwrap();
        writer.publish(&ingest, 0).await.unwrap();
        sweep(database, &ingest, Duration::from_secs(3600)).await.unwrap();
        assert_eq!(room.test.number("SELECT count(*) FROM room_page").await, 1, "{text}");
        assert_eq!(
            picture(database, &room.jane(0), "files", "a", 1).await.unwrap(),
            Some(page)
        );
    }
}
