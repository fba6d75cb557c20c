//! What members contribute.

use rooms::{Acl, Clearance, Verb};
use sha2::{Digest as _, Sha256};
use store::rooms::{Error, Stored, Unfit, Upload, overview, read_upload, remove, stored, sweep, uploads};

use super::support::{Room, acl, doc, grant_to, room};

fn upload(file: &str, clearance: u8) -> Upload {
    Upload {
        source: "files".into(),
        file: file.into(),
        media_type: "text/plain".into(),
        clearance: Clearance(clearance),
        acl: acl(&["group:hr"]),
        most_of_all: u64::MAX,
    }
}

async fn contribute(room: &Room, user: &str, file: &str, parts: &[&[u8]]) -> Stored {
    let grant = grant_to(&room.key, Verb::Contribute, user, &["hr"], 1);
    let mut arriving = upload(file, 1).begin(room.database(), &grant).await.unwrap();
    for part in parts {
        arriving.push(&grant, part).await.unwrap();
    }
    arriving.finish(&grant).await.unwrap()
}

#[tokio::test]
async fn a_source_takes_no_more_than_there_is_room_for() {
    let room = room().await;
    let database = room.database();
    let small = |file: &str| Upload {
        most_of_all: 10,
        ..upload(file, 0)
    };
    let jane = grant_to(&room.key, Verb::Contribute, "jane", &["hr"], 0);
    let mut first = small("a").begin(database, &jane).await.unwrap();
    first.push(&jane, b"1234567").await.unwrap();
    // What has not arrived yet counts, and so does what others have added.
    let joe = grant_to(&room.key, Verb::Contribute, "joe", &["hr"], 1);
    let mut second = small("b").begin(database, &joe).await.unwrap();
    let refused = second.push(&joe, b"1234").await;
    assert!(matches!(refused, Err(Error::Full { most: 10 })), "{refused:?}");
    second.push(&joe, b"123").await.unwrap();
    first.finish(&jane).await.unwrap();
    assert_eq!(second.finish(&joe).await.unwrap().bytes, 3);
}

#[tokio::test]
async fn a_contribution_comes_in_parts_and_is_read_in_parts() {
    let room = room().await;
    let (database, ingest) = (room.database(), room.ingest());
    let unfinished = room.grant(Verb::Contribute, 1);
    upload("unfinished", 0).begin(database, &unfinished).await.unwrap();
    assert_eq!(overview(database, &ingest).await.unwrap().newest_upload, None);
    let large = vec![7u8; 4 << 20];
    let kept = contribute(&room, "jane", "report.pdf", &[b"one", &large, b""]).await;
    assert_eq!((kept.parts, kept.bytes), (3, 3 + (4 << 20)));
    let sum: [u8; 32] = Sha256::digest([&b"one"[..], &large].concat()).into();
    assert_eq!(kept.digest, sum);
    assert_eq!((kept.clearance, &kept.acl), (Clearance(1), &acl(&["group:hr"])));
    let list = stored(database, &ingest, "files", "").await.unwrap();
    assert_eq!(list, std::slice::from_ref(&kept));
    assert!(stored(database, &ingest, "files", &kept.name).await.unwrap().is_empty());
    assert_eq!(
        read_upload(database, &ingest, kept.id, 0).await.unwrap().unwrap(),
        b"one"
    );
    assert_eq!(
        read_upload(database, &ingest, kept.id, 1).await.unwrap().unwrap(),
        large
    );
    assert_eq!(read_upload(database, &ingest, kept.id, 3).await.unwrap(), None);
    let newest = overview(database, &ingest).await.unwrap().newest_upload;
    assert!(newest.is_some(), "it is told that something arrived");
    let grant = room.grant(Verb::Contribute, 1);
    let mut arriving = upload("x", 0).begin(database, &grant).await.unwrap();
    let refused = arriving.push(&grant, &vec![0; (4 << 20) + 1]).await;
    assert!(matches!(refused, Err(Error::Unfit(Unfit::Long { .. }))), "{refused:?}");
    assert_eq!(
        stored(database, &ingest, "files", "").await.unwrap().len(),
        1,
        "the other one has not arrived"
    );
}

#[tokio::test]
async fn who_contributes_replaces_their_own_and_learns_of_no_other() {
    let room = room().await;
    let (database, ingest) = (room.database(), room.ingest());
    let first = contribute(&room, "jane", "a.txt", &[b"first"]).await;
    let other = contribute(&room, "joe", "a.txt", &[b"joe's"]).await;
    assert_ne!(first.name, other.name);
    assert!(!first.name.contains("jane"), "{}", first.name);
    let second = contribute(&room, "jane", "a.txt", &[b"second"]).await;
    assert_eq!(second.name, first.name);
    let all = stored(database, &ingest, "files", "").await.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(read_upload(database, &ingest, first.id, 0).await.unwrap(), None);
    assert_eq!(
        read_upload(database, &ingest, second.id, 0).await.unwrap().unwrap(),
        b"second"
    );
    let mine = |user: &'static str, clearance| grant_to(&room.key, Verb::Contribute, user, &[], clearance);
    assert_eq!(uploads(database, &mine("jane", 1)).await.unwrap(), [second]);
    assert_eq!(uploads(database, &mine("joe", 1)).await.unwrap(), [other]);
    assert!(
        uploads(database, &mine("joe", 0)).await.unwrap().is_empty(),
        "clearances are lost, too"
    );
    assert!(uploads(database, &mine("eve", 1)).await.unwrap().is_empty());
}

#[tokio::test]
async fn nobody_goes_on_with_what_another_began() {
    let room = room().await;
    let database = room.database();
    let jane = room.grant(Verb::Contribute, 1);
    let eve = grant_to(&room.key, Verb::Contribute, "eve", &[], 9);
    let mut arriving = upload("a", 1).begin(database, &jane).await.unwrap();
    arriving.push(&jane, b"one").await.unwrap();
    let refused = arriving.push(&eve, b"two").await;
    assert!(matches!(refused, Err(Error::Unfit(Unfit::Stranger(_)))), "{refused:?}");
    // Her clearance is lost while it comes.
    let refused = arriving.push(&room.grant(Verb::Contribute, 0), b"two").await;
    assert!(matches!(refused, Err(Error::Unfit(Unfit::Stranger(_)))), "{refused:?}");
    let refused = arriving.finish(&eve).await;
    assert!(matches!(refused, Err(Error::Unfit(Unfit::Stranger(_)))), "{refused:?}");
    assert!(stored(database, &room.ingest(), "files", "").await.unwrap().is_empty());
}

#[tokio::test]
async fn what_did_not_arrive_is_swept_away() {
    let room = room().await;
    let (database, ingest, jane) = (room.database(), room.ingest(), room.grant(Verb::Contribute, 1));
    let mut arriving = upload("a", 1).begin(database, &jane).await.unwrap();
    arriving.push(&jane, b"one").await.unwrap();
    contribute(&room, "jane", "b", &[b"two"]).await;
    let patience = std::time::Duration::from_secs(3600);
    assert_eq!(sweep(database, &ingest, patience).await.unwrap().uploads, 0);
    room.test
        .tamper("UPDATE room_upload SET at = now() - interval '2 hours'")
        .await;
    assert_eq!(sweep(database, &ingest, patience).await.unwrap().uploads, 1);
    let refused = arriving.push(&jane, b"more").await;
    assert!(matches!(refused, Err(Error::Unfit(Unfit::Stranger(_)))), "{refused:?}");
    assert_eq!(stored(database, &ingest, "files", "").await.unwrap().len(), 1);
    assert_eq!(room.test.number("SELECT count(*) FROM room_upload_part").await, 1);
}

#[tokio::test]
async fn a_contribution_goes_with_its_document() {
    let room = room().await;
    let (database, ingest) = (room.database(), room.ingest());
    let placed = contribute(&room, "jane", "a", &[b"one"]).await;
    let waiting = contribute(&room, "joe", "b", &[b"two"]).await;
    // Narrower than what was contributed.
    let mut document = doc(&placed.name, &["one"], 0, Acl::everyone());
    document.new.clearance = Clearance(0);
    room.fill(&[document]).await;
    let low = grant_to(&room.key, Verb::Curate, "carl", &["hr"], 0);
    assert_eq!(
        remove(database, &low, "files", &[&waiting.name]).await.unwrap(),
        0,
        "it is not there for them"
    );
    assert_eq!(remove(database, &low, "files", &[&placed.name]).await.unwrap(), 1);
    let left = stored(database, &ingest, "files", "").await.unwrap();
    assert_eq!(left, std::slice::from_ref(&waiting));
    // Also before it was placed.
    let curator = grant_to(&room.key, Verb::Curate, "carl", &["hr"], 1);
    assert_eq!(remove(database, &curator, "files", &[&waiting.name]).await.unwrap(), 1);
    assert_eq!(room.test.number("SELECT count(*) FROM room_upload_part").await, 0);
}
