//! The engine: turns token ids into token ids, on libtorch.
//!
//! ```text
//!  GGUF file -> config, weights, tokenizer
//!                  |
//!  submit(Request) -> queue -> [engine thread] admit -> plan a step -> one forward pass -> sample -> events
//! ```
//!
//! One thread owns every tensor; everybody else talks to it through [`Engine`] in token ids. Text
//! (tokenizer, stop strings, incomplete UTF-8) is handled by the caller with the types of [`text`].

mod batch;
pub mod blocks;
mod cache_size;
mod config;
mod constraint;
mod dequantize;
mod device;
mod device_memory;
mod draw;
mod dtype;
pub mod encoder;
mod engine;
mod engine_thread;
mod error;
mod fair_queue;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod gauges;
mod kv_cache;
mod layer;
mod logits;
mod logprobs;
pub mod lora;
mod memory;
mod model;
mod ops;
mod pages;
mod places;
mod request;
mod rope;
mod sampler;
mod sampling;
mod scheduler;
mod sequence;
mod step;
pub mod text;
mod threads;
mod warm_up;
mod weights;

pub use batch::{Batch, LogitRows, Segment};
pub use config::ModelConfig;
pub use constraint::{TokenConstraint, TokenMask};
pub use device::Device;
pub use dtype::Dtype;
pub use engine::{Engine, EngineOptions};
pub use error::{LoadError, SubmitError};
pub use gauges::Gauges;
pub use kv_cache::KvCache;
pub use logprobs::{TokenLogprob, TokenLogprobs};
pub use model::{Model, ModelOptions};
pub use ops::Ops;
pub(crate) use ops::SelfBench;
pub use pages::PAGE;
pub use request::{Event, Events, Failure, FinishReason, Request};
pub use sampling::Sampling;
pub use threads::{available_threads, set_threads};
pub use weights::Cache;
