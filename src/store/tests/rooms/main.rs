//! Rooms on a real PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test says where it failed by panicking")]

mod fill;
mod guard;
mod support;
