//! The nets, one by one.

use rooms::{Acl, Verb};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use store::rooms::{Error, document, documents, load, texts};
use store::testing::Postgres;

use super::support::{acl, doc, filler, grant_to, key, open, open_doc, room, room_on, visible, within};

const TABLES: [&str; 10] = [
    "room",
    "room_source",
    "room_generation",
    "room_document",
    "room_content",
    "room_chunk",
    "room_page",
    "room_upload",
    "room_upload_part",
    "room_answer",
];

/// Counts rows as those for whom policies hold, with these settings.
async fn count(connection: &mut PgConnection, settings: &[(&str, &str)], table: &str) -> i64 {
    let mut transaction = connection.begin().await.unwrap();
    for (name, value) in settings {
        let set = sqlx::query("SELECT set_config($1, $2, true)").bind(name).bind(value);
        set.execute(&mut *transaction).await.unwrap();
    }
    sqlx::query("SET LOCAL ROLE atelier_rooms")
        .execute(&mut *transaction)
        .await
        .unwrap();
    let count = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    sqlx::query_scalar(count).fetch_one(&mut *transaction).await.unwrap()
}

#[tokio::test]
async fn rows_are_hidden_unless_settings_say_otherwise() {
    let room = room().await;
    let other = key("other");
    open(room.database(), &other).await;
    room.fill(&[open_doc("a", &["one", "two"]), doc("b", &["three"], 2, Acl::everyone())])
        .await;
    super::support::fill(room.database(), &other, &[open_doc("a", &["four"])]).await;
    let mut connection = room.test.connection().await;
    for table in TABLES {
        assert_eq!(count(&mut connection, &[], table).await, 0, "{table}");
    }
    let id = room
        .test
        .number("SELECT id::bigint FROM room WHERE uid = '8f1c'")
        .await
        .to_string();
    // The Room is not enough where rows have a clearance.
    for table in ["room_document", "room_content", "room_chunk"] {
        assert_eq!(
            count(&mut connection, &[("atelier.room", &id)], table).await,
            0,
            "{table}"
        );
    }
    let at = |clearance: &'static str| [("atelier.room", id.clone()), ("atelier.clearance", clearance.into())];
    for (clearance, table, rows) in [
        ("1", "room_document", 1),
        ("2", "room_document", 2),
        ("1", "room_content", 1),
        ("2", "room_content", 2),
        ("1", "room_chunk", 2),
        ("2", "room_chunk", 3),
        ("", "room_chunk", 0),
    ] {
        let settings = at(clearance);
        let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, &**value)).collect();
        assert_eq!(
            count(&mut connection, &settings, table).await,
            rows,
            "{table} {clearance}"
        );
    }
    let uid = [("atelier.uid", "8f1c")];
    assert_eq!(count(&mut connection, &uid, "room").await, 1);
}

#[tokio::test]
async fn readers_cannot_write_and_partitions_are_nobodys() {
    let room = room().await;
    room.fill(&[open_doc("a", &["one"])]).await;
    let id = room.test.number("SELECT id::bigint FROM room").await;
    let mut connection = room.test.connection().await;
    let partition = format!("SELECT count(*) FROM room_chunk_{id}");
    let insert = format!("INSERT INTO room_source (room, source) VALUES ({id}, 'x')");
    let elsewhere = "INSERT INTO room_source (room, source) VALUES (4711, 'x')";
    for (write, statement, words) in [
        ("", &*partition, "permission denied"),
        ("", &*insert, "row-level security"),
        ("on", elsewhere, "row-level security"),
    ] {
        let mut transaction = connection.begin().await.unwrap();
        let set = "SELECT set_config('atelier.room', $1, true), set_config('atelier.clearance', '100', true),
            set_config('atelier.write', $2, true), set_config('role', 'atelier_rooms', true)";
        let set = sqlx::query(set).bind(id.to_string()).bind(write);
        set.execute(&mut *transaction).await.unwrap();
        let refused = sqlx::query(AssertSqlSafe(statement.to_owned()))
            .execute(&mut *transaction)
            .await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(words), "{statement}: {refused}");
        transaction.rollback().await.unwrap();
    }
    // Without the setting, an update finds nothing.
    let mut transaction = connection.begin().await.unwrap();
    let set = "SELECT set_config('atelier.room', $1, true), set_config('atelier.clearance', '100', true),
        set_config('role', 'atelier_rooms', true)";
    sqlx::query(set)
        .bind(id.to_string())
        .execute(&mut *transaction)
        .await
        .unwrap();
    for statement in ["UPDATE room_document SET clearance = 0", "DELETE FROM room_chunk"] {
        let done = sqlx::query(statement).execute(&mut *transaction).await.unwrap();
        assert_eq!(done.rows_affected(), 0, "{statement}");
    }
}

#[tokio::test]
async fn nothing_of_a_transaction_stays_on_its_connection() {
    let room = room().await;
    room.fill(&[open_doc("a", &["one"])]).await;
    let jane = room.jane(2);
    for _ in 0..8 {
        documents(room.database(), &jane, None, 10).await.unwrap();
        // Also where it ends in an error.
        let stranger = grant_to(&key("none"), Verb::Search, "jane", &[], 9);
        assert!(matches!(
            documents(room.database(), &stranger, None, 10).await,
            Err(Error::NoRoom)
        ));
        let mut connection = room.database().pool().acquire().await.unwrap();
        let left = "SELECT concat(current_setting('atelier.uid', true), current_setting('atelier.room', true),
            current_setting('atelier.clearance', true), current_setting('atelier.write', true), current_setting('role'))";
        let left: String = sqlx::query_scalar(left).fetch_one(&mut *connection).await.unwrap();
        assert_eq!(left, "none");
    }
}

#[tokio::test]
async fn a_connection_with_settings_is_refused_and_cleaned() {
    let room = room().await;
    room.fill(&[doc("a", &["one"], 3, Acl::everyone())]).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut connection = room.database().pool().acquire().await.unwrap();
        sqlx::query("SET atelier.clearance = 100")
            .execute(&mut *connection)
            .await
            .unwrap();
        held.push(connection);
    }
    drop(held);
    let jane = room.jane(0);
    let mut refused = 0;
    for _ in 0..20 {
        match within(documents(room.database(), &jane, None, 10)).await {
            Ok(listing) => assert_eq!(listing.total, Some(0)),
            Err(Error::Tainted) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    // The pool hands out the one that was used last, and that is clean by then.
    assert!((1..=4).contains(&refused), "{refused}");
}

#[tokio::test]
async fn nets_that_disagree_give_nothing() {
    let room = room().await;
    room.fill(&[doc("a", &["secret"], 3, acl(&["group:ops"])), open_doc("b", &["open"])])
        .await;
    let (database, jane) = (room.database(), room.jane(0));
    let ops = grant_to(&room.key, Verb::Search, "joe", &["ops"], 3);
    let loaded = load(database, &ops).await.unwrap().unwrap();
    let hits = visible(&loaded.index, &ops);
    assert_eq!(hits.len(), 2);
    // An index that showed too much is found out, unless it may be that rights have changed since.
    let refused = texts(database, &jane, 1, Some(loaded.head.revision), &hits).await;
    assert!(matches!(refused, Err(Error::Disagreement(_))), "{refused:?}");
    assert_eq!(
        texts(database, &jane, 1, Some(loaded.head.revision - 1), &hits)
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(texts(database, &jane, 1, None, &hits).await.unwrap().len(), 1);

    // The same uid under another name.
    let mut renamed = room.key.clone();
    renamed.name = "another".into();
    let grant = grant_to(&renamed, Verb::Search, "jane", &[], 0);
    assert!(matches!(load(database, &grant).await, Err(Error::Disagreement(_))));

    // What row-level security goes by is not what the document says.
    room.test
        .tamper("UPDATE room_chunk SET clearance = 0 WHERE clearance = 3")
        .await;
    assert!(matches!(load(database, &jane).await, Err(Error::Disagreement(_))));
    let refused = texts(database, &ops, 1, None, &hits).await;
    assert!(matches!(refused, Err(Error::Disagreement(_))), "{refused:?}");
    assert!(document(database, &jane, "files", "a").await.unwrap().is_none());
}

#[tokio::test]
async fn who_would_not_be_guarded_is_refused() {
    // Of its own, for roles are a server's.
    let server = Postgres::start();
    let room = room_on(&server).await;
    room.fill(&[open_doc("a", &["one"])]).await;
    let mut connection = room.test.connection().await;
    for statement in ["DROP OWNED BY atelier_rooms", "DROP ROLE atelier_rooms"] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    let refused = documents(room.database(), &room.jane(0), None, 10).await;
    assert!(matches!(refused, Err(Error::Unguarded)), "{refused:?}");
    // The operator brings the role back, with its rights.
    open(room.database(), &room.key).await;
    assert_eq!(room.finds(&room.jane(0)).await, ["one"]);
}

#[tokio::test]
async fn a_room_does_not_wait_for_another() {
    let room = room().await;
    let other = key("other");
    open(room.database(), &other).await;
    room.fill(&[open_doc("a", &["one"])]).await;
    let id = room
        .test
        .number("SELECT id::bigint FROM room WHERE uid = 'other'")
        .await;
    let mut connection = room.test.connection().await;
    let mut transaction = connection.begin().await.unwrap();
    let lock = AssertSqlSafe(format!("LOCK TABLE room_chunk_{id} IN ACCESS EXCLUSIVE MODE"));
    sqlx::query(lock).execute(&mut *transaction).await.unwrap();
    // More often than PostgreSQL plans a statement anew by itself.
    for _ in 0..10 {
        assert_eq!(within(room.finds(&room.jane(0))).await, ["one"]);
    }
    // Neither does a new one.
    within(open(room.database(), &key("third"))).await;
    within(room.fill(&[open_doc("a", &["two"])])).await;
    drop(transaction);
    assert!(filler(&other).verb() == Verb::Ingest);
}
