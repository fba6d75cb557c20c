//! Directories of files as users give them and as nobody should.

#![allow(clippy::unwrap_used, reason = "a test says where it failed by panicking")]

mod hostile;
mod settings;
mod support;
