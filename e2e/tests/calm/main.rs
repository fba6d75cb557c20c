//! Cases that leave the control plane in peace. They run side by side.

mod access;
mod adapters;
mod autoscaling;
mod canary;
mod compression;
mod embeddings;
mod engines;
mod evaluation;
mod examples;
mod failures;
mod fields;
mod hosted;
mod keys;
mod lifecycle;
mod limits;
mod matrix;
mod memory;
mod node_cache;
mod nodes;
mod openai;
mod quickstart;
mod rollout;
mod route;
mod schema;
mod sources;
mod unschedulable;
