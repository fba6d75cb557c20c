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
            seed: None,
        }
    }
}
