//! Rows of a PostgreSQL database.
//!
//! What keeps the query from writing is the transaction, which is read-only, and the rights of its user; no parser is
//! trusted. Each run has a connection of its own, which ends with it. The server makes JSON of the rows and sends them
//! one after the other to a file.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

use futures::TryStreamExt as _;
use protocol::PrepareFailure;
use protocol::report::reasons;
use protocol::tune::DataFormat;
use serde_json::{Map, Value};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};

use super::{Settings, SourceFile};
use crate::failure::{QUERY_FAILED, Result, disk};

const CONNECT: Duration = Duration::from_secs(10);
/// The longest that a query may take, with all rows.
const STATEMENT_TIMEOUT: &str = "2h";
/// The longest that it may wait for a table.
const LOCK_TIMEOUT: &str = "30s";
/// Words that a query begins with.
const QUERIES: [&str; 4] = ["select", "with", "values", "table"];
/// SQLSTATE: a write in a read-only transaction.
const READ_ONLY: &str = "25006";
/// SQLSTATE: what a query that is part of another may not do, and that is writing.
const NOT_SUPPORTED: &str = "0A000";
const FILE: &str = "rows.jsonl";

/// What is asked of a database.
pub(crate) struct Asked<'a> {
    /// File with its URL.
    pub connection_file: &'a Path,
    /// The query.
    pub query: &'a str,
    /// What columns mean.
    pub descriptions: &'a BTreeMap<String, String>,
    /// Limits.
    pub settings: Settings,
}

impl Asked<'_> {
    /// Writes the rows to a file in `directory`, one a line.
    pub(crate) async fn rows(&self, directory: &Path) -> Result<Vec<SourceFile>> {
        let query = only_query(self.query)?;
        let mut connection = self.connect().await?;
        // Nothing of what the query does outlives this connection.
        let result = self.copy(&mut connection, query, &directory.join(FILE)).await;
        let _ = connection.close().await;
        let path = directory.join(FILE);
        result.map(|()| {
            vec![SourceFile {
                name: FILE.into(),
                path,
            }]
        })
    }

    async fn connect(&self) -> Result<PgConnection> {
        let path = self.connection_file.display();
        let text = std::fs::read_to_string(self.connection_file).map_err(|error| {
            let message = format!("failed to read {path}: {error}; check sql.connectionSecretRef");
            PrepareFailure::new(reasons::INTERNAL, message, true)
        })?;
        let url = text.trim();
        let is_one = url.starts_with("postgres://") || url.starts_with("postgresql://");
        // The parser's own words may quote the URL, which holds the password.
        let options = PgConnectOptions::from_str(url).ok().filter(|_| is_one).ok_or_else(|| {
            let message = format!(
                "failed to read the URL in {path}: write postgres://user:password@host:port/database into the Secret of \
                 sql.connectionSecretRef"
            );
            PrepareFailure::new(reasons::FORBIDDEN, message, false)
        })?;
        let options = options.application_name("atelier-data").disable_statement_logging();
        let connecting = tokio::time::timeout(CONNECT, PgConnection::connect_with(&options)).await;
        let why = match connecting {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it does not answer within {} s", CONNECT.as_secs()),
        };
        let message =
            format!("failed to connect to the database: {why}; check sql.connectionSecretRef and that it runs");
        Err(PrepareFailure::new(reasons::DOWNLOAD_FAILED, message, true))
    }

    async fn copy(&self, connection: &mut PgConnection, query: &str, path: &Path) -> Result<()> {
        let begin = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY".to_owned();
        let settings = [
            begin,
            format!("SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'"),
            format!("SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"),
        ];
        for statement in settings {
            let statement = sqlx::query(AssertSqlSafe(statement));
            statement
                .execute(&mut *connection)
                .await
                .map_err(|error| refused(&error))?;
        }
        // One that closes the parenthesis to begin another statement is refused: a prepared statement is only one. The
        // query's own comment ends with its line. A server gives the same rows in another order whenever it likes, and
        // that makes no other data: they come in an order of their own.
        let max = self.settings.max_bytes;
        let statement = format!(
            "SELECT line FROM (SELECT CASE WHEN octet_length(line) <= {max} THEN line END AS line FROM \
             (SELECT row_to_json(record)::text AS line FROM (\n{query}\n) AS record) AS rows) AS lines \
             ORDER BY line COLLATE \"C\" NULLS FIRST"
        );
        let mut rows = sqlx::query_scalar::<_, Option<String>>(AssertSqlSafe(statement)).fetch(&mut *connection);
        let file = File::create(path).map_err(disk("create", path))?;
        let mut file = BufWriter::new(file);
        while let Some(row) = rows.try_next().await.map_err(|error| refused(&error))? {
            let line = match row {
                Some(row) => self.line(row),
                // Its reader finds it too long and counts it.
                None => "x".repeat(max.saturating_add(1)),
            };
            writeln!(file, "{line}").map_err(disk("write", path))?;
        }
        file.flush().map_err(disk("write", path))
    }

    /// A row as a record. Where text is learned and no column is called so, the columns make one.
    fn line(&self, row: String) -> String {
        if self.settings.format != DataFormat::Text {
            return row;
        }
        match serde_json::from_str::<Map<String, Value>>(&row) {
            Ok(columns) if !columns.contains_key("text") => {
                let text = described(&columns, self.descriptions);
                serde_json::json!({"text": text}).to_string()
            }
            _ => row,
        }
    }
}

/// `description: value` lines of the columns, in their order; without a description the column's name stands for it.
fn described(columns: &Map<String, Value>, descriptions: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for (name, value) in columns {
        let value = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let name = descriptions.get(name).unwrap_or(name);
        writeln!(text, "{name}: {value}").expect("a text grows");
    }
    text.truncate(text.trim_end().len());
    text
}

/// The query without what may stand behind it, if it begins like one. This is for a clear message, and guards nothing.
fn only_query(query: &str) -> Result<&str> {
    let query = query.trim().trim_end_matches(';').trim_end();
    let mut start = query;
    loop {
        start = start.trim_start_matches(|c: char| c.is_whitespace() || c == '(');
        start = match (start.strip_prefix("--"), start.strip_prefix("/*")) {
            (Some(comment), _) => comment.split_once('\n').map_or("", |(_, rest)| rest),
            (_, Some(comment)) => comment.split_once("*/").map_or("", |(_, rest)| rest),
            _ => break,
        };
    }
    let word: String = start.chars().take_while(char::is_ascii_alphabetic).take(20).collect();
    match QUERIES.contains(&word.to_ascii_lowercase().as_str()) {
        true => Ok(query),
        false => {
            let message = format!("failed to use sql.query: it begins with {word:?}; give exactly one SELECT");
            Err(PrepareFailure::new(QUERY_FAILED, message, false))
        }
    }
}

/// What the database says against the query.
fn refused(error: &sqlx::Error) -> PrepareFailure {
    let Some(database) = error.as_database_error() else {
        let message = format!("failed to read from the database: {error}");
        return PrepareFailure::new(reasons::DOWNLOAD_FAILED, message, true);
    };
    let code = database.code().unwrap_or_default();
    let said = database.message();
    let (advice, retryable) = match code.as_ref() {
        READ_ONLY => ("the query tries to write, and may only read", false),
        NOT_SUPPORTED if said.contains("data-modifying") || said.contains("non-volatile") => {
            ("the query tries to write, and may only read", false)
        }
        "42501" => ("grant its user the right to read what it asks for", false),
        "57014" => ("it took too long; make it faster or ask for less", false),
        // Connections that break, servers that stop, locks that nobody gives up, conflicts with a replica's recovery.
        code if ["08", "53", "57", "55", "40"]
            .iter()
            .any(|class| code.starts_with(class)) =>
        {
            ("it is tried again", true)
        }
        _ => ("give exactly one SELECT in sql.query, as PostgreSQL takes it", false),
    };
    PrepareFailure::new(
        QUERY_FAILED,
        format!("failed to run sql.query: {said} ({code}); {advice}"),
        retryable,
    )
}

#[cfg(test)]
mod tests;
