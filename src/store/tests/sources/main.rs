//! Databases of others: a real one with three small tables and much that is hidden, asked by people and attacked.

#![allow(clippy::unwrap_used, reason = "a test says where it failed by panicking")]

mod answers;
mod hostile;
mod support;
mod trouble;
