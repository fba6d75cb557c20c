//! What is planted for the red team: it is there like any document, and nobody's.

use std::collections::BTreeSet;

use rooms::{
    Clearance, Grant, Principal, Verb,
    redteam::{Canary, Role, bait_acl, canary_acl},
};
use store::rooms::{Writer, asked, document, documents, keep_answer, overview};

use super::support::{Room, acl, doc, finds, grant_to, open_doc, put, recipe, room};

fn playing(room: &Room, verb: Verb, role: Role, clearance: u8) -> Grant {
    let principal = role.principal(BTreeSet::from(["system:authenticated".to_owned()]));
    let clearance = role.clearance(Clearance(clearance));
    Grant::issue(room.key.clone(), verb, principal, clearance, std::time::Instant::now())
}

#[tokio::test]
async fn who_plays_the_red_team_sees_what_is_planted_and_nobody_counts_it() {
    let room = room().await;
    let (database, ingest) = (room.database(), room.ingest());
    let canary = Canary::planted(b"drawn", &room.key.uid, 1, "files", Clearance(2));
    let text = canary.text();
    let writer = Writer::begin(database, &ingest, recipe()).await.unwrap();
    let all = [
        open_doc("open", &["open"]),
        doc("nobody", &["nobody"], 0, acl(&[])),
        doc(&canary.document(), &[&text], 2, canary_acl()),
        doc("note", &["note"], 0, bait_acl()),
        // Whoever names one of our groups and somebody else has a document like any other.
        doc("mixed", &["mixed"], 0, acl(&["group:atelier:redteam", "user:jane"])),
    ];
    put(&writer, database, &ingest, &all).await;
    let verified = writer.verify(&ingest).await.unwrap();
    assert_eq!((verified.documents, verified.chunks, verified.quarantined), (3, 3, 0));
    writer.publish(&ingest, 1).await.unwrap();
    let seen = overview(database, &ingest).await.unwrap();
    assert_eq!((seen.documents, seen.chunks, seen.sources[0].documents), (3, 3, 3));

    // A person who says that they are in the group is not in it.
    let claims = [
        "hr".to_owned(),
        "atelier:redteam".to_owned(),
        "atelier:redteam:baited".to_owned(),
    ];
    let person = Principal::of("jane", claims).unwrap();
    let person = Grant::issue(
        room.key.clone(),
        Verb::Search,
        person,
        Clearance(100),
        std::time::Instant::now(),
    );
    assert_eq!(finds(database, &person).await, ["mixed", "open"]);
    assert_eq!(documents(database, &person, None, 100).await.unwrap().total, Some(2));
    let find = async |role| finds(database, &playing(&room, Verb::RedTeam, role, 100)).await;
    let mut control = vec!["mixed".to_owned(), "open".to_owned(), text];
    control.sort();
    assert_eq!(find(Role::Control).await, control);
    assert_eq!(find(Role::Below(Clearance(2))).await, ["mixed", "open"]);
    assert_eq!(find(Role::Stranger).await, ["note", "open"]);
    let control = playing(&room, Verb::RedTeam, Role::Control, 100);
    let found = document(database, &control, "files", &canary.document()).await.unwrap();
    assert_eq!(found.map(|found| found.clearance), Some(Clearance(2)));
    // Its clearance is that of whoever plays it.
    let low = playing(&room, Verb::RedTeam, Role::Control, 1);
    assert!(
        document(database, &low, "files", &canary.document())
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn what_one_role_has_asked_is_not_in_the_history_of_another() {
    let room = room().await;
    room.fill(&[open_doc("open", &["open"])]).await;
    let database = room.database();
    let place = store::audit::Place {
        chain: "c".into(),
        seq: 1,
    };
    let control = playing(&room, Verb::RedTeam, Role::Control, 9);
    keep_answer(database, &control, &place, 1, &[], store::rooms::Kept::default())
        .await
        .unwrap();
    let history = async |grant: &Grant| asked(database, grant, None, 10).await.unwrap().len();
    assert_eq!(history(&control).await, 1);
    assert_eq!(history(&playing(&room, Verb::RedTeam, Role::Stranger, 9)).await, 0);
    assert_eq!(history(&grant_to(&room.key, Verb::Ask, "jane", &[], 9)).await, 0);
    let audit = asked(database, &room.grant(Verb::Audit, 9), None, 10).await.unwrap();
    assert_eq!(audit[0].author, "atelier:redteam:control");
}
