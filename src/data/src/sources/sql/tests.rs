//! Against a real PostgreSQL.

use rstest::rstest;
use store::testing::{Postgres, TestDatabase};

use super::*;

async fn database() -> TestDatabase {
    let database = Postgres::shared().database().await;
    let mut connection = database.connection().await;
    for statement in [
        "CREATE TABLE parts (id int, name text, price numeric, sold timestamptz, tags jsonb)",
        "INSERT INTO parts VALUES (1, 'bolt', 1.50, '2026-01-02T03:04:05Z', '[\"a\"]'), (2, 'nut', NULL, NULL, NULL)",
        "CREATE SEQUENCE counter",
        "CREATE FUNCTION clear() RETURNS int LANGUAGE plpgsql AS $$ BEGIN DELETE FROM parts; RETURN 1; END $$",
        "CREATE FUNCTION unlock() RETURNS int LANGUAGE plpgsql AS \
         $$ BEGIN SET TRANSACTION READ WRITE; DELETE FROM parts; RETURN 1; END $$",
        "CREATE FUNCTION commit_now() RETURNS int LANGUAGE plpgsql AS $$ BEGIN COMMIT; DELETE FROM parts; RETURN 1; END $$",
    ] {
        sqlx::query(AssertSqlSafe(statement.to_owned()))
            .execute(&mut connection)
            .await
            .unwrap();
    }
    database
}

async fn rows(database: &TestDatabase, query: &str, format: DataFormat) -> Result<Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    let descriptions = [("name".to_owned(), "Name of the part".to_owned())].into();
    let asked = Asked {
        connection_file: database.url_file.path(),
        query,
        descriptions: &descriptions,
        settings: Settings {
            format,
            max_bytes: 1000,
        },
    };
    let files = asked.rows(dir.path()).await?;
    let text = std::fs::read_to_string(&files[0].path).unwrap();
    Ok(text.lines().map(str::to_owned).collect())
}

#[tokio::test]
async fn columns_become_fields_or_lines_of_text() {
    let database = database().await;
    let query = "SELECT name AS prompt, 'It is ' || id AS completion FROM parts ORDER BY id; ";
    let found = rows(&database, query, DataFormat::PromptCompletion).await.unwrap();
    assert_eq!(found[0], r#"{"prompt":"bolt","completion":"It is 1"}"#);
    let query = "SELECT * FROM parts ORDER BY id -- the end";
    let found = rows(&database, query, DataFormat::Text).await.unwrap();
    let text = |line: &str| {
        serde_json::from_str::<Value>(line).unwrap()["text"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let first = text(&found[0]);
    assert!(
        first.starts_with("id: 1\nName of the part: bolt\nprice: 1.5\nsold: 2026-01-02"),
        "{first}"
    );
    assert_eq!(text(&found[1]), "id: 2\nName of the part: nut");
    let found = rows(
        &database,
        "SELECT name AS text, id FROM parts LIMIT 1",
        DataFormat::Text,
    )
    .await
    .unwrap();
    assert_eq!(text(&found[0]), "bolt");
}

#[rstest]
#[case::insert("INSERT INTO parts VALUES (3)", "INSERT")]
#[case::hidden("WITH gone AS (DELETE FROM parts RETURNING *) SELECT * FROM gone", "tries to write")]
#[case::sequence("SELECT nextval('counter')", "tries to write")]
#[case::large_object("SELECT lo_create(0)", "tries to write")]
#[case::function("SELECT clear()", "tries to write")]
#[case::text(
    "SELECT query_to_xml('DELETE FROM parts RETURNING id', true, true, '')",
    "tries to write"
)]
#[case::setting(
    "SELECT set_config('transaction_read_only', 'off', true), clear()",
    "read-write mode"
)]
#[case::unlocked("SELECT unlock()", "read-write mode")]
#[case::ended("SELECT commit_now()", "transaction termination")]
#[case::copied("COPY parts TO PROGRAM 'cat'", "\"COPY\"")]
#[case::locked("SELECT * FROM parts FOR UPDATE", "tries to write")]
#[case::second("SELECT 1) AS x) AS y; DROP TABLE parts; --", "exactly one SELECT")]
#[case::another("SELECT 1; SELECT 2", "exactly one SELECT")]
#[case::commit("SELECT 1; COMMIT; DROP TABLE parts", "exactly one SELECT")]
#[case::into("SELECT * INTO copies FROM parts", "exactly one SELECT")]
#[case::unknown("SELECT * FROM nowhere", "nowhere")]
#[case::nothing("", "exactly one SELECT")]
#[tokio::test]
async fn nothing_but_a_query_is_run(#[case] query: &str, #[case] says: &str) {
    let database = database().await;
    let failure = rows(&database, query, DataFormat::Text).await.unwrap_err();
    assert!(failure.message.contains(says) && !failure.retryable, "{failure}");
    assert_eq!(database.number("SELECT count(*) FROM parts").await, 2);
    assert_eq!(database.number("SELECT count(*) FROM pg_largeobject_metadata").await, 0);
}

#[tokio::test]
async fn the_order_of_rows_makes_no_other_data() {
    let database = database().await;
    let mut orders = Vec::new();
    for direction in ["ASC", "DESC"] {
        let query = format!("SELECT 'no ' || n AS text FROM generate_series(1, 20) AS n ORDER BY n {direction}");
        orders.push(rows(&database, &query, DataFormat::Text).await.unwrap());
    }
    assert_eq!(orders[0].len(), 20);
    assert_eq!(orders[0], orders[1]);
    // What the query chooses by its order stays chosen.
    let query = "SELECT id FROM parts ORDER BY id DESC LIMIT 1";
    let found = rows(&database, query, DataFormat::Text).await.unwrap();
    assert_eq!(found, [r#"{"text":"id: 2"}"#]);
}

#[tokio::test]
async fn a_row_that_is_too_long_is_left_to_be_counted() {
    let database = database().await;
    let query = "SELECT repeat('x', n) AS text FROM (VALUES (2000), (5)) AS lengths (n)";
    let found = rows(&database, query, DataFormat::Text).await.unwrap();
    assert_eq!((found[0].len(), found[1].as_str()), (1001, r#"{"text":"xxxxx"}"#));
}

#[rstest]
#[case("postgres://u:secret@127.0.0.1:1/none", "failed to connect")]
#[case("mysql://u:secret@host/none", "connectionSecretRef")]
#[tokio::test]
async fn a_database_that_is_not_there_is_told_without_its_password(#[case] url: &str, #[case] says: &str) {
    let dir = tempfile::tempdir().unwrap();
    let connection_file = &dir.path().join("url");
    std::fs::write(connection_file, url).unwrap();
    let asked = Asked {
        connection_file,
        query: "SELECT 1",
        descriptions: &BTreeMap::new(),
        settings: Settings {
            format: DataFormat::Text,
            max_bytes: 1000,
        },
    };
    let failure = asked.rows(dir.path()).await.unwrap_err();
    assert!(
        failure.message.contains(says) && !failure.message.contains("secret@"),
        "{failure}"
    );
}
