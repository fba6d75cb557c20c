//! Vectors as they are kept: of length 1, in half precision, and as bytes with a scale for the first look.

use half::f16;
use half::slice::HalfFloatSliceExt as _;

/// The largest dimension. With it, and what is made of a query, a product fits 32 bits.
pub const MAX_DIMENSION: usize = 8192;

/// The first byte of a vector in a database.
const VERSION: u8 = 1;
/// What stands before the components: the version, the dimension and the scale.
const HEADER: usize = 1 + 2 + 4;

/// Why something is no vector of this index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VectorError {
    /// Not as many components as the others have.
    #[error("a vector of {found} components where {expected} belong")]
    Dimension {
        /// As the index has them.
        expected: usize,
        /// As they came.
        found: usize,
    },
    /// None, or more than [`MAX_DIMENSION`].
    #[error("vectors of {0} components are not known")]
    Size(usize),
    /// A component is no number.
    #[error("a component of the vector is not finite")]
    NotFinite,
    /// It points nowhere.
    #[error("all components of the vector are zero")]
    Zero,
    /// Bytes that [`Embedding::to_bytes`] did not write, or that changed since.
    #[error("the bytes of the vector are damaged")]
    Damaged,
}

/// A chunk's vector. It says much of the chunk's text, so it is not printed.
#[derive(Clone, PartialEq)]
pub struct Embedding {
    scale: f32,
    codes: Vec<i8>,
    halves: Vec<f16>,
}

impl Embedding {
    /// Takes a vector of any length and makes it one of length 1.
    ///
    /// # Errors
    /// What has no direction: see [`VectorError`].
    pub fn new(vector: &[f32]) -> Result<Self, VectorError> {
        let vector = normalized(vector)?;
        Ok(Self::of_halves(vector.into_iter().map(f16::from_f32).collect()))
    }

    /// The bytes follow from the halves and from nothing else, so that damage shows.
    pub(super) fn of_halves(halves: Vec<f16>) -> Self {
        let largest = halves
            .iter()
            .fold(0f32, |largest, half| largest.max(half.to_f32().abs()));
        let scale = largest / 127.0;
        // At most 127 by the choice of the scale, up to rounding.
        let code = |half: &f16| (half.to_f32() / scale).round().clamp(-127.0, 127.0) as i8;
        Self {
            scale,
            codes: halves.iter().map(code).collect(),
            halves,
        }
    }

    /// How many components it has.
    pub fn dimension(&self) -> usize {
        self.halves.len()
    }

    /// What one step of a byte is worth.
    pub(super) fn scale(&self) -> f32 {
        self.scale
    }

    /// The components, in steps of the scale, from -127 to 127.
    pub(super) fn codes(&self) -> &[i8] {
        &self.codes
    }

    /// The components.
    pub(super) fn halves(&self) -> &[f16] {
        &self.halves
    }

    /// For a column of a database, 7 bytes and 3 for each component, all of them with the lowest byte first: version
    /// (1), dimension (2), scale (4), the components as bytes, and as halves.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + 3 * self.dimension());
        bytes.push(VERSION);
        bytes.extend((self.dimension() as u16).to_le_bytes());
        bytes.extend(self.scale.to_le_bytes());
        bytes.extend(self.codes.iter().map(|code| *code as u8));
        bytes.extend(self.halves.iter().flat_map(|half| half.to_le_bytes()));
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`VectorError::Damaged`] unless it is exactly that: a vector that were longer than the others would be found
    /// before them whatever is asked.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, VectorError> {
        let (&[version, low, high, s0, s1, s2, s3], rest) = bytes.split_first_chunk().ok_or(VectorError::Damaged)?;
        let dimension = usize::from(u16::from_le_bytes([low, high]));
        if version != VERSION || dimension == 0 || dimension > MAX_DIMENSION || rest.len() != 3 * dimension {
            return Err(VectorError::Damaged);
        }
        let (codes, halves) = rest.split_at(dimension);
        let (pairs, _) = halves.as_chunks();
        let read = Self::of_halves(pairs.iter().map(|pair| f16::from_le_bytes(*pair)).collect());
        let square: f32 = read.halves.iter().map(|half| half.to_f32() * half.to_f32()).sum();
        let is_whole = read.scale.to_le_bytes() == [s0, s1, s2, s3]
            && read.codes.iter().zip(codes).all(|(code, byte)| *code == *byte as i8)
            // Infinity and what is no number fail here, too.
            && (square - 1.0).abs() < 0.02;
        if is_whole { Ok(read) } else { Err(VectorError::Damaged) }
    }
}

impl std::fmt::Debug for Embedding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Embedding({} components)", self.dimension())
    }
}

/// The same direction, with length 1.
pub(super) fn normalized(vector: &[f32]) -> Result<Vec<f32>, VectorError> {
    if vector.is_empty() || vector.len() > MAX_DIMENSION {
        return Err(VectorError::Size(vector.len()));
    }
    if vector.iter().any(|component| !component.is_finite()) {
        return Err(VectorError::NotFinite);
    }
    // Squares of what fits 32 bits neither overflow nor vanish in 64.
    let square: f64 = vector.iter().map(|component| f64::from(*component).powi(2)).sum();
    if square == 0.0 {
        return Err(VectorError::Zero);
    }
    let length = square.sqrt();
    Ok(vector
        .iter()
        .map(|component| (f64::from(*component) / length) as f32)
        .collect())
}

/// Halves as floats, into a place that is used again and again.
pub(super) fn widen(halves: &[f16], into: &mut [f32]) {
    halves.convert_to_f32_slice(into);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_has_no_direction_is_refused() {
        assert_eq!(Embedding::new(&[]), Err(VectorError::Size(0)));
        assert_eq!(Embedding::new(&[0.0, -0.0]), Err(VectorError::Zero));
        assert_eq!(Embedding::new(&[1.0, f32::NAN]), Err(VectorError::NotFinite));
        assert_eq!(Embedding::new(&vec![1.0; 8193]), Err(VectorError::Size(8193)));
    }

    #[test]
    fn lengths_do_not_matter_however_extreme() {
        let vector = |factor: f32| Embedding::new(&[3.0 * factor, -4.0 * factor]).unwrap();
        assert_eq!(vector(1.0), vector(f32::MAX / 4.0));
        assert_eq!(vector(1.0), vector(f32::MIN_POSITIVE));
        assert_eq!(vector(1.0).codes(), [95, -127]);
    }

    proptest! {
        #[test]
        fn bytes_come_back_and_damage_shows(
            vector in prop::collection::vec(-1f32..1.0, 1..40).prop_filter("no direction", |v| v.iter().any(|x| *x != 0.0)),
            place in any::<prop::sample::Index>(),
            flip in 1u8..,
        ) {
            let embedding = Embedding::new(&vector).unwrap();
            let mut bytes = embedding.to_bytes();
            prop_assert_eq!(bytes.len(), 7 + 3 * vector.len());
            prop_assert_eq!(Embedding::from_bytes(&bytes).unwrap(), embedding.clone());
            prop_assert!(Embedding::from_bytes(&bytes[1..]).is_err() && Embedding::from_bytes(&bytes[..bytes.len() - 1]).is_err());
            let place = place.index(bytes.len());
            bytes[place] ^= flip;
            // The last bits of a half may go unseen, for codes are coarser.
            if let Ok(other) = Embedding::from_bytes(&bytes) {
                prop_assert!(place >= 7 + vector.len() && other.codes() == embedding.codes());
            }
        }

        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Embedding::from_bytes(&bytes);
        }
    }
}
