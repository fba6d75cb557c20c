//! Low-rank adapters (LoRA, Hu et al. 2021, <https://arxiv.org/abs/2106.09685>) beside the weights of
//! a base model, in the files of the `peft` library.
//!
//! An adapter adds `scale B A x` to what some linear layers make of `x`. The base stays as it is, so
//! one pass computes rows of the base and of many adapters together.
//!
//! ```text
//!  directory -> AdapterFiles (headers only, checked against the base model) -> Adapter (in memory)
//!                                 ^ Registry: names, a memory budget, least recently used goes first
//! ```

mod adapter;
mod apply;
mod config;
mod error;
mod file;
mod files;
mod module;
mod pattern;
mod projection;
mod registry;
mod write;

pub use adapter::{Adapter, AdapterId};
pub(crate) use apply::PassAdapters;
pub use config::AdapterConfig;
pub use error::{AdapterError, RegistryError};
pub use files::AdapterFiles;
pub(crate) use projection::Product;
pub use projection::Projection;
pub use registry::{Registry, RegistryStats, Summary};
pub use write::{Description, Module, write};

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod parity;
#[cfg(test)]
pub(crate) mod testing;
