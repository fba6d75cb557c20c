//! What must hold for any Room, whoever asks it whatever.

use std::time::Instant;

use proptest::prelude::*;

use super::testing::{acl, chunk, grant, index, vector};
use super::{Change, Index};
use crate::document::Chunk;
use crate::grant::{Clearance, Grant};
use crate::search::{Found, Options, Query, Refused, search};

/// Few words, so that hidden chunks have those that are asked for.
const WORDS: [&str; 6] = ["pump", "valve", "sea", "tree", "salary", "the"];

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&WORDS[..]), 0..7).prop_map(|words| words.join(" "))
}

/// Chunks of documents of ten, each document with rights of its own or each chunk.
fn chunks() -> impl Strategy<Value = Vec<Chunk>> {
    let one = (text(), 0u8..4, 0usize..8);
    let chunks = (prop::collection::vec(one, 0..120), any::<bool>());
    let chunks = chunks.prop_map(|(all, by_document)| {
        let of = |id: usize| {
            let rights = if by_document { id / 10 * 10 } else { id };
            let (_, clearance, list) = all[rights];
            chunk(id as i64, &all[id].0, clearance, acl(list))
        };
        (0..all.len()).map(of).collect::<Vec<_>>()
    });
    chunks.prop_shuffle()
}

fn grants() -> impl Strategy<Value = Grant> {
    (0usize..3, 0usize..4, 0u8..4).prop_map(|(user, groups, clearance)| grant(user, groups, clearance))
}

fn options() -> impl Strategy<Value = Options> {
    (0usize..20, any::<bool>(), -1f32..0.5, 0u32..60).prop_map(|(top_k, hybrid, min_score, max_context_tokens)| {
        Options {
            top_k,
            hybrid,
            min_score,
            max_context_tokens,
        }
    })
}

fn find(index: &Index, grant: &Grant, text: &str, options: &Options) -> Result<Found, Refused> {
    let vector = vector(text);
    search(index, grant, Query { vector: &vector, text }, options, Instant::now())
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let name = || (0usize..2, 0usize..13).prop_map(|(s, d)| (format!("source {s}"), format!("document {d}")));
    let change = prop_oneof![
        4 => name().prop_map(|(source, document)| Change::Remove { source, document }),
        1 => (0usize..3).prop_map(|source| Change::RemoveSource { source: format!("source {source}") }),
        8 => (name(), 0u8..4, 0usize..8).prop_map(|((source, document), clearance, list)| Change::Rights {
            source,
            document,
            clearance: Clearance(clearance),
            acl: acl(list),
        }),
    ];
    prop::collection::vec(change, 0..8)
}

/// What changes mean, applied to chunks.
fn changed(chunks: &[Chunk], changes: &[Change]) -> Vec<Chunk> {
    let mut chunks = chunks.to_vec();
    for change in changes {
        match change {
            Change::Remove { source, document } => {
                chunks.retain(|chunk| (&chunk.source, &chunk.document) != (source, document));
            }
            Change::RemoveSource { source } => chunks.retain(|chunk| &chunk.source != source),
            Change::Rights {
                source,
                document,
                clearance,
                acl,
            } => {
                for chunk in &mut chunks {
                    if (&chunk.source, &chunk.document) == (source, document) {
                        (chunk.clearance, chunk.acl) = (*clearance, acl.clone());
                    }
                }
            }
        }
    }
    chunks
}

proptest! {
    /// The property that this crate is for. Everything that a search gives is compared, to the last bit.
    #[test]
    fn hidden_chunks_might_as_well_not_be_there(
        chunks in chunks(),
        grant in grants(),
        text in text(),
        options in options(),
    ) {
        let sees = |chunk: &&Chunk| grant.sees(chunk.clearance, &chunk.acl);
        let visible: Vec<_> = chunks.iter().filter(sees).cloned().collect();
        let (all, only) = (index(&chunks), index(&visible));
        let found = find(&all, &grant, &text, &options).unwrap();
        prop_assert_eq!(&found, &find(&only, &grant, &text, &options).unwrap());
        // The work is the same, too: what is read are the visible chunks, neither more nor less.
        prop_assert_eq!(all.visible(&grant), visible.len());
        prop_assert_eq!(only.visible(&grant), visible.len());
        for hit in &found.hits {
            let chunk = visible.iter().find(|chunk| chunk.id == hit.chunk);
            prop_assert_eq!(chunk.map(|chunk| chunk.clearance), Some(hit.clearance));
        }
        prop_assert!(found.hits.len() <= options.top_k);
        prop_assert!(found.hits.iter().map(|hit| hit.tokens).sum::<u32>() <= options.max_context_tokens);
        prop_assert!(found.hits.iter().all(|hit| hit.score >= options.min_score));
    }

    /// An index that was changed is one that was made of what is left.
    #[test]
    fn changes_leave_nothing_behind(
        chunks in chunks(),
        batches in prop::collection::vec(changes(), 1..3),
        grant in grants(),
        text in text(),
        options in options(),
    ) {
        let before = index(&chunks);
        let found_before = find(&before, &grant, &text, &options).unwrap();
        let mut revised = before.clone();
        let mut left = chunks;
        for changes in &batches {
            revised.revise(changes);
            left = changed(&left, changes);
        }
        let made = index(&left);
        let expected = find(&made, &grant, &text, &options).unwrap();
        prop_assert_eq!(find(&revised, &grant, &text, &options).unwrap(), expected);
        prop_assert_eq!(revised.visible(&grant), made.visible(&grant));
        let rows = |index: &Index| index.blocks.iter().flatten().map(|block| block.len()).sum::<usize>();
        prop_assert_eq!(rows(&revised), left.len());
        // Searches that are under way go on in what they began with.
        prop_assert_eq!(find(&before, &grant, &text, &options).unwrap(), found_before);
    }

    /// However the first net fails, the second refuses.
    #[test]
    fn nets_that_disagree_refuse(chunks in chunks(), grant in grants(), text in text()) {
        let mut index = index(&chunks);
        // All blocks are where everyone looks.
        let everyone = index.classes.mark(Clearance(0), &acl(0));
        let class = index.classes.class(everyone) as usize;
        index.blocks.resize_with(index.classes.len(), Vec::new);
        let blocks = std::mem::take(&mut index.blocks).into_iter().flatten().collect();
        index.blocks.resize_with(class + 1, Vec::new);
        index.blocks[class] = blocks;
        let hidden = chunks.iter().any(|chunk| !grant.sees(chunk.clearance, &chunk.acl));
        let options = Options { top_k: 1000, min_score: -1.0, max_context_tokens: u32::MAX, ..Options::default() };
        match find(&index, &grant, &text, &options) {
            Ok(found) => prop_assert!(!hidden && found.hits.len() == chunks.len()),
            Err(Refused::Disagreement(id)) => {
                let chunk = chunks.iter().find(|chunk| chunk.id == id).unwrap();
                prop_assert!(!grant.sees(chunk.clearance, &chunk.acl));
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}

#[test]
fn a_removed_chunk_that_is_found_refuses() {
    let mut index = index(&[chunk(1, "pump", 0, acl(0))]);
    index.chunks.marks[0] = None;
    let refused = find(&index, &grant(0, 0, 0), "pump", &Options::default());
    assert_eq!(refused.err(), Some(Refused::Disagreement(crate::document::ChunkId(1))));
}
