//! Methods that look at each group by itself: RTN, HQQ, and grids fitted to important weights.

use tch::Tensor;

use super::{
    encode::floats,
    grid::{BLOCK, BLOCK_BYTES, Grid},
    parallel,
};
use crate::Error;

/// Rounds to the nearest of the grids that `choose` gives groups of `group` weights; it also gets the
/// group's first column. Returns `Q4_1` blocks.
pub(super) fn round(
    name: &str,
    weights: &Tensor,
    group: usize,
    choose: impl Fn(usize, &[f32]) -> Grid + Sync,
) -> Result<Vec<u8>, Error> {
    let columns = weights.size()[1] as usize;
    let numbers = floats(weights)?;
    let mut out = vec![0; numbers.len() / BLOCK * BLOCK_BYTES];
    parallel::rows(
        &numbers,
        columns,
        &mut out,
        columns / BLOCK * BLOCK_BYTES,
        |row, out| {
            let groups = row.chunks(group).zip(out.chunks_mut(group / BLOCK * BLOCK_BYTES));
            for (index, (weights, out)) in groups.enumerate() {
                choose(index * group, weights).write_nearest(weights, out);
            }
        },
    );
    check(name, &out)?;
    Ok(out)
}

/// Refuses blocks whose step or minimum is too large for half precision.
pub(super) fn check(name: &str, blocks: &[u8]) -> Result<(), Error> {
    let half = |bytes: &[u8]| half::f16::from_le_bytes([bytes[0], bytes[1]]);
    let finite = |block: &[u8]| half(block).is_finite() && half(&block[2..]).is_finite();
    match blocks.chunks(BLOCK_BYTES).all(finite) {
        true => Ok(()),
        false => Err(Error::tensor(
            name,
            "its weights are too large for 4-bit blocks; use --quantization bf16",
        )),
    }
}

/// Half-quadratic quantization (Badri and Shaji 2023, <https://mobiusml.github.io/hqq_blog/>): the
/// step stays; the minimum moves to where a sparse few errors are large and the others small.
pub(super) fn half_quadratic(weights: &[f32]) -> Grid {
    const ITERATIONS: usize = 20;
    /// Errors count with this power: below one, so that a few large ones are cheap.
    const POWER: f32 = 0.7;
    const GROWTH: f32 = 1.01;
    let start = Grid::min_max(weights);
    let (step, _) = start.parts();
    if step <= 0.0 {
        return start;
    }
    // All in steps, so that the constants fit weights of any size.
    let magnitude = |grid: Grid| -> f32 {
        let errors = weights
            .iter()
            .map(|weight| (weight - grid.value(grid.quantize(*weight))) / step);
        errors.map(|error| error.abs().powf(POWER)).sum()
    };
    let mut best = (magnitude(start), start);
    let mut grid = start;
    let mut beta = 10.0;
    for _ in 0..ITERATIONS {
        let mut shift = 0.0;
        for weight in weights {
            let value = grid.value(grid.quantize(*weight));
            let error = (weight - value) / step;
            // The part of the error that the sparse term takes.
            let large = (error.abs() - error.abs().powf(POWER - 1.0) / beta).max(0.0) * error.signum();
            shift += error - large;
        }
        let (_, minimum) = grid.parts();
        grid = Grid::new(step, minimum + step * shift / weights.len() as f32);
        let found = magnitude(grid);
        if found >= best.0 {
            break;
        }
        best = (found, grid);
        beta *= GROWTH;
    }
    best.1
}

#[cfg(test)]
mod tests {
    use engine::blocks::widen;
    use gguf::GgmlType;

    use super::*;
    use crate::quantize::grid::tests::weights;

    #[test]
    fn groups_larger_than_a_block_share_their_grid() {
        // 160 columns: one group of 128, one of the 32 that are left.
        let numbers = weights(2 * 160, 5);
        let tensor = Tensor::from_slice(&numbers).view([2, 160]);
        let blocks = round("t", &tensor, 128, |_, group| Grid::min_max(group)).unwrap();
        let heads: Vec<&[u8]> = blocks.chunks(BLOCK_BYTES).map(|block| &block[..4]).collect();
        assert_eq!(heads.len(), 10);
        assert!(heads[..4].iter().all(|head| *head == heads[0]) && heads[4] != heads[0]);
        let back = widen(&blocks, GgmlType::Q4_1).unwrap();
        let error = |i: usize| (numbers[i] - back[i]).abs();
        assert!((0..320).all(|i| error(i) < 0.2), "{numbers:?} {back:?}");
    }

    #[test]
    fn hqq_makes_most_errors_smaller() {
        let power = |grid: Grid, weights: &[f32]| -> f32 {
            let errors = weights.iter().map(|weight| weight - grid.value(grid.quantize(*weight)));
            errors.map(|error| error.abs().powf(0.7)).sum()
        };
        let (mut plain, mut moved) = (0.0, 0.0);
        for seed in 0..50 {
            let weights = weights(32, seed);
            plain += power(Grid::min_max(&weights), &weights);
            moved += power(half_quadratic(&weights), &weights);
        }
        assert!(moved < 0.99 * plain, "{moved} {plain}");
    }

    #[test]
    fn weights_beyond_half_precision_are_refused_by_name() {
        let tensor = Tensor::from_slice(&[1e6f32; 32]).view([1, 32]);
        let error = round("blk.0.x", &tensor, 32, |_, group| Grid::min_max(group)).unwrap_err();
        assert!(error.to_string().contains("blk.0.x"), "{error}");
    }
}
