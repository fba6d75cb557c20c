//! Compute kernels in C++ and what tch does not bind of libtorch, behind safe functions.
//!
//! The only crate with `unsafe`. Every function checks shapes, types and places of what it is given and
//! answers with an error, never with a panic. `cpp/atelier.h` is the border; the kernels choose
//! instructions when they run, so one program serves every processor.
//!
//! | module | is |
//! |---|---|
//! | [`Packed`], [`linear`] | matrices of 4-bit, 8-bit and bfloat16 weights, and products with them |
//! | [`add_rms_norm`], [`silu_mul`], [`rope_and_store`], [`paged_attention`] | the rest of a transformer block |
//! | [`lora`] | low-rank adapters, another for each row |
//! | [`learn`] | what training computes, there and back |
//! | [`Mapping`] | files as memory |
//! | [`InferenceMode`], [`generator_state`], [`cuda`] | libtorch |

mod arguments;
mod attention;
pub mod cuda;
mod elementwise;
mod ffi;
pub mod learn;
mod linear;
mod lora;
mod mapping;
mod message;
mod packed;
mod pages;
mod rope;
#[cfg(test)]
mod testing;
mod threads;
mod torch;

pub use attention::{PageTable, paged_attention};
pub use elementwise::{add_rms_norm, silu_mul};
pub use linear::{linear, linear_into};
pub use lora::{LoraAdapter, lora};
pub use mapping::{Mapping, tensor_over};
pub use packed::{Blocks, Format, Packed, RowOrder, Rows};
pub use pages::Pages;
pub use rope::{HeadNorms, RopeTables, rope_and_store};
pub use threads::{cpu_features, has_bf16_products, has_tiles, set_threads, threads};
pub use torch::{InferenceMode, generator_state, map_large_blocks, release_memory, set_generator_state};
