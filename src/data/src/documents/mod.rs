//! Documents of strangers as blocks of text: what a Room is filled with.
//!
//! ```text
//!  bytes -> kind (content first, then name) -> reader -> Document: blocks, each with kind, page and box
//!                                                     -> Refused: a reason that says what to do
//! ```
//!
//! [`sandbox`] has all of this done by a process of its own, which has little memory and time, no network, and no files
//! but the document. What people do not see in a document is not among its blocks: it is in [`Document::hidden`].

mod build;
mod csv;
mod decode;
mod docx;
mod html;
mod kind;
mod markdown;
mod ocr;
pub(crate) mod pdf;
mod pictures;
pub mod sandbox;
mod text;

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use protocol::ingest::{Limits, Ocr};
use protocol::quarantine::Reason;
use rooms::chunking::Kind;
use serde::{Deserialize, Serialize};

use crate::readers::Programs;

pub use html::links;

/// A document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// What it calls itself.
    pub title: Option<String>,
    /// Its pages, where it has pages.
    pub pages: Option<u32>,
    /// What it says, in reading order.
    pub blocks: Vec<Block>,
    /// What it says where people do not see it.
    pub hidden: Vec<String>,
    /// Where its links lead.
    pub links: Vec<String>,
    /// Why it should not be believed as it is.
    pub doubts: Vec<Doubt>,
    /// Pictures of its pages, in the directory that it was read in.
    pub pictures: Vec<PagePicture>,
}

/// A part of a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// What it is.
    pub kind: Kind,
    /// Its text.
    pub text: String,
    /// Its page, from 1.
    pub page: Option<u32>,
    /// Left, top, right and bottom, as shares of the page's width and height.
    pub area: Option<[f32; 4]>,
}

/// Something that a curator may overrule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// Which.
    pub reason: Reason,
    /// What was seen.
    pub detail: String,
}

/// A picture of a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PagePicture {
    /// The page, from 1.
    pub page: u32,
    /// Name of its file.
    pub file: String,
}

/// Why a document has no text that can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}: it {detail}")]
pub struct Refused {
    /// Which.
    pub reason: Reason,
    /// What was seen, to go on after "it".
    pub detail: String,
}

impl Refused {
    fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }
}

/// What comes of reading.
pub type Result<T> = std::result::Result<T, Refused>;

/// What is to be read, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// The file.
    pub path: PathBuf,
    /// What its source calls it.
    pub name: String,
    /// What its server says it is.
    pub media_type: Option<String>,
    /// Whether headers, footers and navigation are left out.
    pub clean: bool,
    /// Whether and how scans are read.
    pub ocr: Option<Ocr>,
    /// What it may take.
    pub limits: Limits,
}

/// Reads a document; other programs help, and what they need to write goes to `scratch`.
///
/// # Errors
/// With why it is set aside.
pub fn read(request: &Request, programs: &Programs, scratch: &Path) -> Result<Document> {
    let bytes = bytes(request)?;
    let reader = Reader {
        request,
        programs,
        scratch,
    };
    let document = match kind::of(&bytes, &request.name, request.media_type.as_deref())? {
        kind::Type::Pdf => pdf::read(&reader)?,
        kind::Type::Package => docx::read(&bytes, &request.limits, request.clean)?,
        kind::Type::Html => html::read(
            &decode::html(&bytes, request.media_type.as_deref())?,
            &request.limits,
            request.clean,
        )?,
        kind::Type::Markdown => markdown::read(&decode::text(&bytes)?, &request.limits, request.clean)?,
        kind::Type::Text => text::read(&decode::text(&bytes)?, &request.limits)?,
        kind::Type::Separated(delimiter) => csv::read(&decode::text(&bytes)?, delimiter, &request.limits)?,
        kind::Type::Picture => ocr::picture(&bytes, &reader)?,
    };
    let says_nothing = document.blocks.iter().all(|block| block.text.trim().is_empty());
    match says_nothing && document.doubts.is_empty() {
        true => Err(Refused::new(Reason::Empty, "has no text")),
        false => Ok(document),
    }
}

/// What readers work with.
struct Reader<'a> {
    request: &'a Request,
    programs: &'a Programs,
    scratch: &'a Path,
}

fn bytes(request: &Request) -> Result<Vec<u8>> {
    let broken = |error: std::io::Error| Refused::new(Reason::Broken, format!("cannot be read: {error}"));
    let file = File::open(&request.path).map_err(broken)?;
    let most = request.limits.bytes;
    let size = file.metadata().map_err(broken)?.len();
    // The file may grow while it is read.
    let mut bytes = Vec::new();
    if size <= most {
        file.take(most + 1).read_to_end(&mut bytes).map_err(broken)?;
    }
    match size.max(bytes.len() as u64) {
        size if size > most => Err(too_large(size, most)),
        0 => Err(Refused::new(Reason::Empty, "is an empty file")),
        _ => Ok(bytes),
    }
}

/// Of a file of this size.
pub fn too_large(bytes: u64, most: u64) -> Refused {
    Refused::new(
        Reason::TooLarge,
        format!("has {bytes} bytes, and {most} are read at most"),
    )
}

#[cfg(any(test, fuzzing))]
pub mod testing;
#[cfg(test)]
mod tests;
