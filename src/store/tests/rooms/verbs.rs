//! Each call takes grants to its own verbs, of its own Room, that are fresh.

use std::time::{Duration, Instant};

use rooms::{Acl, ChunkId, Clearance, Grant, Principal, Verb, grant::LIFETIME};
use store::Database;
use store::audit::Place;
use store::rooms::{
    Error, Kept, Recipe, Upload, Writer, changes, document, documents, ensure, expire_answers, generations,
    keep_answer, known, load, load_shadow, moment, overview, picture, quarantine, quarantined, read_upload, release,
    remove, remove_source, roll_back, said, set_rights, stored, sweep, synced, texts, uploads,
};

use super::support::{grant_to, key, open_doc, recipe, room};

const ALL: [Verb; 8] = [
    Verb::Search,
    Verb::Ask,
    Verb::Contribute,
    Verb::Curate,
    Verb::Feedback,
    Verb::Audit,
    Verb::RedTeam,
    // The last one, for it makes Rooms.
    Verb::Ingest,
];

const READ: &[Verb] = &[Verb::Search, Verb::Ask, Verb::RedTeam];
const LIST: &[Verb] = &[Verb::Search, Verb::Ask, Verb::RedTeam, Verb::Contribute, Verb::Curate];
const PICTURE: &[Verb] = &[Verb::Search, Verb::Ask, Verb::RedTeam, Verb::Curate];
const INGEST: &[Verb] = &[Verb::Ingest];
const CURATE: &[Verb] = &[Verb::Curate];
const CONTRIBUTE: &[Verb] = &[Verb::Contribute];

/// What a call makes of a grant; nothing is looked at but how it is refused.
struct Call {
    name: &'static str,
    verbs: &'static [Verb],
    result: Result<(), Error>,
}

async fn calls(database: &Database, grant: &Grant) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut call = |name, verbs, result| calls.push(Call { name, verbs, result });
    let upload = Upload {
        source: "files".into(),
        file: "a".into(),
        media_type: "text/plain".into(),
        clearance: Clearance(0),
        acl: Acl::everyone(),
        most_of_all: u64::MAX,
    };
    let place = Place {
        chain: "c".into(),
        seq: 1,
    };
    let recipe: Recipe = recipe();
    let second = Duration::from_secs(1);
    call("load", READ, load(database, grant).await.map(drop));
    call("changes", READ, changes(database, grant, 0).await.map(drop));
    call(
        "texts",
        READ,
        texts(database, grant, 1, None, &[ChunkId(1)]).await.map(drop),
    );
    call("documents", LIST, documents(database, grant, None, 9).await.map(drop));
    call(
        "document",
        LIST,
        document(database, grant, "files", "a").await.map(drop),
    );
    call(
        "picture",
        PICTURE,
        picture(database, grant, "files", "a", 1).await.map(drop),
    );
    let kept = keep_answer(database, grant, &place, 1, &[], Kept::default()).await;
    call("keep_answer", &[Verb::Ask, Verb::RedTeam], kept.map(drop));
    call("said", &[Verb::Audit], said(database, grant, None).await.map(drop));
    call(
        "quarantined",
        CURATE,
        quarantined(database, grant, None, 9).await.map(drop),
    );
    call(
        "quarantine",
        CURATE,
        quarantine(database, grant, "files", "x", "").await.map(drop),
    );
    call(
        "release",
        CURATE,
        release(database, grant, "files", "x").await.map(drop),
    );
    call(
        "remove",
        &[Verb::Curate, Verb::Ingest],
        remove(database, grant, "files", &["x"]).await.map(drop),
    );
    call("upload", CONTRIBUTE, upload.begin(database, grant).await.map(drop));
    call("uploads", CONTRIBUTE, uploads(database, grant).await.map(drop));
    call("stored", INGEST, stored(database, grant, "files", "").await.map(drop));
    call(
        "read_upload",
        INGEST,
        read_upload(database, grant, 1, 0).await.map(drop),
    );
    call("ensure", INGEST, ensure(database, grant, &[]).await);
    call("generations", INGEST, generations(database, grant).await.map(drop));
    call("known", INGEST, known(database, grant, "files", "").await.map(drop));
    call("overview", INGEST, overview(database, grant).await.map(drop));
    call("load_shadow", INGEST, load_shadow(database, grant, 1).await.map(drop));
    let read = moment(database, grant).await;
    let moment_ = read.as_ref().ok().copied();
    call("moment", INGEST, read.map(drop));
    if let Some(read) = moment_ {
        call(
            "set_rights",
            INGEST,
            set_rights(database, grant, read, "files", &[]).await.map(drop),
        );
        call("synced", INGEST, synced(database, grant, read, &[]).await);
    }
    call("sweep", INGEST, sweep(database, grant, second).await.map(drop));
    call(
        "expire_answers",
        INGEST,
        expire_answers(database, grant, second, second).await.map(drop),
    );
    call(
        "remove_source",
        INGEST,
        remove_source(database, grant, "none").await.map(drop),
    );
    call(
        "begin",
        INGEST,
        Writer::begin(database, grant, recipe.clone()).await.map(drop),
    );
    call(
        "resume",
        INGEST,
        Writer::resume(database, grant, recipe).await.map(drop),
    );
    let back = match roll_back(database, grant, 1).await {
        Err(Error::NoGeneration(1)) => Ok(()),
        other => other,
    };
    call("roll_back", INGEST, back);
    calls
}

#[tokio::test]
async fn calls_take_grants_to_their_verbs() {
    let room = room().await;
    room.fill(&[open_doc("a", &["a"])]).await;
    for verb in ALL {
        let grant = room.grant(verb, 0);
        for call in calls(room.database(), &grant).await {
            let (name, is_for) = (call.name, call.verbs.contains(&verb));
            match call.result {
                Ok(()) => assert!(is_for, "{name} takes {verb:?}"),
                Err(Error::Verb(refused)) => assert!(!is_for && refused == verb, "{name} does not take {verb:?}"),
                Err(error) => panic!("{name} of {verb:?}: {error}"),
            }
        }
    }
}

#[tokio::test]
async fn old_grants_and_those_of_other_rooms_do_nothing() {
    let room = room().await;
    room.fill(&[open_doc("a", &["a"])]).await;
    let again = rooms::RoomKey {
        uid: "made again by the same name".into(),
        ..room.key.clone()
    };
    for verb in ALL {
        let Some(decided) = Instant::now().checked_sub(LIFETIME) else {
            return;
        };
        let principal = Principal {
            user: "jane".into(),
            groups: Default::default(),
        };
        let old = Grant::issue(room.key.clone(), verb, principal, Clearance(9), decided);
        for call in calls(room.database(), &old).await {
            assert!(matches!(call.result, Err(Error::Expired)), "{} of {verb:?}", call.name);
        }
        for other in [again.clone(), key("none")] {
            for call in calls(room.database(), &grant_to(&other, verb, "jane", &[], 9)).await {
                // What makes a Room does so for the one that it is told.
                let is_good = match call.result {
                    Err(Error::NoRoom) => call.verbs.contains(&verb),
                    Err(Error::Verb(_)) => !call.verbs.contains(&verb),
                    _ => false,
                };
                assert!(is_good || verb == Verb::Ingest, "{} of {verb:?}", call.name);
            }
        }
    }
    assert_eq!(room.finds(&room.jane(0)).await, ["a"]);
}
