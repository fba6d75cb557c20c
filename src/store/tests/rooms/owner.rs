//! Where Atelier's user is no superuser and may make no roles, as in the database that comes with the chart: it owns the
//! tables, and policies hold for owners as well.

use std::io::Write as _;

use rooms::{Acl, Verb};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use store::Database;
use store::rooms::{Error, documents, load, purge, remove};
use store::testing::Postgres;

use super::support::{Doc, doc, fill, filler, finds, grant_to, key, open, open_doc};

/// A database of somebody who owns it and nothing else.
async fn owned(server: &Postgres, owner: &str) -> (Database, String) {
    let mut admin = PgConnection::connect(&server.url("postgres")).await.unwrap();
    for statement in [
        format!("CREATE ROLE {owner} LOGIN"),
        format!("CREATE DATABASE {owner} OWNER {owner}"),
    ] {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut admin).await.unwrap();
    }
    let url = server.url(owner).replace("postgres@", &format!("{owner}@"));
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{url}").unwrap();
    let (_, path) = file.keep().unwrap();
    let database = Database::of_file(path).unwrap();
    database.migrate().await.unwrap();
    (database, url)
}

fn documents_() -> Vec<Doc> {
    vec![open_doc("a", &["a"]), doc("b", &["b"], 2, Acl::everyone())]
}

async fn is_guarded(database: &Database, url: &str) {
    let key = key("8f1c");
    open(database, &key).await;
    fill(database, &key, &documents_()).await;
    let jane = |clearance| grant_to(&key, Verb::Search, "jane", &[], clearance);
    assert_eq!(finds(database, &jane(0)).await, ["a"]);
    assert_eq!(finds(database, &jane(2)).await, ["a", "b"]);
    let mut connection = PgConnection::connect(url).await.unwrap();
    let tables = [
        "room",
        "room_source",
        "room_generation",
        "room_document",
        "room_content",
        "room_chunk",
        "room_chunk_1",
    ];
    for table in tables {
        let count = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        let rows: i64 = sqlx::query_scalar(count).fetch_one(&mut connection).await.unwrap();
        assert_eq!(rows, 0, "{table} is shown to its owner");
    }
    assert_eq!(remove(database, &filler(&key), "files", &["a"]).await.unwrap(), 1);
    assert_eq!(finds(database, &jane(2)).await, ["b"]);
    fill(database, &key, &documents_()).await;

    // A dump has all of it, by the setting that is for dumps; without it fails rather than being without documents.
    let mut dump = connection.begin().await.unwrap();
    sqlx::query("SET LOCAL atelier.backup = 'on'")
        .execute(&mut *dump)
        .await
        .unwrap();
    for (table, rows) in [
        ("room", 1),
        ("room_document", 2),
        ("room_chunk_1", 3),
        ("room_generation", 2),
    ] {
        let count = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        let found: i64 = sqlx::query_scalar(count).fetch_one(&mut *dump).await.unwrap();
        assert_eq!(found, rows, "{table}");
    }
    sqlx::query("SET LOCAL row_security = off")
        .execute(&mut *dump)
        .await
        .unwrap();
    let refused = sqlx::query("SELECT count(*) FROM room_chunk_1")
        .execute(&mut *dump)
        .await;
    assert!(refused.unwrap_err().to_string().contains("row-level security"));
    drop(dump);

    let purged = purge(database, &key.uid).await.unwrap();
    assert_eq!((purged.documents, purged.chunks), (2, 3));
    assert!(matches!(load(database, &jane(0)).await, Err(Error::NoRoom)));
}

#[tokio::test]
async fn policies_hold_for_an_owner() {
    let server = Postgres::start();
    let (database, url) = owned(&server, "alone").await;
    is_guarded(&database, &url).await;
}

/// The role is somebody else's, who uses the same server.
#[tokio::test]
async fn policies_hold_for_an_owner_beside_others() {
    let server = Postgres::start();
    let other = server.database().await;
    other.database.migrate().await.unwrap();
    let (database, url) = owned(&server, "beside").await;
    is_guarded(&database, &url).await;
    open(&other.database, &key("8f1c")).await;
    let jane = grant_to(&key("8f1c"), Verb::Search, "jane", &[], 0);
    assert_eq!(documents(&other.database, &jane, None, 1).await.unwrap().total, Some(0));
}
