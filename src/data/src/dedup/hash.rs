//! Fast hashes with the same result on every machine. They keep nobody from making collisions.

/// 2^64 divided by the golden ratio.
pub const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// A bijection in which each bit of the result depends on each bit of `x`: the finalizer of SplitMix64 (Steele, Lea and
/// Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
#[inline]
pub fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Both halves of the product of 128 bits, as wyhash folds them.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

/// A hash that takes bytes one by one.
#[derive(Clone, Copy, Debug)]
pub struct Hasher {
    state: u64,
    pending: u64,
    length: u64,
}

impl Default for Hasher {
    fn default() -> Self {
        Self {
            state: GOLDEN,
            pending: 0,
            length: 0,
        }
    }
}

impl Hasher {
    /// Takes a byte.
    #[inline]
    pub fn push(&mut self, byte: u8) {
        self.pending = (self.pending << 8) | u64::from(byte);
        self.length += 1;
        if self.length.is_multiple_of(8) {
            self.state = fold(self.state ^ self.pending, 0xD6E8_FEB8_6659_FD93);
            self.pending = 0;
        }
    }

    /// Whether nothing was taken since the last [`Self::finish`].
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The hash; another one begins.
    #[inline]
    pub fn finish(&mut self) -> u64 {
        let hash = mix(fold(self.state ^ self.pending, GOLDEN.wrapping_add(self.length << 1)));
        *self = Self::default();
        hash
    }
}

/// The hash of `bytes`.
pub fn hash(bytes: &[u8]) -> u64 {
    let mut state = GOLDEN;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let chunk = u64::from_le_bytes(chunk.try_into().expect("a chunk has 8 bytes"));
        state = fold(state ^ chunk, 0xD6E8_FEB8_6659_FD93);
    }
    let rest = chunks.remainder();
    let last = rest.iter().fold(0, |last, byte| (last << 8) | u64::from(*byte));
    mix(fold(state ^ last, GOLDEN.wrapping_add((bytes.len() as u64) << 1)))
}
