//! How fast documents become chunks: everything that is done with one before it is embedded.

use std::path::Path;
use std::time::{Duration, Instant};

use protocol::ingest::{ChunkSize, Cleaning, Limits};
use serde::Serialize;

use super::chunks::chunks;
use super::clean::Cleaned;
use crate::documents::sandbox;
use crate::documents::{Refused, Request};
use crate::readers::Programs;

/// What a document took.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Speed {
    /// Its pages; 1 of a document without pages.
    pub pages: u32,
    /// Its chunks.
    pub chunks: usize,
    /// Time until it was read.
    pub read: Duration,
    /// Time until it was clean.
    pub cleaned: Duration,
    /// Time until it was cut.
    pub chunked: Duration,
}

impl Speed {
    /// Pages in a second.
    pub fn pages_each_second(&self) -> f64 {
        let seconds = (self.read + self.cleaned + self.chunked).as_secs_f64();
        f64::from(self.pages) / seconds.max(1e-9)
    }
}

/// Reads a document in a sandbox, cleans it and cuts it, with the settings that Rooms have by default.
///
/// # Errors
/// With why the document is refused.
pub fn document(path: &Path, programs: &Programs) -> Result<Speed, Refused> {
    let directory = tempfile::tempdir().map_err(|error| refused(&error))?;
    let request = Request {
        path: path.canonicalize().map_err(|error| refused(&error))?,
        name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        media_type: None,
        clean: true,
        ocr: None,
        limits: Limits::default(),
    };
    let cleaning = Cleaning {
        clean: true,
        ..Cleaning::default()
    };
    let cleaned = Cleaned::new(&cleaning).map_err(|failure| refused(&failure))?;
    let start = Instant::now();
    let document = sandbox::read(&request, programs, 2 << 30, directory.path())?.document;
    let read = start.elapsed();
    let pages = document.pages.unwrap_or(1);
    let start = Instant::now();
    let document = cleaned.document(document);
    let cleaned = start.elapsed();
    let start = Instant::now();
    let size = ChunkSize {
        tokens: 512,
        overlap: 64,
    };
    let chunks = chunks(document, "", size)
        .map_err(|count| refused(&format!("{count} chunks")))?
        .len();
    Ok(Speed {
        pages,
        chunks,
        read,
        cleaned,
        chunked: start.elapsed(),
    })
}

fn refused(why: &dyn std::fmt::Display) -> Refused {
    Refused {
        reason: protocol::quarantine::Reason::ReaderFailed,
        detail: format!("cannot be measured: {why}"),
    }
}
