//! Products of a query with the vectors of an index, in plain loops that compilers turn into vector instructions.

use half::f16;

use super::embedding::{VectorError, normalized, widen};

/// Sums that a product is made of. Rows of bytes are filled up to a multiple of it, so that none is left over; a query is
/// filled up with zeros.
pub(super) const LANES: usize = 16;

/// Largest component of a query as an integer. A finer query costs nothing, for bytes are widened to 16 bits anyway;
/// and 8192 * 127 * 2047 still fits 32 bits.
const FINEST: f32 = 2047.0;

/// Places that rows are read from in turn. Memory gives more to who reads on in several places than to who reads in one:
/// measured with a million rows, 42 ms instead of 75.
const STREAMS: usize = 4;

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

    /// About the cosines of the angles between the question and rows of biased bytes, each with its scale, into `scores`.
    pub(super) fn look(&self, codes: &[u8], scales: &[f32], scores: &mut Vec<f32>) {
        let (rows, stride) = (scales.len(), self.codes.len());
        scores.clear();
        scores.resize(rows, 0.0);
        let part = rows.div_ceil(STREAMS);
        for place in 0..part {
            for row in (place..rows).step_by(part) {
                // The product without the bias fits; with it, it may have gone round, and comes back.
                let product = integers(&codes[row * stride..(row + 1) * stride], &self.codes);
                scores[row] = product.wrapping_sub(self.excess) as f32 * scales[row] * self.scale;
            }
        }
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

/// Not to be inlined: among the code of a caller, compilers fail to see what it is.
#[inline(never)]
fn integers(row: &[u8], query: &[i16]) -> i32 {
    let (rows, queries) = (row.as_chunks::<LANES>().0, query.as_chunks::<LANES>().0);
    // Measured: of many ways to write it, this is the one that becomes multiplications of eight pairs with their sums
    // (`pmaddwd`) even for the oldest x86-64, three times as fast as a plain sum.
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

    fn look(probe: &Probe, embeddings: &[Embedding]) -> Vec<f32> {
        let (mut codes, mut scales, mut scores) = (Vec::new(), Vec::new(), vec![7.0; 3]);
        for embedding in embeddings {
            codes.extend(embedding.codes().iter().copied().map(biased));
            // Whatever fills it up.
            codes.resize(codes.len().next_multiple_of(LANES), 77);
            scales.push(embedding.scale());
        }
        probe.look(&codes, &scales, &mut scores);
        scores
    }

    #[test]
    fn the_largest_product_fits() {
        let dimension = crate::index::MAX_DIMENSION;
        let mut probe = Probe::new(&vec![-1.0; dimension], dimension).unwrap();
        let embedding = Embedding::new(&vec![1.0; dimension]).unwrap();
        assert!((look(&probe, std::slice::from_ref(&embedding))[0] + 1.0).abs() < 1e-3);
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
            let mut probe = Probe::new(&wave(0.7), dimension).unwrap();
            for rows in [0, 1, 3, 4, 6, 9] {
                let all: Vec<_> = (0..rows)
                    .map(|row| Embedding::new(&wave(0.69 + 0.1 * row as f32)).unwrap())
                    .collect();
                let looks = look(&probe, &all);
                assert_eq!(looks.len(), rows);
                for (look, embedding) in looks.iter().zip(&all) {
                    let measure = probe.measure(embedding.halves());
                    assert!((look - measure).abs() < 0.01, "{dimension}: {look} {measure}");
                }
            }
        }
    }

    #[test]
    fn foreign_vectors_are_refused() {
        let expected = VectorError::Dimension { expected: 3, found: 2 };
        assert_eq!(Probe::new(&[1.0, 2.0], 3).err(), Some(expected));
        assert_eq!(Probe::new(&[0.0; 3], 3).err(), Some(VectorError::Zero));
    }
}
