//! What changes in an index that is in use: rights, and what is removed. Content never does: that is a new generation.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Index;
use super::block::{Block, Row};
use super::class::Mark;
use crate::document::Acl;
use crate::grant::Clearance;

/// A change that takes effect at once.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A document is gone.
    Remove {
        /// Its source.
        source: String,
        /// Its name.
        document: String,
    },
    /// A source is gone, with all its documents.
    RemoveSource {
        /// Its name.
        source: String,
    },
    /// Others may see a document from now on.
    Rights {
        /// Its source.
        source: String,
        /// Its name.
        document: String,
        /// Clearance that it needs.
        clearance: Clearance,
        /// Who may see it.
        acl: Acl,
    },
}

impl Index {
    /// Applies changes, one after the other, and says how many chunks they touched. Documents that are not in this
    /// generation are passed over. Nothing is left of what is removed: neither its vectors nor its words nor its name.
    /// It writes the blocks anew that have such chunks, which takes milliseconds for each; so give it many at once.
    pub fn revise(&mut self, changes: &[Change]) -> usize {
        // What becomes of chunks, by their numbers: another mark, or nothing.
        let mut fates = HashMap::new();
        for change in changes {
            match change {
                Change::Remove { source, document } => {
                    let Some(documents) = self.documents.get_mut(source) else {
                        continue;
                    };
                    if documents.contains_key(document) {
                        let chunks = Arc::make_mut(documents).remove(document);
                        fates.extend(chunks.into_iter().flatten().map(|chunk| (chunk, None)));
                    }
                }
                Change::RemoveSource { source } => {
                    let documents = self.documents.remove(source);
                    let chunks = documents.iter().flat_map(|documents| documents.values()).flatten();
                    fates.extend(chunks.map(|chunk| (*chunk, None)));
                }
                Change::Rights {
                    source,
                    document,
                    clearance,
                    acl,
                } => {
                    let documents = self.documents.get(source);
                    if let Some(chunks) = documents.and_then(|documents| documents.get(document)) {
                        let mark = self.classes.mark(*clearance, acl);
                        fates.extend(chunks.iter().map(|chunk| (*chunk, Some(mark))));
                    }
                }
            }
        }
        fates.retain(|chunk, fate| self.chunks.marks[*chunk as usize] != *fate);
        let moved = self.take(&fates);
        for (chunk, fate) in &fates {
            self.chunks.marks[*chunk as usize] = *fate;
        }
        for (class, rows) in moved {
            self.put(class, rows);
        }
        fates.len()
    }

    /// Takes chunks out of wherever they lie, and gives back those that go on, by their new classes.
    fn take(&mut self, fates: &HashMap<u32, Option<Mark>>) -> BTreeMap<usize, Vec<Row>> {
        let mut moved: BTreeMap<usize, Vec<Row>> = BTreeMap::new();
        if fates.is_empty() {
            return moved;
        }
        let is_gone = |chunk: u32| fates.contains_key(&chunk);
        let goes_on = |chunk: u32| matches!(fates.get(&chunk), Some(Some(_)));
        for blocks in &mut self.blocks {
            for block in blocks.iter_mut() {
                if !block.chunks.iter().any(|chunk| is_gone(*chunk)) {
                    continue;
                }
                let block = Arc::make_mut(block);
                for row in block.take(is_gone, goes_on) {
                    if let Some(Some(mark)) = fates.get(&row.chunk) {
                        moved.entry(self.classes.class(*mark) as usize).or_default().push(row);
                    }
                }
                block.shrink();
            }
            blocks.retain(|block| block.len() > 0);
        }
        moved
    }

    /// Puts chunks into a class.
    fn put(&mut self, class: usize, rows: Vec<Row>) {
        self.blocks.resize_with(self.classes.len(), Vec::new);
        let blocks = &mut self.blocks[class];
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            if blocks.last().is_none_or(|block| block.is_full()) {
                blocks.push(Arc::new(Block::new(self.dimension)));
            }
            let Some(block) = blocks.last_mut().map(Arc::make_mut) else {
                return;
            };
            let mut fresh = Vec::new();
            while !block.is_full()
                && let Some(row) = rows.next()
            {
                block.push(row, &mut fresh);
            }
            block.postings.extend(fresh);
            block.shrink();
        }
    }
}
