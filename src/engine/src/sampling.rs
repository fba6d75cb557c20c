//! How the next token is chosen.

/// What a request says about the choice of tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 takes the likeliest token always.
    pub temperature: f32,
    /// The smallest set of likeliest tokens whose probabilities sum up to this stays, of (0, 1].
    pub top_p: f32,
    /// So many likeliest tokens stay; 0 for all.
    pub top_k: usize,
    /// Taken off the logit of every token that the answer has, for each time it has it.
    pub frequency_penalty: f32,
    /// Taken off the logit of every token that the answer has.
    pub presence_penalty: f32,
    /// Divides the logit, or multiplies it where it is negative, of every token that prompt or answer
    /// have; 1 for none.
    pub repetition_penalty: f32,
    /// Tokens less probable than this share of the likeliest one's probability go, of [0, 1].
    pub min_p: f32,
    /// Added to the logits of these tokens.
    pub logit_bias: Vec<(u32, f32)>,
    /// Equal seeds give equal answers to equal requests.
    pub seed: Option<u64>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            repetition_penalty: 1.0,
            min_p: 0.0,
            logit_bias: Vec::new(),
            seed: None,
        }
    }
}
