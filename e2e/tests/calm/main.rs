//! Cases that leave the control plane in peace. They run side by side.

mod access;
mod adapters;
mod autoscaling;
mod compression;
mod embeddings;
mod examples;
mod lifecycle;
mod openai;
mod quickstart;
mod rollout;
mod schema;
mod sources;
mod unschedulable;
