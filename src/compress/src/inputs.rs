//! What the inputs of linear layers look like on the calibration text.

use std::collections::BTreeMap;

use engine::blocks::Layer;
use tch::{Kind, TchError, Tensor};

use crate::{Method, Options, Pruning, Structure, quantize::copy};

/// Rows of inputs that are kept as they are.
const SAMPLE_ROWS: usize = 512;

/// What has to be known of the inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Products of all pairs of columns.
    pub products: bool,
    /// The same, only for the input of down.
    pub down_products: bool,
    /// Some rows.
    pub sample: bool,
    /// Anything at all.
    pub any: bool,
}

impl Needs {
    /// What these options need.
    pub fn of(options: &Options) -> Self {
        let pruning = options.pruning.map(|(pruning, _)| pruning);
        let products = options.method == Some(Method::Gptq);
        let down_products = products || matches!(options.structured(), Some((Structure::Channels, _)));
        let sample = matches!(options.method, Some(Method::Awq | Method::Gptq));
        Self {
            products,
            down_products,
            sample,
            any: down_products || sample || pruning == Some(Pruning::Wanda),
        }
    }
}

/// The inputs of one layer.
pub(crate) struct Inputs {
    rows: i64,
    /// `[columns]`: sums of magnitudes.
    magnitudes: Tensor,
    /// `[columns]`: sums of squares.
    squares: Tensor,
    /// `[columns, columns]`: sums of products.
    products: Option<Tensor>,
    sample: Vec<Tensor>,
}

impl Inputs {
    /// Mean magnitude of each column.
    pub fn mean_magnitudes(&self) -> Result<Tensor, TchError> {
        self.magnitudes.f_div_scalar(self.rows)
    }

    /// Mean square of each column.
    pub fn mean_squares(&self) -> Result<Tensor, TchError> {
        self.squares.f_div_scalar(self.rows)
    }

    /// Mean product of each pair of columns; only if it was asked for.
    pub fn mean_products(&self) -> Result<Tensor, TchError> {
        let missing = || TchError::Shape("products of inputs were not collected".into());
        self.products.as_ref().ok_or_else(missing)?.f_div_scalar(self.rows)
    }

    /// The same of some columns only.
    pub fn only(&self, columns: &Tensor) -> Result<Self, TchError> {
        let products = self.products.as_ref();
        let both = |sums: &Tensor| sums.f_index_select(0, columns)?.f_index_select(1, columns);
        let sample = self.sample.iter().map(|rows| rows.f_index_select(1, columns));
        Ok(Self {
            rows: self.rows,
            magnitudes: self.magnitudes.f_index_select(0, columns)?,
            squares: self.squares.f_index_select(0, columns)?,
            products: products.map(both).transpose()?,
            sample: sample.collect::<Result<_, _>>()?,
        })
    }

    /// Some rows; only if they were asked for.
    pub fn sample(&self) -> Result<Tensor, TchError> {
        Tensor::f_cat(&self.sample, 0)
    }
}

/// Collects the inputs of all layers of one block.
pub(crate) struct Collector {
    needs: Needs,
    /// Of each window, every so many rows are kept.
    stride: i64,
    inputs: BTreeMap<Layer, Inputs>,
}

impl Collector {
    /// For `windows` windows of `tokens` tokens.
    pub fn new(needs: Needs, windows: usize, tokens: usize) -> Self {
        let stride = (windows * tokens).div_ceil(SAMPLE_ROWS).max(1) as i64;
        Self {
            needs,
            stride,
            inputs: BTreeMap::new(),
        }
    }

    /// Adds the input of a layer, `[tokens, columns]`.
    pub fn add(&mut self, layer: Layer, input: &Tensor) -> Result<(), TchError> {
        let products = self.needs.products || (self.needs.down_products && layer == Layer::Down);
        let magnitudes = sum_rows(&input.f_abs()?)?;
        let squares = sum_rows(&input.f_square()?)?;
        let product = products.then(|| input.f_tr()?.f_matmul(input)).transpose()?;
        let kept = match self.needs.sample {
            true => vec![copy(&input.f_slice(0, None, None, self.stride)?)?],
            false => Vec::new(),
        };
        match self.inputs.get_mut(&layer) {
            None => {
                let inputs = Inputs {
                    rows: input.size()[0],
                    magnitudes,
                    squares,
                    products: product,
                    sample: kept,
                };
                self.inputs.insert(layer, inputs);
            }
            Some(inputs) => {
                inputs.rows += input.size()[0];
                let _ = inputs.magnitudes.f_add_(&magnitudes)?;
                let _ = inputs.squares.f_add_(&squares)?;
                if let (Some(sum), Some(product)) = (&mut inputs.products, product) {
                    let _ = sum.f_add_(&product)?;
                }
                inputs.sample.extend(kept);
            }
        }
        Ok(())
    }

    /// The inputs of each layer.
    pub fn finish(self) -> BTreeMap<Layer, Inputs> {
        self.inputs
    }
}

fn sum_rows(rows: &Tensor) -> Result<Tensor, TchError> {
    rows.f_sum_dim_intlist([0i64].as_slice(), false, Kind::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_run_over_all_windows() {
        let needs = Needs {
            products: true,
            sample: true,
            ..Needs::default()
        };
        let mut collector = Collector::new(needs, 2, 2);
        collector
            .add(Layer::Qkv, &Tensor::from_slice(&[1f32, -2.0, 3.0, 4.0]).view([2, 2]))
            .unwrap();
        collector
            .add(Layer::Qkv, &Tensor::from_slice(&[0f32, 2.0]).view([1, 2]))
            .unwrap();
        let inputs = &collector.finish()[&Layer::Qkv];
        let numbers = |tensor: Tensor| Vec::<f32>::try_from(tensor.view([-1]) * 3).unwrap();
        assert_eq!(numbers(inputs.mean_magnitudes().unwrap()), [4.0, 8.0]);
        assert_eq!(numbers(inputs.mean_squares().unwrap()), [10.0, 24.0]);
        assert_eq!(numbers(inputs.mean_products().unwrap()), [10.0, 10.0, 10.0, 24.0]);
        assert_eq!(inputs.sample().unwrap().size(), [3, 2]);
    }

    #[test]
    fn nothing_that_is_not_needed_is_kept() {
        let mut collector = Collector::new(Needs::default(), 1, 1);
        collector
            .add(Layer::Down, &Tensor::from_slice(&[1f32]).view([1, 1]))
            .unwrap();
        assert!(collector.finish()[&Layer::Down].mean_products().is_err());
    }
}
