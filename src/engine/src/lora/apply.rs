//! Adds what the adapters of a pass change.

use std::{collections::BTreeMap, sync::MutexGuard};

use engine_sys::LoraAdapter;
use tch::{Device, Kind, TchError, Tensor};

use super::{
    Adapter, Product,
    adapter::{Delta, Weights},
};
use crate::{Batch, ops::Ops};

/// Rows of one adapter up to which the kernel computes row by row; above, matrix products read each
/// weight once for all rows and win.
const FEW: usize = 16;

/// The adapters of one pass, each with the rows that it changes.
pub(crate) struct PassAdapters<'a> {
    groups: Vec<RowsOf<'a>>,
    /// For each row, the group that changes it, or -1.
    row_groups: Vec<i32>,
    ops: Ops,
}

/// The rows of one adapter.
struct RowsOf<'a> {
    weights: MutexGuard<'a, Weights>,
    rows: Rows,
    few: bool,
}

enum Rows {
    /// So many from a first one on: most often all rows of an adapter are neighbours.
    Range { first: i64, count: i64 },
    /// Any, by number.
    Index(Tensor),
}

impl<'a> PassAdapters<'a> {
    /// Groups the rows of a pass on `device` by adapter. Of all `rows`, those after the last segment belong
    /// to nobody.
    pub fn new(batch: &'a Batch, rows: usize, ops: Ops, device: Device) -> Result<Self, TchError> {
        // By id, so that threads that share adapters lock them in the same order.
        let mut by_id: BTreeMap<_, (&Adapter, Vec<i64>)> = BTreeMap::new();
        let mut first = 0;
        for segment in &batch.segments {
            let end = first + segment.tokens.len() as i64;
            if let Some(adapter) = &segment.adapter {
                let (_, rows) = by_id.entry(adapter.id()).or_insert((adapter, Vec::new()));
                rows.extend(first..end);
            }
            first = end;
        }
        let mut groups = Vec::with_capacity(by_id.len());
        let mut row_groups = vec![-1; rows];
        for (index, (adapter, rows)) in by_id.into_values().enumerate() {
            for row in &rows {
                row_groups[*row as usize] = index as i32;
            }
            let mut weights = adapter.weights();
            weights.move_to(device)?;
            groups.push(RowsOf {
                weights,
                few: rows.len() <= FEW,
                rows: Rows::new(&rows, device)?,
            });
        }
        Ok(Self {
            groups,
            row_groups,
            ops,
        })
    }

    /// Adds to `output`, `[rows, out]`, what the adapters make of `input`, `[rows, in]`.
    pub fn apply(&self, layer: usize, product: Product, input: &Tensor, output: &Tensor) -> Result<(), TchError> {
        let has_kernel = self.ops == Ops::Own && output.kind() == Kind::BFloat16;
        let mut few = Vec::new();
        for (index, group) in self.groups.iter().enumerate() {
            match group.weights.delta(layer, product) {
                Some(delta) if has_kernel && group.few => few.push((index, delta)),
                Some(delta) => group.rows.multiply(delta, input, output)?,
                None => {}
            }
        }
        self.by_row(&few, input, output)
    }

    /// All adapters at once, row by row. An adapter may lack some parts of the outputs.
    fn by_row(&self, deltas: &[(usize, &Delta)], input: &Tensor, output: &Tensor) -> Result<(), TchError> {
        let mut begins: Vec<(i64, i64)> = deltas
            .iter()
            .flat_map(|(_, delta)| delta.parts.iter().map(|part| (part.first_output, part.outputs)))
            .collect();
        begins.sort_unstable();
        begins.dedup();
        for (first, outputs) in begins {
            let mut adapters = Vec::with_capacity(deltas.len());
            let mut places = vec![-1; self.groups.len()];
            for (group, delta) in deltas {
                if let Some(part) = delta.part(first) {
                    places[*group] = adapters.len() as i32;
                    adapters.push(LoraAdapter {
                        down: &part.down,
                        up: &part.up,
                        scale: 1.0,
                    });
                }
            }
            let place = |group: &i32| usize::try_from(*group).map_or(-1, |group| places[group]);
            let row_adapters: Vec<i32> = self.row_groups.iter().map(place).collect();
            let mut columns = output.f_narrow(1, first, outputs)?;
            engine_sys::lora(input, &mut columns, &adapters, &row_adapters)?;
        }
        Ok(())
    }
}

impl Rows {
    fn new(rows: &[i64], device: Device) -> Result<Self, TchError> {
        let neighbours = rows.windows(2).all(|pair| pair[0] + 1 == pair[1]);
        match (rows.first(), neighbours) {
            (Some(&first), true) => Ok(Self::Range {
                first,
                count: rows.len() as i64,
            }),
            _ => Ok(Self::Index(Tensor::f_from_slice(rows)?.f_to_device(device)?)),
        }
    }

    /// One adapter, by products of matrices.
    fn multiply(&self, delta: &Delta, input: &Tensor, output: &Tensor) -> Result<(), TchError> {
        let own = match self {
            Self::Range { first, count } => input.f_narrow(0, *first, *count)?,
            Self::Index(rows) => input.f_index_select(0, rows)?,
        };
        let low = own.f_linear::<Tensor>(&delta.down, None)?;
        for part in &delta.parts {
            let low = low.f_narrow(1, part.first_rank, part.rank)?;
            let up = &part.up;
            let mut changed = output.f_narrow(1, part.first_output, part.outputs)?;
            // Both return `changed` itself.
            drop(match self {
                Self::Range { first, count } => changed.f_narrow(0, *first, *count)?.f_addmm_(&low, up)?,
                Self::Index(rows) => changed.f_index_add_(0, rows, &low.f_matmul(up)?)?,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        Dtype, LogitRows, Segment,
        lora::{
            Projection,
            testing::{tiny, tiny_model, values},
        },
    };

    #[test]
    fn the_kernel_and_the_products_agree() {
        let _guard = tch::no_grad_guard();
        let model = tiny_model();
        let load = |rank, targets: &[Projection]| {
            let directory = tiny(rank, 4.0, targets);
            Arc::new(Adapter::load(directory.path(), &model, Dtype::Bf16).unwrap())
        };
        let all = load(3, &Projection::ALL);
        let some = load(8, &[Projection::Key, Projection::Output, Projection::Up]);
        let segment = |(count, adapter): (usize, Option<&Arc<Adapter>>)| Segment {
            pages: Vec::new(),
            start: 0,
            tokens: vec![0; count],
            logits: LogitRows::None,
            adapter: adapter.cloned(),
        };
        let segments = [(2, Some(&some)), (3, None), (1, Some(&all)), (4, Some(&some))];
        let batch = Batch {
            segments: segments.map(segment).into(),
        };
        let tensor = |name, rows: i64, columns: i64| {
            let values = Tensor::from_slice(&values(name, (rows * columns) as usize));
            values.view([rows, columns]).to_kind(Kind::BFloat16)
        };
        for product in Product::ALL {
            let outputs = product.parts().iter().map(|part| part.outputs(&model)).sum();
            let input = tensor("input", 12, product.inputs(&model));
            let run = |ops| {
                let pass = PassAdapters::new(&batch, 12, ops, Device::Cpu).unwrap();
                let output = tensor("output", 12, outputs);
                pass.apply(1, product, &input, &output).unwrap();
                output.to_kind(Kind::Float)
            };
            let (kernel, products) = (run(Ops::Own), run(Ops::Aten));
            let before = tensor("output", 12, outputs).to_kind(Kind::Float);
            let distance = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
            assert!(distance(&kernel, &products) < 0.02, "{product:?}");
            assert!(distance(&kernel, &before) > 0.1, "{product:?}");
            for (first, count) in [(2, 3), (10, 2)] {
                let untouched = |tensor: &Tensor| tensor.narrow(0, first, count);
                assert_eq!(distance(&untouched(&kernel), &untouched(&before)), 0.0, "{product:?}");
            }
        }
    }
}
