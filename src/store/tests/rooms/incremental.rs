//! Generations that take over what did not change.

use rooms::{Acl, Clearance};
use store::rooms::{Placed, Recipe, Rights, Writer, moment, remove, set_rights};

use super::support::{Doc, aside, doc, open_doc, put, recipe, room};

fn wanted(documents: &[Doc]) -> Vec<(String, [u8; 32])> {
    documents
        .iter()
        .map(|doc| (doc.new.name.clone(), doc.new.digest))
        .collect()
}

#[tokio::test]
async fn only_what_changed_is_sent_again() {
    let room = room().await;
    let (database, ingest) = (room.database(), room.ingest());
    let first = [
        open_doc("a", &["one", "two"]),
        open_doc("b", &["three"]),
        open_doc("gone", &["four"]),
        aside("c", "Blurred", 0),
    ];
    room.fill(&first).await;
    // Vectors that no writer makes: they can only have been copied.
    room.test
        .tamper("UPDATE room_chunk SET tokens = 77 WHERE text = 'two'")
        .await;

    let second = [
        open_doc("a", &["one", "two"]),
        open_doc("b", &["three anew"]),
        open_doc("new", &["five"]),
        aside("c", "Blurred", 0),
    ];
    let writer = Writer::begin(database, &ingest, recipe()).await.unwrap();
    let have = writer.carry(&ingest, "files", &wanted(&second)).await.unwrap();
    assert_eq!(have.iter().collect::<Vec<_>>(), ["a", "c"]);
    // Once more, it is the same.
    assert_eq!(writer.carry(&ingest, "files", &wanted(&second)).await.unwrap(), have);
    assert!(
        writer
            .carry(&ingest, "wiki", &wanted(&second))
            .await
            .unwrap()
            .is_empty()
    );
    let rest: Vec<_> = second
        .iter()
        .filter(|doc| !have.contains(&doc.new.name))
        .cloned()
        .collect();
    put(&writer, database, &ingest, &rest).await;
    let verified = writer.verify(&ingest).await.unwrap();
    assert_eq!((verified.documents, verified.quarantined, verified.chunks), (3, 1, 4));
    writer.publish(&ingest, 1).await.unwrap();
    assert_eq!(room.finds(&room.jane(0)).await, ["five", "one", "three anew", "two"]);
    let copied = "SELECT count(*) FROM room_chunk WHERE generation = 2 AND tokens = 77";
    assert_eq!(room.test.number(copied).await, 1);
    // The same chunk has the same name.
    let stable =
        "SELECT count(*) FROM room_chunk a JOIN room_chunk b USING (id) WHERE a.generation = 1 AND b.generation = 2";
    assert_eq!(room.test.number(stable).await, 3);
}

#[tokio::test]
async fn nothing_is_taken_over_from_another_recipe() {
    let room = room().await;
    let (database, ingest) = (room.database(), room.ingest());
    let documents = [open_doc("a", &["one"])];
    room.fill(&documents).await;
    let changed: [fn(&mut Recipe); 4] = [
        |recipe| recipe.model = "other".into(),
        |recipe| recipe.digest = "sha256:2".into(),
        |recipe| recipe.dimension = 16,
        |recipe| recipe.settings = "256/32".into(),
    ];
    for change in changed {
        let mut recipe = recipe();
        change(&mut recipe);
        let writer = Writer::begin(database, &ingest, recipe).await.unwrap();
        assert!(
            writer
                .carry(&ingest, "files", &wanted(&documents))
                .await
                .unwrap()
                .is_empty()
        );
    }
}

/// A writer that died had seen other bytes of the document: those of the live generation count.
#[tokio::test]
async fn bytes_are_compared_with_those_of_the_live_generation() {
    let room = room().await;
    let (database, ingest) = (room.database(), room.ingest());
    room.fill(&[open_doc("a", &["old"])]).await;
    let died = Writer::begin(database, &ingest, recipe()).await.unwrap();
    put(&died, database, &ingest, &[open_doc("a", &["new"])]).await;
    let writer = Writer::begin(database, &ingest, recipe()).await.unwrap();
    let new = wanted(&[open_doc("a", &["new"])]);
    assert!(writer.carry(&ingest, "files", &new).await.unwrap().is_empty());
    let old = wanted(&[open_doc("a", &["old"])]);
    assert_eq!(writer.carry(&ingest, "files", &old).await.unwrap().len(), 1);
}

#[tokio::test]
async fn rights_and_deletions_go_along() {
    let room = room().await;
    let (database, ingest) = (room.database(), room.ingest());
    let documents = [
        open_doc("a", &["one"]),
        open_doc("b", &["two"]),
        open_doc("c", &["three"]),
    ];
    room.fill(&documents).await;
    let read = moment(database, &ingest).await.unwrap();
    let narrowed = Rights {
        document: "a".into(),
        clearance: Clearance(4),
        acl: Acl::everyone(),
    };
    set_rights(database, &ingest, read, "files", &[narrowed]).await.unwrap();
    remove(database, &ingest, "files", &["b"]).await.unwrap();
    let writer = Writer::begin(database, &ingest, recipe()).await.unwrap();
    let have = writer.carry(&ingest, "files", &wanted(&documents)).await.unwrap();
    assert_eq!(have.iter().collect::<Vec<_>>(), ["a", "c"]);
    // Removed after it was taken over.
    remove(database, &ingest, "files", &["c"]).await.unwrap();
    let verified = writer.verify(&ingest).await.unwrap();
    assert_eq!((verified.documents, verified.chunks), (1, 1));
    writer.publish(&ingest, 1).await.unwrap();
    assert!(room.finds(&room.jane(3)).await.is_empty());
    assert_eq!(room.finds(&room.jane(4)).await, ["one"]);
}

#[tokio::test]
async fn chunks_of_what_was_removed_meanwhile_are_left_out() {
    let room = room().await;
    let (database, ingest) = (room.database(), room.ingest());
    let writer = Writer::begin(database, &ingest, recipe()).await.unwrap();
    let one = doc("a", &["one"], 0, Acl::everyone());
    let placed = put(
        &writer,
        database,
        &ingest,
        &[Doc {
            texts: vec![],
            ..one.clone()
        }],
    )
    .await;
    let Placed::Here(id) = placed[0] else {
        panic!("{placed:?}")
    };
    remove(database, &ingest, "files", &["a"]).await.unwrap();
    let added = writer.add(&ingest, &super::support::chunks(id, &one)).await.unwrap();
    assert_eq!(added, 0);
    let verified = writer.verify(&ingest).await.unwrap();
    assert_eq!((verified.documents, verified.chunks), (0, 0));
    // Its source has it again.
    put(&writer, database, &ingest, &[one]).await;
    writer.verify(&ingest).await.unwrap();
    writer.publish(&ingest, 1).await.unwrap();
    assert_eq!(room.finds(&room.jane(0)).await, ["one"]);
}
