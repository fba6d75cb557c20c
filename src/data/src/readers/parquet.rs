//! Parquet: a row is a record, its columns are fields; lists of structures make conversations.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use parquet::errors::ParquetError;
use parquet::file::reader::SerializedFileReader;
use parquet::record::{Field, Row};
use serde_json::{Map, Value};

use super::{Item, Sink};
use crate::failure::{Result, disk};

pub(super) fn read(path: &Path, sink: &mut Sink<'_>) -> Result<()> {
    let file = File::open(path).map_err(disk("open", path))?;
    // The reader is written for files of friends: what a stranger's file makes it do ends with this file.
    let mut rows = match guarded(|| SerializedFileReader::new(file).map(SerializedFileReader::into_iter)) {
        Ok(rows) => rows,
        Err(why) => return sink(Item::Broken(why)),
    };
    for line in 1.. {
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
        Ok(Err(error)) => Err(format!("is no Parquet that can be read: {error}")),
        Err(_) => Err("is no Parquet that can be read: it contradicts itself".into()),
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
