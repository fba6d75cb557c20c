//! Sketches of texts from which their similarity can be told.
//!
//! MinHash takes as many hashes of each shingle as a sketch has places. Fast Similarity Sketching (Dahlgaard, Knudsen and
//! Thorup, FOCS 2017) throws each shingle into one place instead, and does it again, with later rounds counting less,
//! until no place is empty. A place is equal in two sketches as likely as in MinHash, which is the Jaccard similarity, and
//! the variance is no larger; but a text of 400 words takes two or three rounds where MinHash takes 128.

use super::{
    hash::{GOLDEN, mix},
    words,
};

/// Places of a sketch.
pub const PLACES: usize = 128;
/// Bytes of a [`Signature`].
pub const SIGNATURE: usize = PLACES * 2;

/// What the places hold: the round above the hash.
pub type Sketch = [u64; PLACES];
/// 16 bits of each place, in little-endian order: enough to tell whether two are equal.
pub type Signature = [u8; SIGNATURE];

/// Makes sketches.
#[derive(Debug)]
pub struct Sketcher {
    /// Words in a shingle.
    shingle: usize,
    /// What the oldest word of a shingle was multiplied with.
    oldest: u64,
    /// The last words.
    last: Vec<u64>,
    shingles: Vec<u64>,
}

const BASE: u64 = 0x2545_F491_4F6C_DD1D;

impl Sketcher {
    /// With shingles of that many words.
    pub fn new(shingle: usize) -> Self {
        let oldest = (1..shingle).fold(1, |power: u64, _| power.wrapping_mul(BASE));
        Self {
            shingle,
            oldest,
            last: Vec::new(),
            shingles: Vec::new(),
        }
    }

    /// The sketch of `text`; nothing if it has no words.
    pub fn sketch(&mut self, text: &str) -> Option<Sketch> {
        self.read(text);
        (!self.shingles.is_empty()).then(|| fill(&mut self.shingles))
    }

    /// Takes the hashes of all shingles: polynomials over the hashes of their words. A text shorter than a shingle is one.
    fn read(&mut self, text: &str) {
        let Self {
            shingle,
            oldest,
            last,
            shingles,
        } = self;
        last.clear();
        shingles.clear();
        let (mut hash, mut at) = (0u64, 0);
        words::each(text, |word| {
            if last.len() < *shingle {
                last.push(word);
            } else {
                let gone = std::mem::replace(&mut last[at], word);
                at = if at + 1 == *shingle { 0 } else { at + 1 };
                hash = hash.wrapping_sub(gone.wrapping_mul(*oldest));
            }
            hash = hash.wrapping_mul(BASE).wrapping_add(word);
            if last.len() == *shingle {
                shingles.push(hash);
            }
        });
        if shingles.is_empty() && !last.is_empty() {
            shingles.push(hash);
        }
    }
}

fn fill(shingles: &mut Vec<u64>) -> Sketch {
    let mut sketch = [u64::MAX; PLACES];
    for round in 0..PLACES as u64 {
        let salt = round.wrapping_mul(GOLDEN);
        for shingle in shingles.iter() {
            let hash = mix(shingle.wrapping_add(salt));
            let place = &mut sketch[(hash >> 57) as usize];
            *place = (*place).min((round << 32) | u64::from(hash as u32));
        }
        if !sketch.contains(&u64::MAX) {
            return sketch;
        }
        // Many shingles that leave a place empty are few shingles that occur many times.
        if round == 1 && shingles.len() > PLACES {
            shingles.sort_unstable();
            shingles.dedup();
        }
    }
    // Every place takes the least of all shingles that are left for it.
    for (place, value) in sketch.iter_mut().enumerate() {
        let round = (PLACES + place) as u64;
        let salt = round.wrapping_mul(GOLDEN);
        let hashes = shingles.iter().map(|shingle| mix(shingle.wrapping_add(salt)) as u32);
        let least = hashes.min().unwrap_or(u32::MAX);
        *value = (*value).min((round << 32) | u64::from(least));
    }
    sketch
}

/// What is kept of a sketch for comparing it.
pub fn signature(sketch: &Sketch) -> Signature {
    let mut signature = [0; SIGNATURE];
    for (bytes, value) in signature.chunks_exact_mut(2).zip(sketch) {
        bytes.copy_from_slice(&(*value as u16).to_le_bytes());
    }
    signature
}

/// The estimated Jaccard similarity of what two signatures are of.
pub fn similarity(left: &Signature, right: &Signature) -> f64 {
    let pairs = left.chunks_exact(2).zip(right.chunks_exact(2));
    pairs.filter(|(left, right)| left == right).count() as f64 / PLACES as f64
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn signature_of(text: &str, shingle: usize) -> Signature {
        signature(&Sketcher::new(shingle).sketch(text).unwrap())
    }

    /// Texts of `words` words of which some are shared, and their Jaccard similarity with shingles of one word.
    fn pair(words: usize, shared: usize, seed: usize) -> (String, String, f64) {
        let text = |own: char| {
            let own = (shared..words).map(|i| format!("{own}{seed}x{i} "));
            let both = (0..shared).map(|i| format!("both{seed}x{i} "));
            both.chain(own).collect::<String>()
        };
        (text('l'), text('r'), shared as f64 / (2 * words - shared) as f64)
    }

    #[rstest]
    #[case::tiny(5, 4)]
    #[case::short(40, 36)]
    #[case::middle(300, 200)]
    #[case::long(3000, 2900)]
    #[case::unlike(500, 0)]
    fn the_estimate_is_unbiased_and_precise(#[case] words: usize, #[case] shared: usize) {
        let rounds = 200;
        let (mut sum, mut squares, mut expected) = (0.0, 0.0, 0.0);
        for seed in 0..rounds {
            let (left, right, jaccard) = pair(words, shared, seed);
            let error = similarity(&signature_of(&left, 1), &signature_of(&right, 1)) - jaccard;
            (sum, squares, expected) = (sum + error, squares + error * error, jaccard);
        }
        let variance = expected * (1.0 - expected) / PLACES as f64;
        let (bias, measured) = (sum / rounds as f64, squares / rounds as f64);
        assert!(
            bias.abs() <= 4.0 * (variance / rounds as f64).sqrt() + 1e-4,
            "bias {bias}"
        );
        assert!(
            measured <= 1.5 * variance + 1e-6,
            "variance {measured}, MinHash has {variance}"
        );
    }

    #[rstest]
    #[case::repeated("a b a b a b a b a b", "a b a b a b", 2)]
    #[case::rolled("x y one two three", "z one two three", 3)]
    #[case::shorter_than_a_shingle("Hello, there", "hello there!", 5)]
    fn equal_shingles_are_found_anywhere(#[case] left: &str, #[case] right: &str, #[case] shingle: usize) {
        let similarity = similarity(&signature_of(left, shingle), &signature_of(right, shingle));
        assert!(similarity > 0.0);
    }

    #[test]
    fn order_matters() {
        assert!(similarity(&signature_of("a b c", 2), &signature_of("c b a", 2)) < 0.1);
    }

    #[test]
    fn nothing_is_made_of_nothing() {
        assert!(Sketcher::new(5).sketch(" ?! ").is_none());
    }
}
