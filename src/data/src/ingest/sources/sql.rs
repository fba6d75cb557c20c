//! Tables of a database: rows that can be found, in documents of some hundred.
//!
//! Rows are dealt out by a hash of what they say: one that changes changes two documents, and all others are taken over as
//! they are. Of a table, nothing is read but the columns that the plan names.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use protocol::PrepareFailure;
use protocol::ingest::Table;
use protocol::report::reasons;
use protocol::tune::DataFormat;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::Listing;
use crate::failure::{INVALID_DATASET, Result, disk, invalid};
use crate::ingest::acl::Rights;
use crate::ingest::found::{Content, Found};
use crate::sources::{Settings, sql};

/// Rows of a table: more than these are asked in SQL, not found.
const MAX_ROWS: usize = 200_000;
/// Bytes of a row.
const MAX_ROW: usize = 1 << 20;
/// Rows of a document, about.
const ROWS: usize = 400;

/// The tables of a source.
pub(super) async fn tables(connection_file: &Path, tables: &[Table], listing: &Listing<'_>) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for (number, table) in tables.iter().enumerate() {
        let directory = listing.directory.join(format!("table-{number}"));
        fs::create_dir_all(&directory).map_err(disk("create", &directory))?;
        let query = query(table)?;
        let asked = sql::Asked {
            connection_file,
            query: &query,
            descriptions: &BTreeMap::new(),
            settings: Settings {
                // Rows as they are.
                format: DataFormat::Chat,
                max_bytes: MAX_ROW,
            },
        };
        let files = asked.rows(&directory).await.map_err(|failure| PrepareFailure {
            message: failure
                .message
                .replace("sql.query", &format!("sql.tables[{}]", table.name)),
            ..failure
        })?;
        let (table, clearance) = (table.clone(), listing.source.clearance);
        let reading = tokio::task::spawn_blocking(move || {
            let file = files.first().ok_or_else(|| internal("the rows are not there"))?;
            let documents = documents(&table, &file.path, &directory, clearance);
            let _ = fs::remove_file(&file.path);
            documents
        });
        found.extend(reading.await.map_err(|error| internal(&error.to_string()))??);
    }
    Ok(found)
}

fn internal(why: &str) -> PrepareFailure {
    PrepareFailure::new(reasons::INTERNAL, format!("failed to read a table: {why}"), true)
}

/// Asks for the columns, and for one row more than there may be. Names are as the database has them.
fn query(table: &Table) -> Result<String> {
    let name: Vec<String> = table.name.split('.').map(quoted).collect::<Result<_>>()?;
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|column| quoted(&column.name))
        .collect::<Result<_>>()?;
    if columns.is_empty() {
        return Err(invalid(format!("sql.tables[{}] has no columns", table.name)));
    }
    Ok(format!(
        "SELECT {} FROM {} LIMIT {}",
        columns.join(", "),
        name.join("."),
        MAX_ROWS + 1
    ))
}

fn quoted(name: &str) -> Result<String> {
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$');
    match is_name {
        true => Ok(format!("\"{name}\"")),
        false => Err(invalid(format!("{name:?} is no name of a table or a column"))),
    }
}

/// Rows, a line of JSON each, as documents in files.
fn documents(table: &Table, rows: &Path, directory: &Path, clearance: u8) -> Result<Vec<Found>> {
    let mut lines = Vec::new();
    let reader = BufReader::new(File::open(rows).map_err(disk("open", rows))?);
    for line in reader.lines() {
        let line = line.map_err(disk("read", rows))?;
        // A row that is too long is no JSON.
        let Ok(row) = serde_json::from_str::<Map<String, Value>>(&line) else {
            tracing::warn!(
                "a row of {} has more than {MAX_ROW} bytes and is passed over",
                table.name
            );
            continue;
        };
        lines.push(cells(table.columns.iter().map(|column| text(row.get(&column.name)))));
        if lines.len() > MAX_ROWS {
            let message = format!(
                "failed to read {}: it has more than {MAX_ROWS} rows; name a view with those that are worth finding",
                table.name
            );
            return Err(PrepareFailure::new(INVALID_DATASET, message, false));
        }
    }
    let header = cells(table.columns.iter().map(|column| match &column.description {
        Some(description) => format!("{} ({description})", column.name),
        None => column.name.clone(),
    }));
    let count = lines.len().div_ceil(ROWS).max(1).next_power_of_two();
    let mut parts: Vec<Vec<&String>> = vec![Vec::new(); count];
    for line in &lines {
        let digest = Sha256::digest(line);
        let place = usize::from(digest[0]) << 8 | usize::from(digest[1]);
        parts[place % count].push(line);
    }
    let mut found = Vec::new();
    for (number, mut part) in (1..).zip(parts) {
        if part.is_empty() && count > 1 {
            continue;
        }
        part.sort_unstable();
        let rows: String = part.iter().map(|row| format!("{row}\r\n")).collect();
        found.push(document(
            table,
            &format!("{header}\r\n{rows}"),
            (number, count),
            directory,
            clearance,
        )?);
    }
    Ok(found)
}

fn document(
    table: &Table,
    content: &str,
    (number, count): (usize, usize),
    directory: &Path,
    clearance: u8,
) -> Result<Found> {
    let path = directory.join(format!("{number}.csv"));
    fs::write(&path, content).map_err(disk("write", &path))?;
    let name = match count {
        1 => table.name.clone(),
        count => format!("{}/{number}-of-{count}", table.name),
    };
    let about = table.description.clone().unwrap_or_default();
    // What a row means is part of what is embedded.
    let digest = hex::encode(Sha256::digest(format!("{about}\0{content}")));
    Ok(Found {
        file: format!("{number}.csv"),
        media_type: Some("text/csv".into()),
        origin: None,
        about: format!("{}. {about}", table.name).trim().to_owned(),
        bytes: content.len() as u64,
        digest,
        rights: Rights::of_source(clearance),
        content: Content::File(path),
        refused: None,
        name,
    })
}

fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// A row, as RFC 4180 has it.
fn cells(cells: impl Iterator<Item = String>) -> String {
    let quoted = cells.map(|cell| match cell.contains([',', '"', '\n', '\r']) || cell.is_empty() {
        true => format!("\"{}\"", cell.replace('"', "\"\"").replace(['\n', '\r'], " ")),
        false => cell,
    });
    quoted.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use protocol::ingest::Column;

    use super::*;

    fn table() -> Table {
        let column = |name: &str, description: Option<&str>| Column {
            name: name.into(),
            description: description.map(str::to_owned),
        };
        Table {
            name: "sales.orders".into(),
            description: Some("An order of a customer.".into()),
            columns: vec![column("id", None), column("town", Some("where it goes"))],
        }
    }

    fn dealt(rows: &[String]) -> BTreeMap<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows");
        fs::write(&path, rows.join("\n")).unwrap();
        let found = documents(&table(), &path, dir.path(), 3).unwrap();
        assert!(found.iter().all(|document| document.rights == Rights::of_source(3)));
        found
            .into_iter()
            .map(|document| (document.name, document.digest))
            .collect()
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(
            query(&table()).unwrap(),
            format!(
                "SELECT \"id\", \"town\" FROM \"sales\".\"orders\" LIMIT {}",
                MAX_ROWS + 1
            )
        );
        let mut bad = table();
        bad.columns[0].name = "id\" FROM x --".into();
        assert!(query(&bad).is_err());
    }

    #[test]
    fn a_row_that_changes_changes_few_documents() {
        let mut rows: Vec<String> = (0..2000)
            .map(|id| format!("{{\"id\":{id},\"town\":\"Town {id}\"}}"))
            .collect();
        let before = dealt(&rows);
        assert_eq!(before.len(), 8);
        assert!(before.contains_key("sales.orders/1-of-8"));
        rows[7] = "{\"id\":7,\"town\":\"Rome\"}".into();
        rows.reverse();
        let after = dealt(&rows);
        let changed = before
            .iter()
            .filter(|(name, digest)| after.get(*name) != Some(*digest))
            .count();
        assert!((1..=2).contains(&changed), "{changed}");
        assert_eq!(dealt(&[]).into_keys().collect::<Vec<_>>(), ["sales.orders"]);
    }

    #[test]
    fn rows_are_written_with_what_columns_mean() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows");
        fs::write(
            &path,
            "{\"id\":1,\"town\":\"a, \\\"b\\\"\\nc\"}\nxxxx\n{\"id\":2,\"town\":null}",
        )
        .unwrap();
        let found = documents(&table(), &path, dir.path(), 0).unwrap();
        let Content::File(path) = &found[0].content else {
            panic!()
        };
        assert_eq!(
            fs::read_to_string(path).unwrap(),
            "id,town (where it goes)\r\n1,\"a, \"\"b\"\" c\"\r\n2,\"\"\r\n"
        );
        assert_eq!(found[0].about, "sales.orders. An order of a customer.");
    }
}
