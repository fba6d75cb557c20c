//! Whole layers go: those with the least influence on what passes through them (ShortGPT, Men et al.
//! 2024, <https://arxiv.org/abs/2403.03853>), which is one less the mean cosine of the angle between
//! the hidden states before and after a layer.

use engine::{
    ModelConfig,
    blocks::{Block, Positions},
};
use tch::{Kind, Tensor};

use crate::{Error, Options, Structure, calibration::Windows, quantize::floats, source::Source, store::Work};

/// Most windows of the calibration text that influence is measured on: a mean over their thousands of
/// tokens moves little with more of them.
const MAX_WINDOWS: usize = 16;
/// Where the work directory keeps what was measured so far.
const FILE: &str = "influence";

/// How many of `layers` layers go.
pub(crate) fn count(layers: usize, options: &Options) -> Result<usize, Error> {
    let Some((Structure::Layers, sparsity)) = options.structured() else {
        return Ok(0);
    };
    let wanted = (layers as f64 * sparsity).round() as usize;
    match wanted.min(layers.saturating_sub(1)) {
        0 => Err(Error::Options(format!(
            "--sparsity {sparsity} takes none of {layers} layers; raise it, or give --structure channels"
        ))),
        count => Ok(count),
    }
}

/// The `count` layers with the least influence, in ascending order. Tells `on_layer` which one is next.
pub(crate) fn least_influential(
    source: &Source,
    windows: &Windows,
    work: &Work,
    count: usize,
    mut on_layer: impl FnMut(usize),
) -> Result<Vec<usize>, Error> {
    let config = source.config();
    let windows = used(windows);
    let positions = Positions::new(config, windows.first().map_or(0, Vec::len))?;
    let earlier = work.whole(FILE);
    let mut pass = match earlier.and_then(|bytes| Pass::from_bytes(&bytes, windows, config).transpose()) {
        Some(pass) => pass?,
        None => Pass::start(source, windows)?,
    };
    for index in pass.influence.len()..config.layers {
        on_layer(index);
        pass.layer(&source.block(index)?, config, &positions)?;
        if index + 1 == config.layers {
            pass.hidden = Vec::new();
        }
        work.write_whole(FILE, pass.to_bytes()?)?;
        tracing::info!("layer {} has the influence {:.4}", index + 1, pass.influence[index]);
    }
    let mut order: Vec<usize> = (0..config.layers).collect();
    // Stable: of equal layers the first ones go.
    order.sort_by(|a, b| pass.influence[*a].total_cmp(&pass.influence[*b]));
    let mut gone = order[..count].to_vec();
    gone.sort_unstable();
    tracing::info!("layers that go, counted from 0: {gone:?}");
    Ok(gone)
}

fn used(windows: &Windows) -> &[Vec<u32>] {
    &windows.calibration[..windows.calibration.len().min(MAX_WINDOWS)]
}

/// The way of the text through the network as it is.
struct Pass {
    /// Of the layers so far.
    influence: Vec<f64>,
    /// `[tokens, hidden]` of each window, after these layers.
    hidden: Vec<Tensor>,
}

impl Pass {
    fn start(source: &Source, windows: &[Vec<u32>]) -> Result<Self, Error> {
        let hidden = windows.iter().map(|window| source.embedded(window));
        Ok(Self {
            influence: Vec::new(),
            hidden: hidden.collect::<Result<_, _>>()?,
        })
    }

    fn layer(&mut self, block: &Block, config: &ModelConfig, positions: &Positions) -> Result<(), Error> {
        let (mut sum, mut tokens) = (0.0, 0);
        for hidden in &mut self.hidden {
            let next = block.forward(config, positions, hidden, |_, _| Ok::<_, Error>(()))?;
            sum += cosines(hidden, &next)?.f_sum(Kind::Double)?.f_double_value(&[])?;
            tokens += next.size()[0];
            *hidden = next;
        }
        self.influence.push(1.0 - sum / tokens as f64);
        Ok(())
    }

    /// How many layers are measured, their influence, and the states unless that is all layers.
    fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = (self.influence.len() as u64).to_le_bytes().to_vec();
        bytes.extend(self.influence.iter().flat_map(|number| number.to_le_bytes()));
        for hidden in &self.hidden {
            bytes.extend(floats(hidden)?.iter().flat_map(|number| number.to_le_bytes()));
        }
        Ok(bytes)
    }

    /// From [`Pass::to_bytes`] of the same windows; `None` if the length is another.
    fn from_bytes(bytes: &[u8], windows: &[Vec<u32>], config: &ModelConfig) -> Result<Option<Self>, Error> {
        let (words, _) = bytes.as_chunks::<8>();
        let Some((count, words)) = words.split_first() else {
            return Ok(None);
        };
        let count = u64::from_le_bytes(*count) as usize;
        if count > config.layers || count > words.len() {
            return Ok(None);
        }
        let influence = words[..count].iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
        let (states, rest) = bytes[8 * (1 + count)..].as_chunks::<4>();
        let numbers: Vec<f32> = states.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let window = windows.first().map_or(0, Vec::len) * config.hidden_size as usize;
        let windows = if count < config.layers { windows.len() } else { 0 };
        if !rest.is_empty() || numbers.len() != windows * window {
            return Ok(None);
        }
        let hidden = numbers.chunks_exact(window.max(1)).map(|numbers| {
            let state = Tensor::f_from_slice(numbers)?;
            Ok(state.f_view([-1, config.hidden_size])?)
        });
        let hidden = hidden.collect::<Result<_, Error>>()?;
        Ok(Some(Self { influence, hidden }))
    }
}

/// Of each token, the cosine of the angle between its states.
fn cosines(before: &Tensor, after: &Tensor) -> Result<Tensor, Error> {
    Ok(Tensor::f_cosine_similarity(before, after, 1, 1e-8)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::tiny;

    #[test]
    fn cosines_are_of_each_token() {
        let before = Tensor::from_slice(&[1f32, 0.0, 3.0, 4.0]).view([2, 2]);
        let after = Tensor::from_slice(&[0f32, 2.0, 6.0, 8.0]).view([2, 2]);
        let found: Vec<f32> = cosines(&before, &after).unwrap().try_into().unwrap();
        assert_eq!(found, [0.0, 1.0]);
    }

    #[test]
    fn a_pass_survives_the_disk_bit_by_bit() {
        let (_, config) = tiny();
        let windows = vec![vec![1, 2, 3], vec![4, 5, 6]];
        let state = || Tensor::randn([3, config.hidden_size], (Kind::Float, tch::Device::Cpu));
        let pass = Pass {
            influence: vec![0.25],
            hidden: vec![state(), state()],
        };
        let bytes = pass.to_bytes().unwrap();
        let back = Pass::from_bytes(&bytes, &windows, &config).unwrap().unwrap();
        assert_eq!((back.influence, back.hidden), (pass.influence, pass.hidden));
        let none = |bytes: &[u8]| Pass::from_bytes(bytes, &windows, &config).unwrap().is_none();
        assert!(none(&bytes[..bytes.len() - 4]) && none(&bytes[..bytes.len() - 1]) && none(&[]));
        assert!(none(&u64::MAX.to_le_bytes()));
    }
}
