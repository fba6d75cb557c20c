//! Single weights become zero, as many in each row: those that are small (magnitude), or whose
//! products are (Wanda, Sun et al. 2023, <https://arxiv.org/abs/2306.11695>).

use std::collections::BTreeMap;

use engine::blocks::{Block, Layer};
use tch::{Kind, Tensor};

use super::Kept;
use crate::{Error, inputs::Inputs};

/// Zeroes the share `sparsity` of each row; with `inputs`, by what they multiply the weights with.
pub(super) fn prune(block: &mut Block, inputs: Option<&BTreeMap<Layer, Inputs>>, sparsity: f64) -> Result<Kept, Error> {
    let mut kept = Kept::new();
    for layer in Layer::ALL {
        let norms = match inputs.and_then(|inputs| inputs.get(&layer)) {
            Some(inputs) => Some(inputs.mean_squares()?.f_sqrt()?),
            None => None,
        };
        for name in layer.weights() {
            let weights = block.get(name)?;
            let mut scores = weights.f_abs()?;
            if let Some(norms) = &norms {
                scores = scores.f_mul(norms)?;
            }
            let mask = largest(&scores, 1.0 - sparsity)?;
            let pruned = weights.f_mul(&mask)?;
            block.set(name, pruned);
            kept.insert((*name).to_owned(), mask);
        }
    }
    Ok(kept)
}

/// One for the largest scores of each row, the share `share` of it; zero for the others.
fn largest(scores: &Tensor, share: f64) -> Result<Tensor, Error> {
    let columns = scores.size()[1];
    let count = ((columns as f64 * share).round() as i64).clamp(1, columns);
    let (_, places) = scores.f_topk(count, 1, true, false)?;
    Ok(scores
        .f_zeros_like()?
        .f_scatter_value(1, &places, 1.0)?
        .f_to_kind(Kind::Float)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_keeps_its_own_largest() {
        let scores = Tensor::from_slice(&[1f32, 9.0, 3.0, 4.0, 50.0, 20.0, 10.0, 30.0]).view([2, 4]);
        let mask: Vec<f32> = largest(&scores, 0.5).unwrap().view([-1]).try_into().unwrap();
        assert_eq!(mask, [0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0]);
    }
}
