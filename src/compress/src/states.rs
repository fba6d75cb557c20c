//! The hidden states of all windows between two blocks.

use engine::{
    ModelConfig,
    blocks::{Block, Layer, Positions},
};
use tch::{Kind, Tensor};

use crate::{Error, calibration::Windows, quantize::floats};

/// Above so many bytes, states are kept in bfloat16.
const MAX_SINGLE_BYTES: u64 = 1 << 30;

/// The three texts under way through the network, `[tokens, hidden]` for each window.
pub(crate) struct States {
    /// Through the new weights, to calibrate the next block on.
    pub calibration: Vec<Tensor>,
    /// The held-out text through the old weights.
    pub before: Vec<Tensor>,
    /// The held-out text through the new weights.
    pub after: Vec<Tensor>,
    kind: Kind,
}

impl States {
    /// The states before the first block; `embed` gives those of a window, by old and by new weights.
    pub fn new(
        windows: &Windows,
        config: &ModelConfig,
        calibrates: bool,
        embed: impl Fn(&[u32]) -> Result<(Tensor, Tensor), Error>,
    ) -> Result<Self, Error> {
        let kind = kind(windows, config, calibrates);
        let mut states = Self {
            calibration: Vec::new(),
            before: Vec::new(),
            after: Vec::new(),
            kind,
        };
        for window in windows.calibration.iter().filter(|_| calibrates) {
            states.calibration.push(embed(window)?.1.f_to_kind(kind)?);
        }
        for window in &windows.held_out {
            let (before, after) = embed(window)?;
            states.before.push(before.f_to_kind(kind)?);
            states.after.push(after.f_to_kind(kind)?);
        }
        Ok(states)
    }

    /// Their size in bytes, for these windows.
    pub fn bytes(windows: &Windows, config: &ModelConfig, calibrates: bool) -> u64 {
        let size = if kind(windows, config, calibrates) == Kind::Float {
            4
        } else {
            2
        };
        numbers(windows, config, calibrates) * size
    }

    /// As bytes, to go on from later.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        for state in self.calibration.iter().chain(&self.before).chain(&self.after) {
            let numbers = floats(state)?;
            match self.kind {
                Kind::Float => bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes())),
                _ => bytes.extend(
                    numbers
                        .iter()
                        .flat_map(|number| half::bf16::from_f32(*number).to_le_bytes()),
                ),
            }
        }
        Ok(bytes)
    }

    /// From [`States::to_bytes`] of the same windows; `None` if the length is another.
    pub fn from_bytes(
        bytes: &[u8],
        windows: &Windows,
        config: &ModelConfig,
        calibrates: bool,
    ) -> Result<Option<Self>, Error> {
        let kind = kind(windows, config, calibrates);
        if bytes.len() as u64 != Self::bytes(windows, config, calibrates) {
            return Ok(None);
        }
        let numbers: Vec<f32> = match kind {
            Kind::Float => bytes
                .as_chunks()
                .0
                .iter()
                .map(|bytes| f32::from_le_bytes(*bytes))
                .collect(),
            _ => {
                let numbers = bytes.as_chunks().0.iter();
                numbers
                    .map(|bytes| half::bf16::from_le_bytes(*bytes).to_f32())
                    .collect()
            }
        };
        let tokens = windows.held_out.first().map_or(0, Vec::len) * config.hidden_size as usize;
        let mut all = numbers.chunks_exact(tokens.max(1)).map(|window| {
            let state = Tensor::f_from_slice(window)?.f_view([-1, config.hidden_size])?;
            Ok(state.f_to_kind(kind)?)
        });
        let calibrated = if calibrates { windows.calibration.len() } else { 0 };
        let mut take = |count| all.by_ref().take(count).collect::<Result<Vec<_>, Error>>();
        Ok(Some(Self {
            calibration: take(calibrated)?,
            before: take(windows.held_out.len())?,
            after: take(windows.held_out.len())?,
            kind,
        }))
    }

    /// Takes the windows of one text through a block.
    pub fn advance(
        windows: &mut [Tensor],
        block: &Block,
        config: &ModelConfig,
        positions: &Positions,
    ) -> Result<(), Error> {
        for window in windows {
            let kind = window.kind();
            let hidden = window.f_to_kind(Kind::Float)?;
            let next = block.forward(config, positions, &hidden, |_, _| Ok::<_, Error>(()))?;
            *window = next.f_to_kind(kind)?;
        }
        Ok(())
    }

    /// Shows the inputs of a block's layers on the calibration text.
    pub fn observe(
        &self,
        block: &Block,
        config: &ModelConfig,
        positions: &Positions,
        mut observe: impl FnMut(Layer, &Tensor) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for window in &self.calibration {
            let hidden = window.f_to_kind(Kind::Float)?;
            let _ = block.forward(config, positions, &hidden, &mut observe)?;
        }
        Ok(())
    }
}

fn numbers(windows: &Windows, config: &ModelConfig, calibrates: bool) -> u64 {
    let calibration = if calibrates { windows.calibration.len() } else { 0 };
    let count = calibration + 2 * windows.held_out.len();
    let tokens = windows.held_out.first().map_or(0, Vec::len);
    (count * tokens) as u64 * config.hidden_size.unsigned_abs()
}

fn kind(windows: &Windows, config: &ModelConfig, calibrates: bool) -> Kind {
    match numbers(windows, config, calibrates) * 4 > MAX_SINGLE_BYTES {
        true => Kind::BFloat16,
        false => Kind::Float,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::tiny;

    #[test]
    fn states_survive_the_disk_bit_by_bit() {
        let (_, config) = tiny();
        let windows = Windows {
            calibration: vec![vec![1, 2], vec![3, 4]],
            held_out: vec![vec![5, 6]],
        };
        let embed = |window: &[u32]| {
            let size = [window.len() as i64, config.hidden_size];
            let state = Tensor::randn(size, (Kind::Float, tch::Device::Cpu));
            Ok((state.shallow_clone(), state * 2))
        };
        let states = States::new(&windows, &config, true, embed).unwrap();
        let bytes = states.to_bytes().unwrap();
        assert_eq!(bytes.len() as u64, States::bytes(&windows, &config, true));
        let back = States::from_bytes(&bytes, &windows, &config, true).unwrap().unwrap();
        assert_eq!(back.calibration, states.calibration);
        assert_eq!((back.before, back.after), (states.before, states.after));
        assert!(
            States::from_bytes(&bytes[4..], &windows, &config, true)
                .unwrap()
                .is_none()
        );
    }
}
