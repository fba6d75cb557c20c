//! Blocks, as readers make them.

use protocol::ingest::Limits;
use protocol::quarantine::Reason;
use rooms::chunking::Kind;

use super::{Block, Document, Refused, Result};

/// Links of a document that are worth looking at.
const MAX_LINKS: usize = 10_000;
/// Bytes of one, and of a title.
const MAX_LINK: usize = 4096;
const MAX_TITLE: usize = 500;

/// Makes a document, of no more text than there may be.
#[derive(Debug)]
pub(super) struct Builder {
    document: Document,
    bytes: u64,
    most: u64,
}

impl Builder {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            document: Document::default(),
            bytes: 0,
            most: limits.text_bytes,
        }
    }

    /// Adds a block, unless it says nothing.
    pub(super) fn push(&mut self, kind: Kind, text: &str) -> Result<()> {
        self.block(Block {
            kind,
            text: text.to_owned(),
            page: None,
            area: None,
        })
    }

    /// The same, with its place.
    pub(super) fn block(&mut self, mut block: Block) -> Result<()> {
        let trimmed = match block.kind {
            // How far code is indented says something.
            Kind::Code => block.text.trim_end().trim_start_matches(['\n', '\r']),
            _ => block.text.trim(),
        };
        if trimmed.trim().is_empty() {
            return Ok(());
        }
        self.count(trimmed.len())?;
        block.text = trimmed.to_owned();
        self.document.blocks.push(block);
        Ok(())
    }

    /// Adds what people do not see.
    pub(super) fn hidden(&mut self, text: &str) -> Result<()> {
        let text = text.trim();
        if text.chars().any(char::is_alphanumeric) {
            self.count(text.len())?;
            self.document.hidden.push(text.to_owned());
        }
        Ok(())
    }

    pub(super) fn link(&mut self, to: &str) {
        let to = to.trim();
        if self.document.links.len() < MAX_LINKS && !to.is_empty() && to.len() <= MAX_LINK {
            self.document.links.push(to.to_owned());
        }
    }

    /// The title, unless there is one already.
    pub(super) fn title(&mut self, title: &str) {
        let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
        if self.document.title.is_none() && !title.is_empty() {
            let end = title.floor_char_boundary(MAX_TITLE.min(title.len()));
            self.document.title = Some(title[..end].to_owned());
        }
    }

    /// The document. Without a title it has that of its first heading.
    pub(super) fn finish(mut self) -> Document {
        let first = self
            .document
            .blocks
            .iter()
            .find(|block| matches!(block.kind, Kind::Heading { .. }));
        if let Some(text) = first.map(|block| block.text.clone()) {
            self.title(&text);
        }
        self.document
    }

    /// Whether nothing was said.
    pub(super) fn is_empty(&self) -> bool {
        self.document.blocks.is_empty()
    }

    fn count(&mut self, bytes: usize) -> Result<()> {
        self.bytes += bytes as u64;
        match self.bytes > self.most {
            true => Err(too_much_text(self.most)),
            false => Ok(()),
        }
    }
}

pub(super) fn too_much_text(most: u64) -> Refused {
    Refused::new(Reason::TooMuchText, format!("has more than {most} bytes of text"))
}
