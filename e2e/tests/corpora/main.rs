//! What Rooms find and answer in real texts, as figures: `cargo xtask e2e corpora` fetches the texts and prints
//! them. Cases take minutes, and are run for themselves only.

mod datasets;
mod lee;
mod measure;
mod policy;
mod reader;
mod wikipedia;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A file of the corpora.
fn file(name: &str) -> Result<PathBuf> {
    let dir = std::env::var_os("ATELIER_CORPORA_DIR").context("ATELIER_CORPORA_DIR is not set")?;
    Ok(Path::new(&dir).join("room-texts").join(name))
}

fn read(name: &str) -> Result<Vec<u8>> {
    let path = file(name)?;
    std::fs::read(&path).with_context(|| format!("failed to read {}", path.display()))
}
