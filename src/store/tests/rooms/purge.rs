//! Deleted Rooms: nothing is left of them.

use rooms::{Acl, Clearance, Verb};
use sqlx::{AssertSqlSafe, Connection as _};
use store::audit::Place;
use store::feedback::{Feedback, give};
use store::rooms::{
    Error, Kept, Picture, Placed, Purged, Upload, Writer, documents, ensure, keep_answer, load, purge, texts, uids,
};

use super::support::{Room, aside};
use super::support::{doc, fill, filler, finds, grant_to, key, open, open_doc, put, recipe, room, visible, within};

const NEEDLES: [&str; 4] = ["8f1c", "zanzibar", "quokka", "wombat"];

/// Everything that a Room may have.
async fn full() -> Room {
    let room = room().await;
    let (database, ingest) = (room.database(), room.ingest());
    room.fill(&[open_doc("quokka.pdf", &["zanzibar one", "two"])]).await;
    let writer = Writer::begin(database, &ingest, recipe()).await.unwrap();
    let documents = [
        open_doc("quokka.pdf", &["zanzibar two"]),
        doc("b", &["b"], 3, Acl::everyone()),
        aside("c", "wombat", 0),
    ];
    let placed = put(&writer, database, &ingest, &documents).await;
    let Placed::Here(id) = placed[0] else {
        panic!("{placed:?}")
    };
    let page = Picture {
        media_type: "image/png".into(),
        bytes: "zanzibar".into(),
    };
    writer.add_picture(&ingest, id, 1, &page).await.unwrap();
    writer.verify(&ingest).await.unwrap();
    writer.publish(&ingest, 1).await.unwrap();
    store::rooms::remove(database, &ingest, "files", &["b"]).await.unwrap();
    let building = Writer::begin(database, &ingest, recipe()).await.unwrap();
    put(
        &building,
        database,
        &ingest,
        &[open_doc("quokka.pdf", &["zanzibar three"])],
    )
    .await;

    let contributor = room.grant(Verb::Contribute, 0);
    let upload = Upload {
        source: "files".into(),
        file: "wombat.txt".into(),
        media_type: "text/plain".into(),
        clearance: Clearance(0),
        acl: Acl::everyone(),
        most_of_all: u64::MAX,
    };
    for is_whole in [true, false] {
        let mut arriving = upload.begin(database, &contributor).await.unwrap();
        arriving.push(&contributor, b"zanzibar").await.unwrap();
        if is_whole {
            arriving.finish(&contributor).await.unwrap();
        }
    }
    answered(&room).await;
    room
}

/// An answer that somebody was not content with. The trail's own row is not what this is about.
async fn answered(room: &Room) {
    let place = Place {
        chain: "chain".into(),
        seq: 1,
    };
    let row = "INSERT INTO audit (chain, seq, hash, at, kind, request, subject, event)
        VALUES ('chain', 1, sha256('x'), now(), 'opened', 'r', 'jane', '{\"namespace\": \"ns\", \"model\": \"m\"}')";
    sqlx::query(row)
        .execute(&mut room.test.connection().await)
        .await
        .unwrap();
    let grant = room.grant(Verb::Ask, 0);
    let loaded = load(room.database(), &grant).await.unwrap().unwrap();
    let hits = visible(&loaded.index, &grant);
    let context = texts(room.database(), &grant, 2, None, &hits).await.unwrap();
    keep_answer(room.database(), &grant, &place, 2, &context, Kept::default())
        .await
        .unwrap();
    let feedback = Feedback {
        kind: "correction".into(),
        value: "zanzibar".into(),
        comment: None,
    };
    give(room.database(), "jane", "r", &feedback).await.unwrap().unwrap();
}

/// In how many rows of the whole database one of the words is, as text or as bytes.
async fn left(room: &Room) -> Vec<String> {
    let mut connection = room.test.connection().await;
    let tables = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'public'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut connection).await.unwrap();
    assert!(tables.len() > 15);
    let mut left = Vec::new();
    for table in tables {
        for needle in NEEDLES {
            let count = format!(
                "SELECT count(*) FROM {table} t WHERE t::text LIKE '%{needle}%' OR t::text LIKE '%{}%'",
                hex(needle)
            );
            let rows: i64 = sqlx::query_scalar(AssertSqlSafe(count))
                .fetch_one(&mut connection)
                .await
                .unwrap();
            if rows > 0 {
                left.push(format!("{needle} in {table}"));
            }
        }
    }
    left
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

async fn partitions(room: &Room) -> i64 {
    room.test
        .number("SELECT count(*) FROM pg_class WHERE relname LIKE 'room\\_chunk\\__' AND relkind = 'r'")
        .await
}

#[tokio::test]
async fn nothing_is_left_of_a_room() {
    let room = full().await;
    let database = room.database();
    let other = key("other");
    open(database, &other).await;
    fill(database, &other, &[open_doc("a", &["a"])]).await;
    let before = left(&room).await;
    for table in [
        "room",
        "room_document",
        "room_content",
        "room_chunk_1",
        "room_page",
        "room_upload",
        "room_upload_part",
        "feedback",
    ] {
        let suffix = format!("in public.{table}");
        assert!(before.iter().any(|left| left.ends_with(&suffix)), "{table}: {before:?}");
    }
    assert_eq!(partitions(&room).await, 2);
    assert_eq!(uids(database).await.unwrap(), ["8f1c", "other"]);

    let purged = within(purge(database, "8f1c")).await.unwrap();
    let expected = Purged {
        documents: 3,
        chunks: 4,
        pages: 1,
        uploads: 2,
        answers: 1,
        feedback: 1,
    };
    assert_eq!(purged, expected);
    assert_eq!(left(&room).await, Vec::<String>::new());
    assert_eq!(partitions(&room).await, 1);
    assert_eq!(purge(database, "8f1c").await.unwrap(), Purged::default());
    assert_eq!(purge(database, "never was").await.unwrap(), Purged::default());
    assert_eq!(uids(database).await.unwrap(), ["other"]);
    let jane = grant_to(&other, Verb::Search, "jane", &[], 0);
    assert_eq!(finds(database, &jane).await, ["a"]);
    // One of the same name is another one, and begins empty.
    let again = rooms::RoomKey {
        uid: "again".into(),
        ..room.key.clone()
    };
    open(database, &again).await;
    let jane = grant_to(&again, Verb::Search, "jane", &[], 9);
    assert_eq!(documents(database, &jane, None, 9).await.unwrap().total, Some(0));
}

#[tokio::test]
async fn who_is_about_something_finds_the_door_closed() {
    let room = full().await;
    let (database, ingest) = (room.database(), room.ingest());
    let writer = Writer::begin(database, &ingest, recipe()).await.unwrap();
    let contributor = room.grant(Verb::Contribute, 0);
    let upload = Upload {
        source: "files".into(),
        file: "wombat".into(),
        media_type: String::new(),
        clearance: Clearance(0),
        acl: Acl::everyone(),
        most_of_all: u64::MAX,
    };
    let mut arriving = upload.begin(database, &contributor).await.unwrap();
    // From the first moment on.
    sqlx::query("UPDATE room SET is_open = false")
        .execute(&mut room.test.connection().await)
        .await
        .unwrap();
    for _ in 0..2 {
        assert!(matches!(load(database, &room.jane(0)).await, Err(Error::NoRoom)));
        assert!(matches!(writer.add(&ingest, &[]).await, Err(Error::NoRoom)));
        assert!(matches!(arriving.push(&contributor, b"x").await, Err(Error::NoRoom)));
        assert!(matches!(
            Writer::begin(database, &ingest, recipe()).await,
            Err(Error::NoRoom)
        ));
        within(purge(database, "8f1c")).await.unwrap();
    }
    assert_eq!(left(&room).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_room_that_is_being_purged_is_not_opened_again() {
    let room = full().await;
    sqlx::query("UPDATE room SET is_open = false")
        .execute(&mut room.test.connection().await)
        .await
        .unwrap();
    assert!(matches!(
        ensure(room.database(), &room.ingest(), &[]).await,
        Err(Error::NoRoom)
    ));
}

/// A purge was killed while it took the partition away.
#[tokio::test]
async fn an_interrupted_purge_goes_on() {
    let room = full().await;
    let mut reader = room.test.connection().await;
    let mut transaction = reader.begin().await.unwrap();
    sqlx::query("SELECT count(*) FROM room_chunk")
        .execute(&mut *transaction)
        .await
        .unwrap();
    let mut killed = room.test.connection().await;
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&mut killed)
        .await
        .unwrap();
    let detach = tokio::spawn(async move {
        let detach = "ALTER TABLE room_chunk DETACH PARTITION room_chunk_1 CONCURRENTLY";
        sqlx::raw_sql(detach).execute(&mut killed).await
    });
    within(async {
        while room
            .test
            .number("SELECT count(*) FROM pg_inherits WHERE inhdetachpending")
            .await
            == 0
        {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    let kill = sqlx::query("SELECT pg_terminate_backend($1)").bind(pid);
    kill.execute(&mut room.test.connection().await).await.unwrap();
    assert!(within(detach).await.unwrap().is_err());
    transaction.rollback().await.unwrap();
    within(purge(room.database(), "8f1c")).await.unwrap();
    assert_eq!(left(&room).await, Vec::<String>::new());
    assert_eq!(partitions(&room).await, 0);
    // It was detached, and not dropped yet.
    let room = full().await;
    let detach = "ALTER TABLE room_chunk DETACH PARTITION room_chunk_1";
    sqlx::raw_sql(detach)
        .execute(&mut room.test.connection().await)
        .await
        .unwrap();
    within(purge(room.database(), "8f1c")).await.unwrap();
    assert_eq!(left(&room).await, Vec::<String>::new());
    assert!(filler(&room.key).verb() == Verb::Ingest);
}
