//! Merkle trees, as RFC 6962 builds them.

use sha2::{Digest, Sha256};

use super::chain::Hash;

/// The head of a chain: a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The chain.
    pub chain: String,
    /// Its last row.
    pub seq: i64,
    /// That row's hash.
    pub hash: Hash,
}

impl Head {
    fn leaf(&self) -> Hash {
        // A leaf and a node never have the same encoding.
        let mut hash = Sha256::new_with_prefix([0]);
        hash.update((self.chain.len() as u64).to_be_bytes());
        hash.update(&self.chain);
        hash.update(self.seq.to_be_bytes());
        hash.update(self.hash);
        hash.finalize().into()
    }
}

/// The root over heads, in their order; over none it is that of the empty tree.
pub fn root(heads: &[Head]) -> Hash {
    match heads {
        [] => Sha256::digest([]).into(),
        [head] => head.leaf(),
        _ => {
            // The largest power of two below the number of leaves.
            let (left, right) = heads.split_at(heads.len().next_power_of_two() / 2);
            let mut hash = Sha256::new_with_prefix([1]);
            hash.update(root(left));
            hash.update(root(right));
            hash.finalize().into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads(count: u8) -> Vec<Head> {
        let head = |n| Head {
            chain: format!("c{n}"),
            seq: 1,
            hash: [n; 32],
        };
        (0..count).map(head).collect()
    }

    #[test]
    fn every_leaf_and_its_place_count() {
        for count in 1..9 {
            let all = heads(count);
            let whole = root(&all);
            assert_ne!(whole, root(&all[1..]));
            for i in 0..all.len() {
                let mut other = all.clone();
                other[i].seq += 1;
                assert_ne!(root(&other), whole);
                other[i] = all[i].clone();
                other.rotate_left(1);
                assert!(count == 1 || root(&other) != whole);
            }
        }
    }

    #[test]
    fn a_tree_of_three_is_a_tree_of_two_and_a_leaf() {
        let all = heads(3);
        let mut hash = Sha256::new_with_prefix([1]);
        hash.update(root(&all[..2]));
        hash.update(all[2].leaf());
        assert_eq!(root(&all), Hash::from(hash.finalize()));
    }
}
