//! A clean document as chunks, ready to be embedded.

use protocol::ingest::ChunkSize;
use protocol::rooms::{MAX_CHUNKS, Place};
use rooms::chunking::{self, Settings};
use rooms::{Acl, Clearance};

use super::tokens::tokens;
use crate::documents::Document;

/// Between blocks, where offsets are counted.
const BETWEEN: u64 = 2;

/// A chunk without its vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// As it is cited.
    pub text: String,
    /// As it is embedded.
    pub embedded: String,
    /// Where it stands.
    pub place: Place,
    /// Its tokens, estimated.
    pub tokens: u32,
}

/// The chunks of a document, which is about something.
///
/// # Errors
/// When there are more than a document may have; how many.
pub fn chunks(document: Document, about: &str, size: ChunkSize) -> Result<Vec<Chunk>, usize> {
    let mut starts = Vec::with_capacity(document.blocks.len());
    let mut at = 0_u64;
    // Rights are the whole document's: the gateway knows them.
    let blocks = document.blocks.into_iter().map(|block| {
        starts.push(at);
        at += block.text.len() as u64 + BETWEEN;
        chunking::Block {
            kind: block.kind,
            text: block.text,
            page: block.page,
            area: block.area,
            clearance: Clearance(0),
            acl: Acl::everyone(),
        }
    });
    let blocks: Vec<chunking::Block> = blocks.collect();
    let settings = Settings {
        tokens: size.tokens as usize,
        overlap: size.overlap as usize,
    };
    let pieces = chunking::pieces(&blocks, about, settings, &tokens);
    if pieces.len() > MAX_CHUNKS as usize {
        return Err(pieces.len());
    }
    let chunk = |piece: chunking::Piece| {
        let place = |block: usize, at: usize| starts.get(block).map(|start| start + at as u64);
        let first = piece.spans.first().and_then(|span| place(span.block, span.start));
        let last = piece.spans.last().and_then(|span| place(span.block, span.end));
        Chunk {
            tokens: tokens(&piece.embedded) as u32,
            place: Place {
                page: piece.place.page,
                headings: piece.place.headings,
                area: piece.place.area,
                offsets: first.zip(last).map(|(first, last)| [first, last]),
            },
            text: piece.text,
            embedded: piece.embedded,
        }
    };
    Ok(pieces.into_iter().map(chunk).collect())
}

#[cfg(test)]
mod tests {
    use rooms::chunking::Kind;

    use super::*;
    use crate::documents::Block;

    #[test]
    fn chunks_know_where_they_stand() {
        let block = |kind, text: &str, page| Block {
            kind,
            text: text.into(),
            page: Some(page),
            area: Some([0.1, 0.2, 0.3, 0.4]),
        };
        let document = Document {
            blocks: vec![
                block(Kind::Heading { level: 1 }, "Leave", 1),
                block(Kind::Paragraph, "Twenty days.", 1),
                block(Kind::Paragraph, "On the next page.", 2),
            ],
            ..Document::default()
        };
        let size = ChunkSize { tokens: 64, overlap: 8 };
        let chunks = chunks(document, "The handbook.", size).unwrap();
        let whole = "Leave\n\nTwenty days.\n\nOn the next page.";
        assert_eq!(chunks.len(), 2);
        for chunk in &chunks {
            let [from, to] = chunk.place.offsets.unwrap();
            assert_eq!(&whole[from as usize..to as usize], chunk.text);
            assert!(chunk.embedded.starts_with("The handbook.\nLeave"), "{}", chunk.embedded);
            assert!(chunk.tokens as usize <= 64);
        }
        assert_eq!(chunks[1].place.page, Some(2));
        assert_eq!(chunks[1].place.headings, ["Leave"]);
    }
}
