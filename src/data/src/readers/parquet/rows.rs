//! The rows of a Parquet file as values.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use parquet::errors::ParquetError;
use parquet::file::reader::SerializedFileReader;
use parquet::record::{Field, Row};
use serde_json::{Map, Value};

use crate::failure::{Result, disk};
use crate::readers::{Item, Sink};

/// What is said of files that are no good.
pub(super) const NO_PARQUET: &str = "is no Parquet that can be read";
/// Rows that a file of a byte may have: more say nothing.
const ROWS_PER_BYTE: u64 = 8;
/// Rows that any file may have.
const ROWS: u64 = 1_000_000;

pub(super) fn read(path: &Path, sink: &mut Sink<'_>) -> Result<()> {
    let file = File::open(path).map_err(disk("open", path))?;
    let bytes = file.metadata().map_err(disk("open", path))?.len();
    let most = ROWS.max(bytes.saturating_mul(ROWS_PER_BYTE));
    // The reader is written for files of friends: where a stranger's file makes it panic, the file is no good.
    let mut rows = match guarded(|| SerializedFileReader::new(file).map(SerializedFileReader::into_iter)) {
        Ok(rows) => rows,
        Err(why) => return sink(Item::Broken(why)),
    };
    for line in 1.. {
        if line > most {
            let why = format!("{NO_PARQUET}: it says to have more than {most} rows in {bytes} bytes");
            return sink(Item::Broken(why));
        }
        match guarded(|| rows.next().transpose()) {
            Ok(Some(row)) => sink(Item::Value {
                line,
                value: object(&row),
            })?,
            Ok(None) => break,
            Err(why) => return sink(Item::Broken(why)),
        }
    }
    Ok(())
}

fn guarded<T>(work: impl FnOnce() -> std::result::Result<T, ParquetError>) -> std::result::Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(format!("{NO_PARQUET}: {error}")),
        Err(_) => Err(format!("{NO_PARQUET}: it contradicts itself")),
    }
}

fn object(row: &Row) -> Value {
    let fields = row.get_column_iter().map(|(name, field)| (name.clone(), value(field)));
    Value::Object(fields.collect())
}

fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(value) => (*value).into(),
        Field::Byte(value) => (*value).into(),
        Field::Short(value) => (*value).into(),
        Field::Int(value) => (*value).into(),
        Field::Long(value) => (*value).into(),
        Field::UByte(value) => (*value).into(),
        Field::UShort(value) => (*value).into(),
        Field::UInt(value) => (*value).into(),
        Field::ULong(value) => (*value).into(),
        Field::Float(value) => (*value).into(),
        Field::Double(value) => (*value).into(),
        Field::Str(text) => text.as_str().into(),
        // Some writers do not say that their bytes are text.
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => text.into(),
            Err(_) => Value::Null,
        },
        Field::Group(row) => object(row),
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        Field::MapInternal(map) => {
            let name = |key: &Field| match value(key) {
                Value::String(text) => text,
                other => other.to_string(),
            };
            let entries = map.entries().iter().map(|(key, field)| (name(key), value(field)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
        // Dates, times and the like, as they are shown.
        other => other.to_string().into(),
    }
}
