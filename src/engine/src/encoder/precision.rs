//! Single precision or bf16: measured at start, because it depends on the processor.

use std::{
    fmt,
    time::{Duration, Instant},
};

use tch::TchError;

use super::{Encoded, EncoderConfig, network::Network};
use crate::Dtype;

/// Least cosine between the vectors of both types for bf16 to be taken.
const LEAST_COSINE: f64 = 0.9999;
/// Largest difference of scores likewise; they lie from 0 to 1.
const MOST_DIFFERENCE: f64 = 1e-3;
/// Lengths of the texts that both compute.
const LENGTHS: [usize; 6] = [4, 9, 16, 33, 64, 64];
const RUNS: usize = 2;

/// What to compute in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// What is faster, as long as it changes the results by next to nothing.
    Measured,
    /// This type.
    Given(Dtype),
}

impl From<Option<Dtype>> for Precision {
    fn from(given: Option<Dtype>) -> Self {
        given.map_or(Self::Measured, Self::Given)
    }
}

/// What a measurement of bf16 gave.
#[derive(Clone, Copy, Debug)]
struct Measured {
    fp32: Duration,
    bf16: Duration,
    /// How near the results are.
    agreement: f64,
    agrees: bool,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "bf16 takes {:?} for what fp32 takes {:?} for; agreement {:.6}",
            self.bf16, self.fp32, self.agreement
        )
    }
}

/// The network in the type to compute in, and that type's name. `network` is in single precision.
///
/// # Errors
/// When libtorch fails.
pub(super) fn choose(
    network: Network,
    config: &EncoderConfig,
    precision: Precision,
) -> Result<(Network, Dtype), TchError> {
    match precision {
        Precision::Given(Dtype::Fp32) => Ok((network, Dtype::Fp32)),
        Precision::Given(Dtype::Bf16) => Ok((network.to_bf16()?, Dtype::Bf16)),
        Precision::Measured if !computes_bf16() => Ok((network, Dtype::Fp32)),
        Precision::Measured => {
            let narrow = network.to_bf16()?;
            let measured = measure(&network, &narrow, config)?;
            let taken = measured.agrees && measured.bf16 < measured.fp32;
            tracing::info!(taken, "{measured}");
            Ok(match taken {
                true => (narrow, Dtype::Bf16),
                false => (network, Dtype::Fp32),
            })
        }
    }
}

/// Whether the processor multiplies bf16. Those with AMX have these instructions too.
#[cfg(target_arch = "x86_64")]
fn computes_bf16() -> bool {
    std::arch::is_x86_feature_detected!("avx512bf16")
}

#[cfg(not(target_arch = "x86_64"))]
fn computes_bf16() -> bool {
    false
}

fn measure(network: &Network, narrow: &Network, config: &EncoderConfig) -> Result<Measured, TchError> {
    let texts = sample(config);
    let texts: Vec<&Encoded> = texts.iter().collect();
    let (expected, fp32) = timed(network, &texts)?;
    let (found, bf16) = timed(narrow, &texts)?;
    let pairs = || expected.iter().zip(&found);
    let (agreement, agrees) = if config.cross_encoder {
        let most = pairs().map(|(a, b)| (score(a) - score(b)).abs()).fold(0.0, f64::max);
        (1.0 - most, most <= MOST_DIFFERENCE)
    } else {
        let least = pairs().map(|(a, b)| cosine(a, b)).fold(1.0, f64::min);
        (least, least >= LEAST_COSINE)
    };
    Ok(Measured {
        fp32,
        bf16,
        agreement,
        agrees,
    })
}

/// The results and the shortest time of some runs. The first run prepares kernels.
fn timed(network: &Network, texts: &[&Encoded]) -> Result<(Vec<Vec<f32>>, Duration), TchError> {
    let rows = network.forward(texts)?;
    let mut shortest = Duration::MAX;
    for _ in 0..RUNS {
        let started = Instant::now();
        network.forward(texts)?;
        shortest = shortest.min(started.elapsed());
    }
    Ok((rows, shortest))
}

/// Texts of tokens from all over the vocabulary, always the same.
fn sample(config: &EncoderConfig) -> Vec<Encoded> {
    let mut state = 1u32;
    let vocabulary = u32::try_from(config.vocabulary_size).unwrap_or(u32::MAX).max(1);
    let mut token = || {
        // Numerical Recipes' generator: any spread of tokens will do.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % vocabulary
    };
    let lengths = LENGTHS.iter().map(|length| (*length).min(config.max_length));
    lengths
        .map(|length| Encoded::of_tokens((0..length).map(|_| token()).collect()))
        .collect()
}

/// The score that a cross-encoder's logit stands for.
fn score(row: &[f32]) -> f64 {
    let logit = row.first().copied().map_or(f64::NAN, f64::from);
    1.0 / (1.0 + (-logit).exp())
}

/// Cosine of the angle between two vectors.
pub(super) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
