//! Lists and single documents: nothing tells of what is hidden.

use rooms::{Acl, Verb};
use store::rooms::{Document, Listing, Writer, document, documents, overview};

use super::support::{acl, aside, doc, grant_to, open_doc, put, recipe, room};

fn names(listing: &Listing) -> Vec<&str> {
    listing.documents.iter().map(|document| &*document.name).collect()
}

#[tokio::test]
async fn only_what_somebody_sees_is_listed_and_counted() {
    let room = room().await;
    let all = [
        open_doc("a", &["a", "aa"]),
        doc("b", &["b"], 2, Acl::everyone()),
        doc("c", &["c"], 0, acl(&["group:ops"])),
        doc("d", &["d"], 0, acl(&[])),
        doc("e", &["e"], 1, acl(&["user:jane", "group:ops"])),
        aside("f", "Blurred", 0),
        // Kinds of names that nobody knows admit nobody.
        doc("g", &["g"], 0, acl(&["jane", "robot:jane", "user:hr", "group:jane"])),
    ];
    room.fill(&all).await;
    for (grant, expected) in [
        (room.jane(0), &["a"][..]),
        (room.jane(1), &["a", "e"]),
        (room.jane(2), &["a", "b", "e"]),
        (grant_to(&room.key, Verb::Ask, "joe", &["ops"], 1), &["a", "c", "e"]),
        (grant_to(&room.key, Verb::Contribute, "joe", &[], 0), &["a"]),
        (room.grant(Verb::Curate, 1), &["a", "e"]),
        (room.grant(Verb::RedTeam, 1), &["a", "e"]),
    ] {
        let listing = documents(room.database(), &grant, None, 100).await.unwrap();
        assert_eq!(names(&listing), expected);
        assert_eq!((listing.total, listing.next), (Some(expected.len() as u64), None));
        for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            let found = document(room.database(), &grant, "files", name).await.unwrap();
            assert_eq!(found.is_some(), expected.contains(&name), "{name}");
            assert!(document(room.database(), &grant, "wiki", name).await.unwrap().is_none());
        }
    }
    let listing = documents(room.database(), &room.jane(0), None, 1).await.unwrap();
    let expected = Document {
        source: "files".into(),
        name: "a".into(),
        title: Some("Title of a".into()),
        origin: Some("/files/a".into()),
        clearance: rooms::Clearance(0),
        digest: all[0].new.digest,
        bytes: 10,
        pages: Some(2),
        chunks: 2,
    };
    assert_eq!(listing.documents, [expected]);
    let overview = overview(room.database(), &room.ingest()).await.unwrap();
    assert_eq!((overview.documents, overview.chunks), (6, 7));
}

#[tokio::test]
async fn pages_follow_each_other() {
    let room = room().await;
    let mut all: Vec<_> = (0..7).map(|n| open_doc(&format!("d{n}"), &["x"])).collect();
    // Among hidden ones.
    all.extend((0..7).map(|n| doc(&format!("d{n}h"), &["x"], 9, Acl::everyone())));
    for n in [3, 5] {
        all[n].new.source = "wiki".into();
    }
    room.fill(&all).await;
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = documents(room.database(), &room.jane(0), after.as_ref(), 3)
            .await
            .unwrap();
        assert_eq!(page.total, after.is_none().then_some(7));
        seen.extend(names(&page).iter().map(|&name| name.to_owned()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["d0", "d1", "d2", "d4", "d6", "d3", "d5"]);
    let none = documents(room.database(), &room.jane(0), None, 0).await.unwrap();
    assert!(none.documents.is_empty() && none.total == Some(7));
}

#[tokio::test]
async fn nothing_of_a_generation_that_is_building_is_listed() {
    let room = room().await;
    let (database, ingest) = (room.database(), room.ingest());
    let empty = documents(database, &room.jane(0), None, 10).await.unwrap();
    assert!(empty.documents.is_empty() && empty.total == Some(0) && empty.next.is_none());
    assert!(room.finds(&room.jane(0)).await.is_empty());
    room.fill(&[open_doc("a", &["old"])]).await;
    let before = documents(database, &room.jane(0), None, 10).await.unwrap();
    let writer = Writer::begin(database, &ingest, recipe()).await.unwrap();
    let mut renamed = open_doc("a", &["new", "newer"]);
    renamed.new.title = Some("Another title".into());
    put(
        &writer,
        database,
        &ingest,
        &[renamed, open_doc("b", &["b"]), aside("c", "Blurred", 0)],
    )
    .await;
    assert_eq!(documents(database, &room.jane(0), None, 10).await.unwrap(), before);
    assert!(document(database, &room.jane(0), "files", "b").await.unwrap().is_none());
    let overview = overview(database, &ingest).await.unwrap();
    assert_eq!((overview.documents, overview.quarantined), (1, vec![]));
}
