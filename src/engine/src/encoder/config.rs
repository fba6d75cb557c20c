//! What the header says about an encoder.

use checkpoint::keys;
use gguf::{Dimensions, Header};

use super::Pooling;
use crate::LoadError;

/// Dimensions and settings of an encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderConfig {
    /// `general.architecture`.
    pub architecture: &'static str,
    /// Transformer blocks.
    pub layers: usize,
    /// Width of the hidden state, and of embeddings.
    pub hidden_size: i64,
    /// Width of the feed-forward layer.
    pub feed_forward_size: i64,
    /// Attention heads.
    pub heads: i64,
    /// What layer normalization adds to the variance.
    pub norm_epsilon: f64,
    /// Positions that the network knows.
    pub context_length: usize,
    /// Longest text in tokens, its marks included; longer ones are cut.
    pub max_length: usize,
    /// Number of tokens in the vocabulary.
    pub vocabulary_size: i64,
    /// Kinds of tokens: of the first and of the second text of a pair.
    pub token_types: i64,
    /// How an embedding is made of the vectors of tokens.
    pub pooling: Pooling,
    /// It scores pairs of texts, and embeds none.
    pub cross_encoder: bool,
}

impl EncoderConfig {
    /// Reads and checks the settings of a file.
    ///
    /// # Errors
    /// When the file is no encoder, or one that computes something else.
    pub fn from_header(header: &Header) -> Result<Self, LoadError> {
        let dimensions = Dimensions::from_header(header)?;
        if !dimensions.architecture.encoder {
            return Err(LoadError::Task {
                architecture: dimensions.architecture.name,
                does: "generates text and embeds none: serve it with --task generate",
            });
        }
        let context_length = dimensions.context_length as usize;
        let max_length = match header.metadata.get(keys::MAX_SEQUENCE_LENGTH) {
            Some(_) => header.metadata.unsigned(keys::MAX_SEQUENCE_LENGTH)? as usize,
            None => context_length,
        };
        let token_types = header.tensor("token_types.weight")?.shape[0];
        // The numbers are at most 2^31 each, and the tensors that they count are in the file.
        Ok(Self {
            architecture: dimensions.architecture.name,
            layers: dimensions.layers as usize,
            hidden_size: dimensions.hidden_size as i64,
            feed_forward_size: dimensions.feed_forward_size as i64,
            heads: dimensions.heads as i64,
            norm_epsilon: dimensions.norm_epsilon,
            context_length,
            max_length: max_length.min(context_length),
            vocabulary_size: dimensions.vocabulary_size as i64,
            token_types: token_types as i64,
            pooling: Pooling::of(&header.metadata)?,
            cross_encoder: header.tensor("cls.output.weight").is_ok(),
        })
    }
}
