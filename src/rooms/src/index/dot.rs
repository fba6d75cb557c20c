//! Products of a query with the vectors of an index, in plain loops that compilers turn into vector instructions.

use half::f16;

use super::embedding::{VectorError, normalized, widen};

/// Sums that a product is made of. Rows of bytes are filled up to a multiple of it, so that none is left over; a query is
/// filled up with zeros.
pub(super) const LANES: usize = 16;

/// Largest component of a query as an integer. A finer query costs nothing, for bytes are widened to 16 bits anyway;
/// and 8192 * 127 * 2047 still fits 32 bits.
const FINEST: f32 = 2047.0;

/// What is added to a row's bytes, so that none is negative. To widen those takes half as many instructions.
const BIAS: i32 = 128;

/// The vector of a question, made ready.
pub(crate) struct Probe {
    /// Of length 1.
    values: Vec<f32>,
    /// The same in steps of `scale`, filled up with zeros.
    codes: Vec<i16>,
    scale: f32,
    /// What the bias of a row adds to its product.
    excess: i32,
    /// Where a row's halves are widened.
    wide: Vec<f32>,
}

impl Probe {
    /// For an index of vectors of this dimension.
    ///
    /// # Errors
    /// A vector of another dimension, or without direction.
    pub(crate) fn new(vector: &[f32], dimension: usize) -> Result<Self, VectorError> {
        if vector.len() != dimension {
            return Err(VectorError::Dimension {
                expected: dimension,
                found: vector.len(),
            });
        }
        let values = normalized(vector)?;
        let largest = values.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        let scale = largest / FINEST;
        let code = |value: &f32| (value / scale).round().clamp(-FINEST, FINEST) as i16;
        let mut codes: Vec<_> = values.iter().map(code).collect();
        codes.resize(stride(dimension), 0);
        Ok(Self {
            wide: vec![0.0; dimension],
            excess: codes.iter().map(|code| BIAS * i32::from(*code)).sum(),
            values,
            codes,
            scale,
        })
    }

    /// About the cosine of the angle between the question and a row of bytes with its scale.
    #[inline]
    pub(super) fn look(&self, row: &[u8], scale: f32) -> f32 {
        // The product without the bias fits; with it, it may have gone round, and comes back.
        let product = integers(row, &self.codes).wrapping_sub(self.excess);
        product as f32 * scale * self.scale
    }

    /// The cosine, as exactly as halves allow.
    pub(super) fn measure(&mut self, row: &[f16]) -> f32 {
        widen(row, &mut self.wide);
        floats(&self.wide, &self.values)
    }
}

/// Length of a row of bytes.
pub(super) fn stride(dimension: usize) -> usize {
    dimension.next_multiple_of(LANES)
}

/// A component as it is kept in rows.
pub(super) fn biased(code: i8) -> u8 {
    // The same as adding the bias.
    code as u8 ^ 0x80
}

#[inline]
fn integers(row: &[u8], query: &[i16]) -> i32 {
    let (rows, queries) = (row.as_chunks::<LANES>().0, query.as_chunks::<LANES>().0);
    // Measured: of many ways to write it, this is the one that becomes multiplications of eight pairs with their sums
    // (`pmaddwd`) even for the oldest x86-64, three times as fast as a plain sum, and then memory is what limits it.
    let mut sums = [0i32; LANES];
    for (row, query) in rows.iter().zip(queries) {
        for lane in 0..LANES {
            sums[lane] = sums[lane].wrapping_add(i32::from(row[lane]) * i32::from(query[lane]));
        }
    }
    sums.into_iter().fold(0, i32::wrapping_add)
}

fn floats(row: &[f32], query: &[f32]) -> f32 {
    const WIDE: usize = 8;
    let ((rows, row_rest), (queries, query_rest)) = (row.as_chunks::<WIDE>(), query.as_chunks::<WIDE>());
    // Sums of floats depend on their order, which a compiler does not change: it is laid down here.
    let mut sums = [0f32; WIDE];
    for (row, query) in rows.iter().zip(queries) {
        for lane in 0..WIDE {
            sums[lane] += row[lane] * query[lane];
        }
    }
    let rest: f32 = row_rest.iter().zip(query_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Embedding;

    fn row(embedding: &Embedding) -> Vec<u8> {
        let mut row: Vec<_> = embedding.codes().iter().copied().map(biased).collect();
        // Whatever fills it up.
        row.resize(stride(row.len()), 77);
        row
    }

    #[test]
    fn the_largest_product_fits() {
        let dimension = crate::index::MAX_DIMENSION;
        let mut probe = Probe::new(&vec![-1.0; dimension], dimension).unwrap();
        let embedding = Embedding::new(&vec![1.0; dimension]).unwrap();
        assert!((probe.look(&row(&embedding), embedding.scale()) + 1.0).abs() < 1e-3);
        assert!((probe.measure(embedding.halves()) + 1.0).abs() < 1e-3);
    }

    #[test]
    fn a_look_is_near_the_measure() {
        for dimension in [1, 7, 32, 33, 384] {
            let wave = |speed: f32| {
                (0..dimension)
                    .map(|i| (i as f32 * speed + 0.1).sin())
                    .collect::<Vec<_>>()
            };
            let (query, other) = (wave(0.7), wave(0.69));
            let mut probe = Probe::new(&query, dimension).unwrap();
            let embedding = Embedding::new(&other).unwrap();
            let (look, measure) = (
                probe.look(&row(&embedding), embedding.scale()),
                probe.measure(embedding.halves()),
            );
            assert!((look - measure).abs() < 0.01, "{dimension}: {look} {measure}");
        }
    }

    #[test]
    fn foreign_vectors_are_refused() {
        let expected = VectorError::Dimension { expected: 3, found: 2 };
        assert_eq!(Probe::new(&[1.0, 2.0], 3).err(), Some(expected));
        assert_eq!(Probe::new(&[0.0; 3], 3).err(), Some(VectorError::Zero));
    }
}
