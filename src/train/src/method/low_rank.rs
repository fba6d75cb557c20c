//! Low-rank matrices beside linear layers (LoRA, Hu et al. 2021, <https://arxiv.org/abs/2106.09685>).

use engine::{ModelConfig, blocks::Layer, lora::Projection};
use protocol::tune::LoraSettings;
use tch::{Device, Kind, TchError, Tensor};

use crate::{
    Error,
    network::Pass,
    parameters::{ParameterId, Parameters},
    random::Random,
};

/// The matrices of all layers.
pub(crate) struct LowRank {
    pub rank: i64,
    scale: f64,
    pub targets: Vec<Projection>,
    /// By block and by place in `targets`.
    pub matrices: Vec<Vec<Matrices>>,
    config: ModelConfig,
}

/// The two matrices beside a linear layer.
#[derive(Clone, Copy)]
pub(crate) struct Matrices {
    pub projection: Projection,
    /// `[rank, in]`
    pub a: ParameterId,
    /// `[out, rank]`
    pub b: ParameterId,
}

/// The projections that one matrix of the network computes, in its order.
fn parts_of(layer: Layer) -> &'static [Projection] {
    match layer {
        Layer::Qkv => &[Projection::Query, Projection::Key, Projection::Value],
        Layer::AttentionOutput => &[Projection::Output],
        Layer::GateUp => &[Projection::Gate, Projection::Up],
        Layer::Down => &[Projection::Down],
    }
}

/// The projections of that name; all when there are no names.
fn targets_of(names: &[String]) -> Result<Vec<Projection>, Error> {
    let known = || Projection::ALL.map(Projection::name).join(", ");
    let mut targets = Vec::new();
    for name in names {
        let target = Projection::named(name)
            .ok_or_else(|| Error::plan("lora.targets", format!("{name:?} is none of {}", known())))?;
        targets.push(target);
    }
    if targets.is_empty() {
        targets = Projection::ALL.to_vec();
    }
    targets.sort_unstable();
    targets.dedup();
    Ok(targets)
}

impl LowRank {
    /// Matrices that change nothing yet, as the `peft` library begins.
    pub fn new(
        settings: &LoraSettings,
        config: &ModelConfig,
        seed: u64,
        parameters: &mut Parameters,
    ) -> Result<Self, Error> {
        let most = config.hidden_size.min(config.feed_forward_size);
        let rank = i64::try_from(settings.r).unwrap_or(i64::MAX);
        if !(1..=most).contains(&rank) {
            return Err(Error::plan("lora.r", format!("is {rank}, expected 1 to {most}")));
        }
        if !settings.alpha.is_finite() {
            return Err(Error::plan("lora.alpha", "is not a number"));
        }
        let targets = targets_of(&settings.targets)?;
        let mut matrices = Vec::with_capacity(config.layers);
        for layer in 0..config.layers {
            let mut of_layer = Vec::with_capacity(targets.len());
            for projection in &targets {
                let (inputs, outputs) = (projection.inputs(config), projection.outputs(config));
                let name = |matrix: &str| format!("layers.{layer}.{projection}.{matrix}");
                // Kaiming's bound for a slope of the square root of five.
                let bound = 1.0 / (inputs as f64).sqrt();
                let a = Random::named(seed, &name("lora_A")).uniform(&[rank, inputs], bound)?;
                let b = Tensor::f_zeros([outputs, rank], (Kind::Float, Device::Cpu))?;
                of_layer.push(Matrices {
                    projection: *projection,
                    a: parameters.add(name("lora_A"), &a, true)?,
                    b: parameters.add(name("lora_B"), &b, true)?,
                });
            }
            matrices.push(of_layer);
        }
        let divisor = match settings.rank_stabilized {
            true => (rank as f64).sqrt(),
            false => rank as f64,
        };
        Ok(Self {
            rank,
            scale: settings.alpha / divisor,
            targets,
            matrices,
            config: config.clone(),
        })
    }

    /// Adds what the matrices make of `input` to `output`, `[rows, out]`. All parts of a matrix of the network are two
    /// products: one with the first factors below each other, one with the second factors around the diagonal.
    pub fn add(
        &self,
        pass: Pass<'_>,
        (layer, product): (usize, Layer),
        input: &Tensor,
        mut output: Tensor,
    ) -> Result<Tensor, TchError> {
        let parts = parts_of(product);
        let here: Vec<Option<&Matrices>> = parts
            .iter()
            .map(|part| self.matrices[layer].iter().find(|it| it.projection == *part))
            .collect();
        let present: Vec<&Matrices> = here.iter().copied().flatten().collect();
        if present.is_empty() {
            return Ok(output);
        }
        let kind = input.f_kind()?;
        let factors: Vec<&Tensor> = present.iter().map(|it| pass.parameters.value(it.a)).collect();
        let a = Tensor::f_cat(&factors, 0)?.f_to_kind(kind)?;
        let ranks = self.rank * present.len() as i64;
        let mut columns = 0;
        let mut blocks = Vec::with_capacity(parts.len());
        for (part, matrices) in parts.iter().zip(here) {
            blocks.push(match matrices {
                Some(matrices) => {
                    let b = pass.parameters.value(matrices.b);
                    let around = [columns, ranks - columns - self.rank];
                    columns += self.rank;
                    b.f_constant_pad_nd(around)?
                }
                None => Tensor::f_zeros([part.outputs(&self.config), ranks], (Kind::Float, Device::Cpu))?,
            });
        }
        let b = Tensor::f_cat(&blocks, 0)?.f_mul_scalar(self.scale)?.f_to_kind(kind)?;
        let reduced = match pass.dropout {
            Some(dropout) => dropout
                .apply(input, (layer, product as u64))?
                .f_linear::<Tensor>(&a, None)?,
            None => input.f_linear::<Tensor>(&a, None)?,
        };
        output.f_addmm_(&reduced, &b.f_transpose(0, 1)?)
    }
}
