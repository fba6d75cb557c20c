//! What can go wrong in a training.

use std::path::PathBuf;

use tch::TchError;

use crate::collective::Lost;

/// Why a training cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Settings that do not fit the model or each other.
    #[error("failed to set the training up: {field}: {why}")]
    Plan {
        /// The field of the plan.
        field: &'static str,
        /// What is wrong with it, and what would work.
        why: String,
    },
    /// The base is of another kind, or a tensor of it is not what it should be.
    #[error(transparent)]
    Model(#[from] engine::LoadError),
    /// A file of the base cannot be read.
    #[error("failed to read the base model: {0}")]
    Checkpoint(#[from] checkpoint::Error),
    /// Texts that the model cannot learn from.
    #[error("failed to learn from a text: {0}")]
    Work(String),
    /// A loss or a gradient that is no number: the weights are as they were before the step.
    #[error(
        "the loss or a gradient is not finite in step {step}, batch {batch}: lower the learning rate, warm up for longer, or look for a broken text in that batch"
    )]
    NotFinite {
        /// The step, from 0.
        step: u64,
        /// The batch among those of the step. With several processes, those of the first come first.
        batch: usize,
    },
    /// Another process of the group is gone.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// A saved state that cannot be read, or is of another training.
    #[error("failed to go on from {}: {why}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The disk refuses.
    #[error("failed to {action} {}: {source}", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// An adapter that cannot be written.
    #[error("failed to write the adapter: {0}")]
    Adapter(#[from] engine::lora::AdapterError),
    /// libtorch refused, most often for lack of memory.
    #[error("libtorch: {}", brief(.0))]
    Torch(#[from] TchError),
}

impl Error {
    /// A setting that does not work.
    pub(crate) fn plan(field: &'static str, why: impl Into<String>) -> Self {
        Self::Plan { field, why: why.into() }
    }

    /// What to do with an error of the operating system at `path`.
    pub(crate) fn file(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }
}

/// What libtorch says without where in its code it says so.
fn brief(error: &TchError) -> String {
    let text = error.to_string();
    let end = text.find("\nException raised from").unwrap_or(text.len());
    text[..end].trim_end().to_owned()
}
