//! A document on its way from its bytes to chunks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use protocol::PrepareFailure;
use protocol::ingest::{ChunkSize, Limits, Ocr};
use protocol::quarantine::Reason;
use protocol::report::reasons;

use super::chunks::{Chunk, chunks};
use super::clean::Cleaned;
use super::found::{Content, Found};
use super::gateway::Filling;
use crate::documents::sandbox::{self, Confined};
use crate::documents::{Document, PagePicture, Refused, Request};
use crate::failure::{Result, disk};
use crate::readers::Programs;

/// What readers of documents have in common.
pub struct Readers {
    /// Who reads.
    pub programs: Programs,
    /// What cleans.
    pub cleaned: Cleaned,
    /// Whether headers, footers and navigation are left out.
    pub clean: bool,
    /// What a document may take.
    pub limits: Limits,
    /// Size of chunks.
    pub size: ChunkSize,
    /// Bytes of memory for each process.
    pub memory: u64,
    /// Directory for their files.
    pub scratch: PathBuf,
    /// Whether it was said from what processes are kept.
    pub told: AtomicBool,
}

/// A document that was read.
pub struct Read {
    /// What it was.
    pub found: Found,
    /// What it calls itself.
    pub title: Option<String>,
    /// Its pages, where it has pages.
    pub pages: Option<u32>,
    /// Its chunks; none of one that is set aside.
    pub chunks: Vec<Chunk>,
    /// Why it is set aside.
    pub refused: Option<Refused>,
    /// Pictures of its pages.
    pub pictures: Vec<PagePicture>,
    /// Where they are, until this goes.
    pub directory: Option<tempfile::TempDir>,
}

impl Read {
    fn refused(found: Found, refused: Refused) -> Self {
        Self {
            found,
            title: None,
            pages: None,
            chunks: Vec::new(),
            refused: Some(refused),
            pictures: Vec::new(),
            directory: None,
        }
    }
}

/// Reads a document. What a curator has released (`released` is its digest) is not set aside again for what curators may
/// overrule.
///
/// # Errors
/// When the disk fails, or the gateway does not give an upload. What is wrong with the document is told in it.
pub async fn read(
    readers: Arc<Readers>,
    found: Found,
    ocr: Option<Ocr>,
    released: Option<String>,
    filling: &Filling,
) -> Result<Read> {
    if let Some(refused) = found.refused.clone() {
        return Ok(Read::refused(found, refused));
    }
    let directory = tempfile::Builder::new()
        .prefix("document-")
        .tempdir_in(&readers.scratch);
    let directory = directory.map_err(disk("make a directory in", &readers.scratch))?;
    let path = match &found.content {
        Content::File(path) => path.clone(),
        Content::Upload(id) => {
            let path = directory.path().join("upload");
            filling.upload(*id, &found.digest, &path).await?;
            path
        }
    };
    let is_released = released.is_some_and(|digest| digest == found.digest);
    let reading = tokio::task::spawn_blocking(move || readers.read(found, &path, ocr, is_released, directory));
    let failed = |error| PrepareFailure::new(reasons::INTERNAL, format!("failed to read a document: {error}"), true);
    reading.await.map_err(failed)?
}

impl Readers {
    fn read(
        &self,
        found: Found,
        path: &Path,
        ocr: Option<Ocr>,
        is_released: bool,
        directory: tempfile::TempDir,
    ) -> Result<Read> {
        // The process runs elsewhere.
        let path = path.canonicalize().map_err(disk("find", path))?;
        let request = Request {
            path,
            name: found.file.clone(),
            media_type: found.media_type.clone(),
            clean: self.clean,
            ocr,
            limits: self.limits,
        };
        let extracted = match sandbox::read(&request, &self.programs, self.memory, directory.path()) {
            Ok(extracted) => extracted,
            Err(refused) => return Ok(Read::refused(found, refused)),
        };
        self.tell(extracted.confined);
        let document = self.cleaned.document(extracted.document);
        let refused = document.doubts.first().filter(|_| !is_released).map(|doubt| Refused {
            reason: doubt.reason,
            detail: doubt.detail.clone(),
        });
        let mut read = Read {
            title: document.title.clone(),
            pages: document.pages,
            chunks: Vec::new(),
            pictures: self.pictures(&request, &document, directory.path()),
            directory: Some(directory),
            refused,
            found,
        };
        if read.refused.is_some() {
            return Ok(read);
        }
        match chunks(document, &read.found.about, self.size) {
            Ok(chunks) => read.chunks = chunks,
            Err(count) => {
                let detail = format!("makes {count} chunks, more than a document may have");
                read.refused = Some(Refused {
                    reason: Reason::TooMuchText,
                    detail,
                });
            }
        }
        Ok(read)
    }

    /// Those that reading left, and those of other pages of a PDF.
    fn pictures(&self, request: &Request, document: &Document, directory: &Path) -> Vec<PagePicture> {
        // A picture shows what was taken out of the text.
        if !self.cleaned.may_show() {
            return Vec::new();
        }
        let mut pictures = document.pictures.clone();
        let (pages, most) = (document.pages.unwrap_or_default(), self.limits.pictures);
        if pictures.len() < pages.min(most) as usize {
            match sandbox::draw(request, pages, &self.programs, self.memory, directory) {
                Ok(drawn) => {
                    let is_new =
                        |picture: &PagePicture| !document.pictures.iter().any(|known| known.page == picture.page);
                    pictures.extend(drawn.into_iter().filter(is_new));
                }
                // They are for the eye alone.
                Err(refused) => tracing::debug!("{} has no pictures: {refused}", request.name),
            }
        }
        pictures
    }

    /// Says once from what processes are not kept.
    fn tell(&self, confined: Confined) {
        let is_first = !self.told.swap(true, Ordering::Relaxed);
        if is_first && !(confined.files && confined.network) {
            tracing::warn!(
                files = confined.files,
                network = confined.network,
                "the kernel does not keep those who read documents from everything: they run with limits of time and memory alone \
                 where it says false"
            );
        }
    }
}
