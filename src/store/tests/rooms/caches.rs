//! What is kept in memory follows the database.

use rooms::{Acl, Clearance, cache::Cache, index::Change};
use store::rooms::{
    Loaded, Rights, Since, changes, load, moment, quarantine, release, remove, remove_source, set_rights, sweep,
};

use super::support::{Doc, Room, doc, grant_to, open_doc, room, visible};

/// Brings an index up to date, as a gateway does before it searches.
async fn refresh(room: &Room, loaded: &mut Loaded) -> bool {
    let grant = room.jane(0);
    match changes(room.database(), &grant, loaded.head.revision).await.unwrap() {
        Since::Changes { head, changes } => {
            loaded.index.revise(&changes);
            loaded.head = head;
            true
        }
        Since::Reload(_) => {
            *loaded = load(room.database(), &grant).await.unwrap().unwrap();
            false
        }
    }
}

/// An index that was changed shows everyone what one shows that was loaded just now.
async fn is_current(room: &Room, loaded: &Loaded) {
    let fresh = load(room.database(), &room.jane(0)).await.unwrap().unwrap();
    assert_eq!(fresh.head.revision, loaded.head.revision);
    for clearance in [0, 2, 100] {
        for groups in [&[][..], &["hr"], &["ops", "hr"]] {
            let grant = grant_to(&room.key, rooms::Verb::Search, "joe", groups, clearance);
            assert_eq!(visible(&loaded.index, &grant), visible(&fresh.index, &grant));
        }
    }
}

fn of_wiki(mut doc: Doc) -> Doc {
    doc.new.source = "wiki".into();
    doc
}

#[tokio::test]
async fn an_index_follows_deletions_and_rights() {
    let room = room().await;
    let (database, ingest, curator) = (room.database(), room.ingest(), room.grant(rooms::Verb::Curate, 9));
    let documents: Vec<_> = (0..6)
        .map(|n| open_doc(&format!("d{n}"), &[&format!("text {n}"), "more"]))
        .collect();
    let wiki = [
        of_wiki(open_doc("w0", &["wiki"])),
        of_wiki(doc("w1", &["wiki"], 2, Acl::everyone())),
    ];
    room.fill(&[&documents[..], &wiki].concat()).await;
    let mut loaded = load(database, &room.jane(0)).await.unwrap().unwrap();

    let read = moment(database, &ingest).await.unwrap();
    let rights = [
        ("d0", 2, Acl::everyone()),
        ("d1", 0, super::support::acl(&["group:hr"])),
    ];
    let rights = rights.map(|(document, clearance, acl)| Rights {
        document: document.into(),
        clearance: Clearance(clearance),
        acl,
    });
    set_rights(database, &ingest, read, "files", &rights).await.unwrap();
    remove(database, &ingest, "files", &["d2", "none"]).await.unwrap();
    assert!(refresh(&room, &mut loaded).await);
    is_current(&room, &loaded).await;

    remove(database, &curator, "files", &["d3"]).await.unwrap();
    quarantine(database, &curator, "files", "d4", "Injection")
        .await
        .unwrap();
    remove_source(database, &ingest, "wiki").await.unwrap();
    let since = changes(database, &room.jane(0), loaded.head.revision).await.unwrap();
    let Since::Changes { changes, .. } = since else {
        panic!("{since:?}")
    };
    assert_eq!(changes.len(), 3, "a source is one change: {changes:?}");
    assert!(changes.contains(&Change::RemoveSource { source: "wiki".into() }));
    assert!(refresh(&room, &mut loaded).await);
    is_current(&room, &loaded).await;

    // What comes back, an index cannot be changed to.
    release(database, &curator, "files", "d4").await.unwrap();
    assert!(!refresh(&room, &mut loaded).await);
    is_current(&room, &loaded).await;
    assert!(refresh(&room, &mut loaded).await, "nothing changed since");
}

/// Somebody who heard of neither: the old chunks are gone, and the new ones are another generation's.
#[tokio::test]
async fn what_was_removed_and_came_back_is_loaded_anew() {
    let room = room().await;
    let (database, ingest) = (room.database(), room.ingest());
    room.fill(&[open_doc("a", &["old"]), open_doc("b", &["b"])]).await;
    let mut loaded = load(database, &room.jane(0)).await.unwrap().unwrap();
    remove(database, &ingest, "files", &["a"]).await.unwrap();
    let writer = store::rooms::Writer::begin(database, &ingest, super::support::recipe())
        .await
        .unwrap();
    super::support::put(&writer, database, &ingest, &[open_doc("a", &["new"])]).await;
    assert!(!refresh(&room, &mut loaded).await);
    is_current(&room, &loaded).await;
    assert_eq!(visible(&loaded.index, &room.jane(0)).len(), 1);
}

#[tokio::test]
async fn what_is_forgotten_is_loaded_anew() {
    let room = room().await;
    let (database, ingest) = (room.database(), room.ingest());
    room.fill(&[open_doc("a", &["a"]), open_doc("b", &["b"])]).await;
    let loaded = load(database, &room.jane(0)).await.unwrap().unwrap();
    remove(database, &ingest, "files", &["a"]).await.unwrap();
    let patience = std::time::Duration::from_secs(3600);
    assert_eq!(sweep(database, &ingest, patience).await.unwrap().documents, 0);
    room.test
        .tamper("UPDATE room_document SET changed = now() - interval '2 days' WHERE name = 'a'")
        .await;
    assert_eq!(sweep(database, &ingest, patience).await.unwrap().documents, 1);
    let since = changes(database, &room.jane(0), loaded.head.revision).await.unwrap();
    assert!(matches!(since, Since::Reload(_)), "{since:?}");
    // The database was brought back from a copy.
    let since = changes(database, &room.jane(0), 4711).await.unwrap();
    assert!(matches!(since, Since::Reload(_)), "{since:?}");
}

/// With the cache as a gateway has it: no change is missed, whenever it comes.
#[tokio::test]
async fn changes_while_an_index_is_loaded_are_not_missed() {
    let room = room().await;
    let (database, ingest, jane) = (room.database(), room.ingest(), room.jane(0));
    room.fill(&[open_doc("a", &["a"]), open_doc("b", &["b"])]).await;
    let mut cache = Cache::new(1 << 20);
    let loading = cache.begin(&room.key.uid);
    let loaded = load(database, &jane).await.unwrap().unwrap();
    remove(database, &ingest, "files", &["a"]).await.unwrap();
    // Nobody told the cache; the revision does.
    let index = cache.insert(loading, loaded.index).unwrap();
    assert_eq!(visible(&index, &jane).len(), 2);
    let since = changes(database, &jane, loaded.head.revision).await.unwrap();
    let Since::Changes { changes, .. } = since else {
        panic!("{since:?}")
    };
    assert_eq!(cache.revise(&room.key.uid, &changes), 1);
    let index = cache.get(&jane, 1).unwrap();
    assert_eq!(visible(&index, &jane).len(), 1);
}
