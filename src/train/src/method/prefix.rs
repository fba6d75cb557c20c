//! Trained keys and values before every layer's own (prefix tuning, Li and Liang 2021,
//! <https://arxiv.org/abs/2101.00190>), without the network that computes them in the paper.

use engine::ModelConfig;
use tch::{TchError, Tensor};

use crate::{
    Error,
    network::Network,
    parameters::{ParameterId, Parameters},
    random::Random,
};

/// Standard deviation of the first values: small ones change the base little.
const DEVIATION: f64 = 0.02;

/// Virtual tokens.
pub(crate) struct Prefix {
    pub tokens: i64,
    /// `[tokens, layers 2 kv_heads head_dim]`, as the `peft` library has it.
    pub vectors: ParameterId,
}

impl Prefix {
    pub fn new(
        tokens: Option<u64>,
        config: &ModelConfig,
        seed: u64,
        parameters: &mut Parameters,
    ) -> Result<Self, Error> {
        let field = "virtualTokens";
        let tokens = tokens.ok_or_else(|| Error::plan(field, "the method Prefix needs it"))?;
        let most = config.context_length.saturating_sub(1).max(1) as u64;
        if !(1..=most).contains(&tokens) {
            return Err(Error::plan(field, format!("is {tokens}, expected 1 to {most}")));
        }
        let width = config.layers as i64 * 2 * config.kv_heads * config.head_dim;
        let values = Random::named(seed, "prefix").normal(&[tokens as i64, width], DEVIATION)?;
        Ok(Self {
            tokens: tokens as i64,
            vectors: parameters.add("prefix".into(), &values, true)?,
        })
    }

    pub fn keys_and_values(
        &self,
        parameters: &Parameters,
        layer: usize,
        network: &Network,
    ) -> Result<(Tensor, Tensor), TchError> {
        let ModelConfig { kv_heads, head_dim, .. } = network.config;
        let vectors = parameters.value(self.vectors);
        let half = |half: i64| {
            let first = (2 * layer as i64 + half) * kv_heads * head_dim;
            vectors
                .f_narrow(1, first, kv_heads * head_dim)?
                .f_to_kind(network.kind)?
                .f_view([1, self.tokens, kv_heads, head_dim])?
                .f_transpose(1, 2)
        };
        Ok((half(0)?, half(1)?))
    }
}
