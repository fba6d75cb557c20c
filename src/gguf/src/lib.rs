//! Reader of GGUF files, the container of `llama.cpp` for weights, tokenizer and settings.
//!
//! A file is a header (key-value metadata, then a directory of tensors), padding, and the tensors'
//! bytes. [`GgufFile::open`] reads the header only and checks every count, length and offset in it
//! against the file's size, so a hostile or truncated file gives an [`Error`] and never a panic or
//! an allocation that the file's size does not justify. [`GgufFile::read_tensor`] reads one
//! tensor's bytes. [`Layout`] plans a file to write.
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

mod architecture;
mod dimensions;
mod error;
mod file;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod header;
mod keys;
mod layout;
mod metadata;
mod source;
mod tensor;
pub mod write;

pub use architecture::Architecture;
pub use dimensions::Dimensions;
pub use error::Error;
pub use file::GgufFile;
pub use header::Header;
pub use layout::Layout;
pub use metadata::{Array, Metadata, Value};
pub use tensor::{GgmlType, TensorInfo};
