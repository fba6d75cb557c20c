//! Which pages of the cache are whose, and which hold beginnings that later prompts share.
//!
//! A page holds the keys and values of [`PAGE`] tokens. A full page is known by its tokens and the page
//! before it, back to the beginning, so that equal prompts find it without a chance of confusion.
//! Pages that nobody uses any more stay known until their room is needed, the longest unused first.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap},
    sync::Arc,
};

use crate::lora::AdapterId;

/// Tokens of a page.
pub const PAGE: usize = 16;

/// Within what beginnings are shared: other scopes never meet the same page, or the time to the first
/// token would tell one caller what another has asked. An adapter changes keys and values, too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Scope {
    pub name: Option<String>,
    pub adapter: Option<AdapterId>,
}

/// What comes before a page.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Before {
    Nothing(Arc<Scope>),
    Block(u64),
}

/// The content of a full page.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Block {
    before: Before,
    tokens: [u32; PAGE],
}

#[derive(Clone, Debug, Default)]
struct Page {
    users: usize,
    /// Its content, with the number that names it as the predecessor of others.
    block: Option<(Arc<Block>, u64)>,
    /// When it was last given back.
    stamp: u64,
}

/// The pages of one sequence, in order.
#[derive(Debug)]
pub(crate) struct PageTable {
    pages: Vec<u32>,
    /// How many of them, from the first, are known.
    known: usize,
    /// Of the first page that is not known.
    before: Before,
}

impl PageTable {
    pub fn pages(&self) -> &[u32] {
        &self.pages
    }

    /// Tokens that it holds from the beginning on, of those that are known.
    pub fn tokens(&self) -> usize {
        self.known * PAGE
    }

    /// Tokens that it has pages for.
    pub fn room(&self) -> usize {
        self.pages.len() * PAGE
    }
}

/// All pages.
pub(crate) struct Pages {
    pages: Vec<Page>,
    /// Pages that hold nothing; the lowest is taken first, so that untouched memory stays so.
    empty: BinaryHeap<Reverse<u32>>,
    /// Pages that nobody uses but which are known, by the time of their last use.
    idle: BTreeMap<u64, u32>,
    known: HashMap<Arc<Block>, u32>,
    /// Pages that may hold something at the same time.
    limit: usize,
    share: bool,
    clock: u64,
}

impl Pages {
    /// `count` empty pages; `share` keeps beginnings for later prompts.
    pub fn new(count: usize, share: bool) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            pages: vec![Page::default(); count as usize],
            empty: (0..count).map(Reverse).collect(),
            idle: BTreeMap::new(),
            known: HashMap::new(),
            limit: count as usize,
            share,
            clock: 0,
        }
    }

    /// Changes how many pages may hold something. Those in use stay; known ones go first.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit.min(self.pages.len());
        while self.held() > self.limit && self.forget_oldest() {}
    }

    /// Pages that a sequence could get now.
    pub fn available(&self) -> usize {
        self.limit.saturating_sub(self.held() - self.idle.len())
    }

    /// Pages that the limit allows in all.
    pub fn limit(&self) -> usize {
        self.limit
    }

    fn held(&self) -> usize {
        self.pages.len() - self.empty.len()
    }

    /// A table for a prompt, with the pages that are known already. The last token is left out: it has
    /// to be computed to know what follows.
    pub fn begin(&mut self, scope: Arc<Scope>, tokens: &[u32]) -> PageTable {
        let mut table = PageTable {
            pages: Vec::new(),
            known: 0,
            before: Before::Nothing(scope),
        };
        if !self.share {
            return table;
        }
        let reusable = &tokens[..tokens.len().saturating_sub(1)];
        for tokens in reusable.as_chunks().0 {
            let block = Block {
                before: table.before.clone(),
                tokens: *tokens,
            };
            let Some(&index) = self.known.get(&block) else { break };
            self.take(index);
            table.pages.push(index);
            if let Some((_, number)) = &self.pages[index as usize].block {
                table.before = Before::Block(*number);
            }
        }
        table.known = table.pages.len();
        table
    }

    /// Gives the table pages for `tokens` tokens in all, or as many as there are. True if it has enough.
    pub fn extend(&mut self, table: &mut PageTable, tokens: usize) -> bool {
        while table.pages.len() * PAGE < tokens {
            let Some(index) = self.fresh() else { return false };
            self.take(index);
            table.pages.push(index);
        }
        true
    }

    /// Makes the full pages of `tokens`, which are computed, known to later prompts.
    pub fn remember(&mut self, table: &mut PageTable, tokens: &[u32]) {
        if !self.share {
            return;
        }
        let (blocks, _) = tokens.as_chunks();
        for (position, tokens) in blocks.iter().enumerate().skip(table.known) {
            let block = Arc::new(Block {
                before: table.before.clone(),
                tokens: *tokens,
            });
            let number = match self.known.get(&block) {
                // Another sequence computed the same at the same time; its page stays the known one.
                Some(&index) => self.pages[index as usize].block.as_ref().map(|(_, number)| *number),
                None => {
                    self.clock += 1;
                    let index = table.pages[position];
                    self.pages[index as usize].block = Some((block.clone(), self.clock));
                    self.known.insert(block, index);
                    Some(self.clock)
                }
            };
            let Some(number) = number else { return };
            table.before = Before::Block(number);
            table.known = position + 1;
        }
    }

    /// Makes the pages of a table unknown: what they hold is of no use to others.
    pub fn forget(&mut self, table: &PageTable) {
        for index in &table.pages {
            if let Some((block, _)) = self.pages[*index as usize].block.take() {
                self.known.remove(&block);
            }
        }
    }

    /// Takes a sequence's pages back.
    pub fn release(&mut self, table: PageTable) {
        // The last one first: it is of no use without those before it, so it has to go first.
        for index in table.pages.into_iter().rev() {
            self.clock += 1;
            let page = &mut self.pages[index as usize];
            page.users -= 1;
            if page.users > 0 {
                continue;
            }
            if page.block.is_some() {
                page.stamp = self.clock;
                self.idle.insert(self.clock, index);
            } else {
                self.empty.push(Reverse(index));
            }
        }
        while self.held() > self.limit && self.forget_oldest() {}
    }

    /// Makes nothing known any more. Pages in use stay with their sequences.
    pub fn forget_all(&mut self) {
        while self.forget_oldest() {}
        self.known.clear();
        for page in &mut self.pages {
            page.block = None;
        }
    }

    fn take(&mut self, index: u32) {
        let page = &mut self.pages[index as usize];
        if page.users == 0 {
            self.idle.remove(&page.stamp);
        }
        page.users += 1;
    }

    fn fresh(&mut self) -> Option<u32> {
        if (self.held() >= self.limit || self.empty.is_empty()) && !self.forget_oldest() {
            return None;
        }
        self.empty.pop().map(|Reverse(index)| index)
    }

    fn forget_oldest(&mut self) -> bool {
        let Some((_, index)) = self.idle.pop_first() else {
            return false;
        };
        if let Some((block, _)) = self.pages[index as usize].block.take() {
            self.known.remove(&block);
        }
        self.empty.push(Reverse(index));
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scope(name: &str) -> Arc<Scope> {
        Arc::new(Scope {
            name: Some(name.into()),
            adapter: None,
        })
    }

    fn computed(pages: &mut Pages, scope: &Arc<Scope>, tokens: &[u32]) -> PageTable {
        let mut table = pages.begin(scope.clone(), tokens);
        assert!(pages.extend(&mut table, tokens.len()));
        pages.remember(&mut table, tokens);
        table
    }

    #[test]
    fn a_beginning_is_found_in_its_scope_only() {
        let mut pages = Pages::new(8, true);
        let tokens: Vec<u32> = (0..40).collect();
        let first = computed(&mut pages, &scope("ada"), &tokens);
        let held = first.pages.clone();
        pages.release(first);

        let again = pages.begin(scope("ada"), &tokens);
        assert_eq!(again.pages, held[..2]);
        assert!(pages.begin(scope("bob"), &tokens).pages.is_empty());
        let mut other = tokens.clone();
        other[3] = 99;
        assert!(pages.begin(scope("ada"), &other).pages.is_empty());
        // 32 tokens are two full pages, but the last token has to be computed.
        assert_eq!(pages.begin(scope("ada"), &tokens[..32]).pages, held[..1]);
    }

    #[test]
    fn known_pages_make_room_the_longest_unused_first_and_from_their_end() {
        let mut pages = Pages::new(4, true);
        let (old, new): (Vec<u32>, Vec<u32>) = ((0..33).collect(), (100..117).collect());
        let scope = scope("ada");
        for tokens in [&old, &new] {
            let table = computed(&mut pages, &scope, &tokens[..tokens.len() - 1]);
            pages.release(table);
        }
        let mut table = pages.begin(scope.clone(), &[7; 32]);
        assert!(pages.extend(&mut table, 32));
        assert_eq!(pages.begin(scope.clone(), &old).pages.len(), 1);
        assert_eq!(pages.begin(scope, &new).pages.len(), 1);
        assert!(!pages.extend(&mut table, 64));
    }

    #[test]
    fn what_is_forgotten_is_not_found_and_goes_when_it_is_given_back() {
        let mut pages = Pages::new(4, true);
        let tokens: Vec<u32> = (0..40).collect();
        let table = computed(&mut pages, &scope("ada"), &tokens);
        let sharer = pages.begin(scope("ada"), &tokens);
        pages.forget(&table);
        assert!(pages.begin(scope("ada"), &tokens).pages.is_empty());
        pages.release(table);
        assert_eq!(pages.held(), 2);
        pages.release(sharer);
        assert_eq!((pages.available(), pages.held()), (4, 0));
    }

    #[test]
    fn without_sharing_nothing_is_kept() {
        let mut pages = Pages::new(4, false);
        let tokens: Vec<u32> = (0..40).collect();
        let table = computed(&mut pages, &scope("ada"), &tokens);
        pages.release(table);
        assert!(pages.begin(scope("ada"), &tokens).pages.is_empty());
        assert_eq!((pages.available(), pages.held()), (4, 0));
    }

    #[test]
    fn a_lower_limit_takes_known_pages_and_leaves_those_in_use() {
        let mut pages = Pages::new(6, true);
        let idle = computed(&mut pages, &scope("ada"), &[1; 32]);
        let mut used = computed(&mut pages, &scope("bob"), &[2; 48]);
        pages.release(idle);
        pages.set_limit(2);
        assert_eq!((pages.held(), pages.available()), (3, 0));
        assert!(!pages.extend(&mut used, 64));
        pages.set_limit(6);
        assert_eq!(pages.available(), 3);
    }

    proptest! {
        /// Whatever happens, every page is empty, idle or in use, and in use by as many as hold it.
        #[test]
        fn no_page_is_lost_or_given_twice(steps in prop::collection::vec((0u8..5, 0usize..6, 1usize..70), 1..80)) {
            let mut pages = Pages::new(12, true);
            let mut tables: Vec<PageTable> = Vec::new();
            for (action, pick, length) in steps {
                let tokens: Vec<u32> = (0..length as u32).map(|i| i / (pick as u32 + 7)).collect();
                match action {
                    0 | 1 => {
                        let mut table = pages.begin(scope(if pick % 2 == 0 { "ada" } else { "bob" }), &tokens);
                        if pages.extend(&mut table, length) {
                            pages.remember(&mut table, &tokens);
                        }
                        tables.push(table);
                    }
                    2 if !tables.is_empty() => {
                        let table = tables.swap_remove(pick % tables.len());
                        pages.release(table);
                    }
                    3 if !tables.is_empty() => pages.forget(&tables[pick % tables.len()]),
                    _ => pages.set_limit(6 + pick),
                }
                let mut users = [0; 12];
                for index in tables.iter().flat_map(|table| &table.pages) {
                    users[*index as usize] += 1;
                }
                for (page, users) in pages.pages.iter().zip(users) {
                    prop_assert_eq!(page.users, users);
                }
                let used = users.iter().filter(|users| **users > 0).count();
                prop_assert_eq!(used + pages.idle.len() + pages.empty.len(), 12);
                prop_assert_eq!(pages.known.len(), pages.pages.iter().filter(|page| page.block.is_some()).count());
            }
        }
    }
}
