//! Models as they come: a GGUF file, or a directory of safetensors files with `config.json` and
//! `tokenizer.json`. Either way [`Checkpoint`] shows a GGUF header, so that the rest of the worker
//! knows one format.
//!
//! Every length, offset and setting is checked before anything is allocated or computed with it.
//! What the network of the files would compute otherwise than ours is refused, with the file, the
//! field and what to do about it.

mod config;
mod directory;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod json;
pub mod keys;
mod names;
mod safetensors;
mod sentence;
mod shards;
mod tokenizer;
pub mod tokenizer_json;
pub mod write;

use std::fs::File;
use std::path::Path;

use gguf::{GgufFile, Header, TensorInfo};

pub use directory::{Files, SETTINGS};
pub use error::Error;
pub use shards::INDEX;

use directory::Directory;

/// A model whose header has been read and checked.
#[derive(Debug)]
pub struct Checkpoint(Source);

#[derive(Debug)]
enum Source {
    Gguf(GgufFile),
    Safetensors(Box<Directory>),
}

impl Checkpoint {
    /// Opens a GGUF file, a directory of safetensors files, or one such file beside its
    /// `config.json`.
    ///
    /// # Errors
    /// When something cannot be read, contradicts itself or is not supported.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if is_safetensors(path) {
            return Ok(Self(Source::Safetensors(Box::new(Directory::open(path)?))));
        }
        Ok(GgufFile::open(path)?.into())
    }

    /// What the model says about itself, in the terms of GGUF. Tensors are matrices with rows first
    /// and vectors.
    pub fn header(&self) -> &Header {
        match &self.0 {
            Source::Gguf(file) => file.header(),
            Source::Safetensors(directory) => &directory.header,
        }
    }

    /// Reads the bytes of a tensor of the header.
    ///
    /// # Errors
    /// When the file cannot be read, for example because it shrank since it was opened.
    pub fn read_tensor(&self, tensor: &TensorInfo) -> Result<Vec<u8>, Error> {
        match &self.0 {
            Source::Gguf(file) => Ok(file.read_tensor(tensor)?),
            Source::Safetensors(directory) => directory.read_tensor(tensor),
        }
    }

    /// The file that holds a tensor of the header, and its first byte there: for what maps files
    /// or reads them piece by piece. `None` if the tensor is not of this model.
    pub fn place(&self, tensor: &TensorInfo) -> Option<(&File, u64)> {
        match &self.0 {
            Source::Gguf(file) => Some((file.file(), tensor.offset)),
            Source::Safetensors(directory) => {
                let (file, _, offset) = directory.shards.place(tensor.offset)?;
                Some((file, offset))
            }
        }
    }

    /// Whether the rows of query and key are in the order of GGUF files of the Llama family, which
    /// pair neighbours for the rotary embedding, instead of the two halves of a head.
    pub fn rows_are_permuted(&self) -> bool {
        match &self.0 {
            Source::Gguf(file) => {
                let name = file.header().metadata.string("general.architecture");
                let family = name.ok().and_then(gguf::Architecture::named);
                family.is_some_and(|family| family.permuted)
            }
            Source::Safetensors(_) => false,
        }
    }

    /// `gguf` or `safetensors`.
    pub fn format(&self) -> &'static str {
        match &self.0 {
            Source::Gguf(_) => "gguf",
            Source::Safetensors(_) => "safetensors",
        }
    }
}

impl From<GgufFile> for Checkpoint {
    fn from(file: GgufFile) -> Self {
        Self(Source::Gguf(file))
    }
}

/// Whether `path` is a directory or a safetensors file, as opposed to a GGUF file.
pub fn is_safetensors(path: &Path) -> bool {
    path.is_dir() || path.extension().is_some_and(|extension| extension == "safetensors")
}
