//! Classes of chunks that the same people see: who sees what is decided once for a class, before anything is scored.

use std::collections::HashMap;
use std::sync::Arc;

use crate::document::Acl;
use crate::grant::{Clearance, Grant};

/// A list of names, and the classes that have it.
#[derive(Clone)]
struct List {
    acl: Arc<Acl>,
    /// By clearance, ascending.
    classes: Vec<(Clearance, u32)>,
}

/// All pairs of a clearance and a list of names that occur in an index, each of them a class with a number.
#[derive(Clone, Default)]
pub(super) struct Classes {
    lists: Vec<List>,
    numbers: HashMap<Arc<Acl>, u32>,
    /// The list without names.
    everyone: Option<u32>,
    /// Lists by the names in them.
    named: HashMap<String, Vec<u32>>,
    count: u32,
}

/// What a chunk is marked with, beside the class that it lies in: the second net looks at this.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) clearance: Clearance,
    list: u32,
}

impl Classes {
    /// The mark for a clearance and a list of names.
    pub(super) fn mark(&mut self, clearance: Clearance, acl: &Acl) -> Mark {
        if let Some(&list) = self.numbers.get(acl) {
            return Mark { clearance, list };
        }
        let list = self.lists.len() as u32;
        let acl = Arc::new(acl.clone());
        match acl.names() {
            None => self.everyone = Some(list),
            Some(names) => {
                for name in names {
                    self.named.entry(name.clone()).or_default().push(list);
                }
            }
        }
        self.numbers.insert(acl.clone(), list);
        let classes = Vec::new();
        self.lists.push(List { acl, classes });
        Mark { clearance, list }
    }

    /// The number of the class of a mark, from 0.
    pub(super) fn class(&mut self, mark: Mark) -> u32 {
        let classes = &mut self.lists[mark.list as usize].classes;
        match classes.binary_search_by_key(&mark.clearance, |class| class.0) {
            Ok(place) => classes[place].1,
            Err(place) => {
                let class = self.count;
                self.count += 1;
                classes.insert(place, (mark.clearance, class));
                class
            }
        }
    }

    /// How many classes there are.
    pub(super) fn len(&self) -> usize {
        self.count as usize
    }

    /// The classes that somebody sees, ascending. It takes time by what they see and how many groups they are in, and
    /// not by what they do not see: lists are looked up by their names.
    pub(super) fn visible(&self, grant: &Grant) -> Vec<u32> {
        let principal = grant.principal();
        let groups = principal.groups.iter().map(|group| format!("group:{group}"));
        let names = groups.chain([format!("user:{}", principal.user)]);
        let named = names.filter_map(|name| self.named.get(&name)).flatten();
        let mut lists: Vec<u32> = self.everyone.iter().chain(named).copied().collect();
        lists.sort_unstable();
        lists.dedup();
        let mut classes = Vec::new();
        for list in lists {
            let list = &self.lists[list as usize];
            // The grant decides; to be looked up was only a way to find what to ask it about.
            let seen = list
                .classes
                .iter()
                .take_while(|(clearance, _)| grant.sees(*clearance, &list.acl));
            classes.extend(seen.map(|(_, class)| *class));
        }
        classes.sort_unstable();
        classes
    }

    /// Whether somebody sees what is marked so.
    pub(super) fn sees(&self, grant: &Grant, mark: Mark) -> bool {
        grant.sees(mark.clearance, &self.lists[mark.list as usize].acl)
    }

    /// About the bytes of memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        // A name, its place in a tree, and its list in a map: three words of each, and the text twice.
        let names = self.lists.iter().filter_map(|list| list.acl.names()).flatten();
        let text: usize = names.map(|name| 2 * name.len() + 9 * size_of::<usize>()).sum();
        let lists = self.lists.len() * (size_of::<List>() + size_of::<Acl>() + 6 * size_of::<usize>());
        text + lists + self.len() * size_of::<(Clearance, u32)>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::index::testing::{acl, grant};

    proptest! {
        /// What is looked up is exactly what the grant would say of each class.
        #[test]
        fn nothing_is_seen_or_missed_by_looking_up(
            made in prop::collection::vec((0u8..4, 0usize..8), 0..30),
            user in 0usize..3,
            groups in 0usize..4,
            clearance in 0u8..4,
        ) {
            let mut classes = Classes::default();
            let of = |(clearance, list): &(u8, usize)| (Clearance(*clearance), acl(*list));
            let mut all: Vec<_> = made.iter().map(|pair| {
                let (clearance, acl) = of(pair);
                let mark = classes.mark(clearance, &acl);
                (classes.class(mark), mark, clearance, acl)
            }).collect();
            all.sort_by_key(|class| class.0);
            all.dedup_by_key(|class| class.0);
            prop_assert_eq!(all.len(), classes.len());
            let grant = grant(user, groups, clearance);
            let expected: Vec<_> = all.iter().filter(|(_, _, clearance, acl)| grant.sees(*clearance, acl)).collect();
            let found = classes.visible(&grant);
            prop_assert_eq!(&found, &expected.iter().map(|class| class.0).collect::<Vec<_>>());
            for (class, mark, _, _) in &all {
                prop_assert_eq!(classes.sees(&grant, *mark), found.contains(class));
            }
        }
    }
}
