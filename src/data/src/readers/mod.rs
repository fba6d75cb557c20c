//! Records in files, whatever their format: one after the other, and none in memory longer than it takes.
//!
//! The name of a file says what it is, its first bytes where the name says nothing. Line numbers count from 1; in files
//! without lines they count records.

mod csv;
mod decode;
mod json;
mod jsonl;
mod lines;
mod parquet;
mod pdf;
pub(crate) mod process;
mod text;
mod yaml;

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use protocol::tune::DataFormat;
use serde_json::Value;

use crate::failure::{Result, disk};
use crate::record::{Bad, name_of};

use text::text;

pub use parquet::print;
pub use process::Programs;

/// What is found in a file.
#[derive(Debug)]
pub enum Item {
    /// What a record may be read from.
    Value {
        /// Where.
        line: u64,
        /// What.
        value: Value,
    },
    /// A whole document.
    Text(String),
    /// No record.
    Bad {
        /// Where.
        line: u64,
        /// Why not.
        bad: Bad,
    },
    /// A file that holds no records of the format; why not.
    Unknown(String),
    /// A file that is no good from here on; why not.
    Broken(String),
    /// A document that is set aside; why.
    Quarantined(String),
}

/// Who gets what is found. Its failures end the reading.
pub type Sink<'a> = dyn FnMut(Item) -> Result<()> + 'a;

/// What readers need to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What records look like.
    pub format: DataFormat,
    /// Bytes of one record at most.
    pub max_bytes: usize,
    /// Directory for pictures of pages.
    pub scratch: PathBuf,
    /// Who reads PDF and Parquet files.
    pub programs: Programs,
}

/// The kinds of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Jsonl,
    Json,
    Separated(u8),
    Parquet,
    Yaml,
    Text,
    Pdf,
}

/// For those whose files have other names.
const KINDS: &str = ".jsonl, .json, .csv, .tsv, .parquet, .yml, .txt, .md or .pdf";

/// Finds the records of a file; `name` is what its source calls it.
///
/// # Errors
/// When the disk fails, or the sink says so. What is wrong with the file goes to the sink.
pub fn read(path: &Path, name: &str, settings: &Settings, sink: &mut Sink<'_>) -> Result<()> {
    let Some(kind) = kind(path, name)? else {
        return sink(Item::Unknown(unknown(name)));
    };
    match (kind, settings.format) {
        (Kind::Text | Kind::Pdf, DataFormat::Text) => {}
        (Kind::Text | Kind::Pdf, format) => {
            let why = format!(
                "is a document, and dataset.format is {}; documents are Text",
                name_of(format)
            );
            return sink(Item::Unknown(why));
        }
        _ => {}
    }
    match kind {
        Kind::Jsonl => jsonl::read(path, settings, sink),
        Kind::Json => json::read(path, settings, sink),
        Kind::Separated(delimiter) => csv::read(path, delimiter, settings, sink),
        Kind::Parquet => parquet::read(path, settings, sink),
        Kind::Yaml => yaml::read(path, settings, sink),
        Kind::Text => text::read(path, settings, sink),
        Kind::Pdf => pdf::read(path, settings, sink),
    }
}

/// What a file is, by its name, or by its first bytes when that has no extension.
fn kind(path: &Path, name: &str) -> Result<Option<Kind>> {
    let name = name.to_ascii_lowercase();
    let (plain, is_packed) = match name.strip_suffix(".gz") {
        Some(plain) => (plain, true),
        None => (name.as_str(), false),
    };
    let file = plain.rsplit('/').next().unwrap_or(plain);
    let kind = match file.rsplit_once('.').map(|(_, extension)| extension) {
        Some("jsonl" | "ndjson") => Kind::Jsonl,
        Some("json") => Kind::Json,
        Some("csv") => Kind::Separated(b','),
        Some("tsv") => Kind::Separated(b'\t'),
        Some("txt" | "md") => Kind::Text,
        // These are read from both ends.
        Some("parquet") if !is_packed => Kind::Parquet,
        Some("pdf") if !is_packed => Kind::Pdf,
        Some("yml" | "yaml") if !is_packed => Kind::Yaml,
        Some(_) => return Ok(None),
        None => return by_content(path),
    };
    Ok(Some(kind))
}

/// What the first bytes of a file say it is.
fn by_content(path: &Path) -> Result<Option<Kind>> {
    let mut head = Vec::new();
    let reader = decode::open(path).map_err(disk("open", path))?;
    if reader.take(512).read_to_end(&mut head).is_err() {
        return Ok(None);
    }
    let first = head.iter().find(|byte| !byte.is_ascii_whitespace());
    Ok(match first {
        _ if head.starts_with(b"PAR1") => Some(Kind::Parquet),
        _ if head.starts_with(b"%PDF-") => Some(Kind::Pdf),
        Some(b'[') => Some(Kind::Json),
        // A single object as well as one a line.
        Some(b'{') => Some(Kind::Json),
        _ => None,
    })
}

/// What came of reading: whether the disk failed, or the bytes are no good.
fn broken(error: &std::io::Error) -> Item {
    Item::Broken(format!(
        "cannot be read to its end: {error}; copy or pack the file again"
    ))
}

/// Why a file of this name is not read.
fn unknown(name: &str) -> String {
    let ends = |ends: &[&str]| ends.iter().any(|end| name.to_ascii_lowercase().ends_with(end));
    if ends(&[
        ".zip", ".tar", ".tar.gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".gz",
    ]) {
        return "is packed in a way that is not read; unpack it, or pack a file of text with gzip".into();
    }
    format!("is of no kind that is read; give it one of the names {KINDS}")
}

#[cfg(test)]
pub(crate) use bytes::of_bytes;
#[cfg(any(test, fuzzing))]
pub(crate) use pdf::printed;

#[cfg(test)]
mod bytes {
    use super::*;

    /// What a reader finds in bytes under a name.
    pub(crate) fn of_bytes(bytes: &[u8], name: &str, format: DataFormat, max_bytes: usize) -> Vec<Item> {
        let dir = tempfile::tempdir().expect("there is room");
        let path = dir.path().join("file");
        std::fs::write(&path, bytes).expect("there is room");
        let settings = Settings {
            format,
            max_bytes,
            scratch: dir.path().to_owned(),
            programs: Programs::default(),
        };
        let mut items = Vec::new();
        read(&path, name, &settings, &mut |item| {
            items.push(item);
            Ok(())
        })
        .expect("the disk works");
        items
    }
}

#[cfg(test)]
mod tests;
