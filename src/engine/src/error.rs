//! What can go wrong, by step.

use tch::TchError;

use crate::{Device, Dtype};

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is not what it should be.
    #[error("failed to load the model: {0}")]
    Header(#[from] gguf::Error),
    /// A file of the model is not what it should be, or cannot be read.
    #[error("failed to load the model: {0}")]
    File(#[from] checkpoint::Error),
    /// A network that does something else than what the engine is to do.
    #[error("failed to load the model: a model of the architecture {architecture:?} {does}")]
    Task {
        /// `general.architecture` of the file.
        architecture: &'static str,
        /// What it does, and what to do about it.
        does: &'static str,
    },
    /// A setting of the file that the engine does not know.
    #[error("failed to load the model: {key} is {found}, {supported}")]
    Unsupported {
        /// The metadata key.
        key: String,
        /// Its value.
        found: String,
        /// What would work.
        supported: &'static str,
    },
    /// A tensor that does not fit the model's other dimensions.
    #[error("failed to load tensor {tensor:?}: its shape is {found:?}, expected {expected:?}")]
    Shape {
        /// The tensor's name.
        tensor: String,
        /// Its shape in the file, rows first.
        found: Vec<u64>,
        /// What the metadata calls for.
        expected: Vec<u64>,
    },
    /// A tensor in a format that the engine cannot widen.
    #[error(
        "failed to load tensor {tensor:?}: type {found} is not supported (F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K and Q6_K are)"
    )]
    TensorType {
        /// The tensor's name.
        tensor: String,
        /// Its type.
        found: gguf::GgmlType,
    },
    /// The vocabulary or the merges of the file do not make a tokenizer.
    #[error("failed to build the tokenizer: {0}")]
    Tokenizer(String),
    /// Settings that this model cannot be served with.
    #[error("failed to set the engine up: {0}")]
    Options(String),
    /// What is to compute is not there.
    #[error("{0}; compute on the device cpu, or give the process a GPU")]
    Device(String),
    /// Weights that compute no numbers.
    #[error(
        "failed to load the model: its weights give infinite or undefined logits; the file is damaged or was converted wrongly"
    )]
    NotFinite,
    /// A GPU that is too small for the weights.
    #[error(
        "failed to load the model: its weights take {needed} MiB in {dtype}, {device} has {free} MiB free of {total}: give the process a larger or an idle GPU, or use smaller weights or bf16"
    )]
    DeviceMemory {
        /// The GPU.
        device: Device,
        /// What is computed in.
        dtype: Dtype,
        /// Mebibytes of the weights.
        needed: u64,
        /// Mebibytes that nobody holds.
        free: u64,
        /// Mebibytes of the GPU.
        total: u64,
    },
    /// libtorch refused.
    #[error("failed to load the model: libtorch: {}", brief(.0))]
    Torch(#[from] TchError),
    /// The engine thread could not be started, or ended while it loaded.
    #[error("failed to start the engine thread: {0}")]
    Thread(String),
}

/// What libtorch says without where in its code it says so.
pub(crate) fn brief(error: &TchError) -> String {
    let text = error.to_string();
    let end = text.find("\nException raised from").unwrap_or(text.len());
    text[..end].trim_end().to_owned()
}

/// Why a request was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Nothing to continue.
    #[error("the prompt has no tokens")]
    EmptyPrompt,
    /// A token that the model does not have.
    #[error("token {token} is outside the vocabulary of {vocabulary}")]
    UnknownToken {
        /// The token.
        token: u32,
        /// Number of tokens of the model.
        vocabulary: usize,
    },
    /// No room for an answer.
    #[error("the prompt has {prompt} tokens, the model's context holds {context} and one of them is for the answer")]
    TooLong {
        /// Tokens of the prompt.
        prompt: usize,
        /// Tokens of the context.
        context: usize,
    },
    /// A text that an encoder cannot read at once.
    #[error("the text has {text} tokens, the model reads up to {most}")]
    TextTooLong {
        /// Tokens of the text.
        text: usize,
        /// Most tokens.
        most: usize,
    },
    /// As many requests wait as may.
    #[error("{waiting} requests are waiting already")]
    QueueFull {
        /// How many wait.
        waiting: usize,
    },
    /// The engine has ended.
    #[error("the engine has stopped")]
    Stopped,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_libtorch_are_told_without_their_stack() {
        let error = TchError::Torch("out of memory.\nException raised from f (most recent call first):\n#0".into());
        assert!(!brief(&error).contains("most recent"), "{error}");
        let shape = tch::Tensor::zeros([2], (tch::Kind::Float, tch::Device::Cpu));
        let text = LoadError::from(shape.f_view([3]).unwrap_err()).to_string();
        assert!(text.contains("[3]") && !text.contains("frame #"), "{text}");
    }
}
