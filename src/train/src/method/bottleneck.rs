//! Bottleneck layers after attention and feed-forward (adapters, Houlsby et al. 2019,
//! <https://arxiv.org/abs/1902.00751>).

use engine::ModelConfig;
use tch::{Device, Kind, TchError, Tensor};

use super::Site;
use crate::{
    Error,
    network::Pass,
    parameters::{ParameterId, Parameters},
    random::Random,
};

/// The layers of all blocks.
pub(crate) struct Bottleneck {
    pub width: i64,
    /// By block: after attention, after feed-forward.
    pub layers: Vec<[Layers; 2]>,
}

/// Two linear layers.
#[derive(Clone, Copy)]
pub(crate) struct Layers {
    /// `[width, hidden]`
    pub down: ParameterId,
    /// `[width]`
    pub down_bias: ParameterId,
    /// `[hidden, width]`
    pub up: ParameterId,
    /// `[hidden]`
    pub up_bias: ParameterId,
}

impl Bottleneck {
    /// Layers that change nothing yet: the second one is zero.
    pub fn new(width: u64, config: &ModelConfig, seed: u64, parameters: &mut Parameters) -> Result<Self, Error> {
        let hidden = config.hidden_size;
        if width == 0 || width > hidden as u64 {
            let why = format!("is {width}, expected 1 to {hidden}");
            return Err(Error::plan("adapter.bottleneck", why));
        }
        let width = width as i64;
        let mut layers = Vec::with_capacity(config.layers);
        for layer in 0..config.layers {
            let mut of = |site: &str| -> Result<Layers, Error> {
                let name = |tensor: &str| format!("layers.{layer}.{site}.{tensor}");
                let zeros = |shape: &[i64]| Tensor::f_zeros(shape, (Kind::Float, Device::Cpu));
                let bound = 1.0 / (hidden as f64).sqrt();
                let down = Random::named(seed, &name("down.weight")).uniform(&[width, hidden], bound)?;
                Ok(Layers {
                    down: parameters.add(name("down.weight"), &down, true)?,
                    down_bias: parameters.add(name("down.bias"), &zeros(&[width])?, true)?,
                    up: parameters.add(name("up.weight"), &zeros(&[hidden, width])?, true)?,
                    up_bias: parameters.add(name("up.bias"), &zeros(&[hidden])?, true)?,
                })
            };
            layers.push([of("attention")?, of("feed_forward")?]);
        }
        Ok(Self { width, layers })
    }

    /// `output` and what the layers make of it.
    pub fn add(&self, pass: Pass<'_>, layer: usize, site: Site, output: &Tensor) -> Result<Tensor, TchError> {
        let layers = self.layers[layer][site as usize];
        let kind = output.f_kind()?;
        let get = |id| pass.parameters.cast(id, kind);
        let narrow = output
            .f_linear(&get(layers.down)?, Some(get(layers.down_bias)?))?
            .f_gelu("none")?;
        let narrow = match pass.dropout {
            Some(dropout) => dropout.apply(&narrow, (layer, site as u64))?,
            None => narrow,
        };
        let wide = narrow.f_linear(&get(layers.up)?, Some(get(layers.up_bias)?))?;
        output.f_add(&wide)
    }
}
