//! Rooms on a real PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test says where it failed by panicking")]

mod answers;
mod caches;
mod curate;
mod fill;
mod flip;
mod guard;
mod hostile;
mod incremental;
mod killed;
mod listing;
mod owner;
mod planted;
mod purge;
mod rights;
mod support;
mod throughput;
mod uploads;
mod verbs;
