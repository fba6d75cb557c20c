//! Whole feed-forward channels go: a row of gate and up, a column of down. The columns that stay are
//! refitted to give the old output, as far as the calibration text tells.

use std::collections::BTreeMap;

use engine::blocks::{Block, Layer};
use tch::{Kind, Tensor};

use crate::{Error, inputs::Inputs};

/// What is added to the diagonal of the products, as a share of its mean.
const DAMPING: f64 = 0.01;

/// Leaves the `count` channels that contribute most to the block's output.
pub(super) fn prune(block: &mut Block, inputs: &mut BTreeMap<Layer, Inputs>, count: i64) -> Result<(), Error> {
    let missing = || Error::Calibration("the inputs of ffn_down.weight were not collected".into());
    let down_inputs = inputs.get_mut(&Layer::Down).ok_or_else(missing)?;
    let down = block.get("ffn_down.weight")?;
    let products = down_inputs.mean_products()?;
    let columns = down
        .f_square()?
        .f_sum_dim_intlist([0i64].as_slice(), false, Kind::Float)?;
    let importance = products.f_diagonal(0, 0, 1)?.f_mul(&columns)?;
    let (_, places) = importance.f_topk(count, 0, true, false)?;
    // In their old order, which keeps the rest of the file alike.
    let (places, _) = places.f_sort(0, false)?;

    let refitted = refit(down, &products, &places)?;
    block.set("ffn_down.weight", refitted);
    for name in ["ffn_gate.weight", "ffn_up.weight"] {
        let rows = block.get(name)?.f_index_select(0, &places)?;
        block.set(name, rows);
    }
    *down_inputs = down_inputs.only(&places)?;
    Ok(())
}

/// Least squares: the columns `places` of `down` that give what all columns gave, for inputs with
/// these products.
fn refit(down: &Tensor, products: &Tensor, places: &Tensor) -> Result<Tensor, Error> {
    let of_all = products.f_index_select(0, places)?;
    let kept = of_all.f_index_select(1, places)?.f_to_kind(Kind::Double)?;
    let mean = kept.f_diagonal(0, 0, 1)?.f_mean(None::<Kind>)?.f_double_value(&[])?;
    let damping = DAMPING * if mean > 0.0 { mean } else { 1.0 };
    let _ = kept.f_diagonal(0, 0, 1)?.f_add_scalar_(damping)?;
    // The damping pulls towards the old columns, not towards zero.
    let old = down.f_index_select(1, places)?;
    let wanted = of_all.f_matmul(&down.f_tr()?)?.f_to_kind(Kind::Double)?;
    let wanted = wanted.f_add(&old.f_tr()?.f_mul_scalar(damping)?)?;
    let factor = kept.f_linalg_cholesky(false)?;
    let solved = wanted.f_cholesky_solve(&factor, false)?;
    Ok(solved.f_to_kind(Kind::Float)?.f_tr()?.f_contiguous()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::{Collector, Needs};

    #[test]
    fn a_channel_that_another_repeats_goes_without_a_trace() {
        tch::manual_seed(1);
        let kind = (Kind::Float, tch::Device::Cpu);
        let inputs = Tensor::randn([256, 4], kind);
        // The last channel is half the first.
        let inputs = Tensor::cat(&[inputs.shallow_clone(), inputs.narrow(1, 0, 1) * 0.5], 1);
        // It also counts least, so that it is the one to go.
        let down = Tensor::randn([3, 5], kind).sign() * Tensor::from_slice(&[1f32, 2.0, 2.0, 2.0, 1.0]);
        let mut block = Block::new(BTreeMap::new());
        block.set("ffn_down.weight", down.shallow_clone());
        for name in ["ffn_gate.weight", "ffn_up.weight"] {
            block.set(name, Tensor::arange(5, kind).view([5, 1]));
        }
        let needs = Needs {
            down_products: true,
            ..Needs::default()
        };
        let mut collector = Collector::new(needs, 1, 256);
        collector.add(Layer::Down, &inputs).unwrap();
        let mut collected = collector.finish();
        prune(&mut block, &mut collected, 4).unwrap();

        let kept: Vec<f32> = block.get("ffn_up.weight").unwrap().view([-1]).try_into().unwrap();
        assert_eq!(kept, [0.0, 1.0, 2.0, 3.0]);
        let before = inputs.matmul(&down.tr());
        let after = inputs
            .narrow(1, 0, 4)
            .matmul(&block.get("ffn_down.weight").unwrap().tr());
        let error =
            |change: Tensor| (change.square().sum(Kind::Float) / before.square().sum(Kind::Float)).double_value(&[]);
        let without_refit = inputs.narrow(1, 4, 1).matmul(&down.narrow(1, 4, 1).tr());
        let (refitted, dropped) = (error(&before - after), error(without_refit));
        assert!(refitted < 1e-3 && dropped > 1e-2, "{refitted} {dropped}");
        assert_eq!(collected[&Layer::Down].mean_products().unwrap().size(), [4, 4]);
    }
}
