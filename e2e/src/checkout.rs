//! Files of the checkout that the tests apply.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The root of the checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate lies in the checkout")
}

/// All YAML files of a directory, in order of their names.
pub fn manifests(dir: &str) -> Result<Vec<PathBuf>> {
    let dir = root().join(dir);
    let entries = std::fs::read_dir(&dir).with_context(|| format!("failed to list {}", dir.display()))?;
    let mut files = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<PathBuf>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    anyhow::ensure!(!files.is_empty(), "{} holds no manifest", dir.display());
    Ok(files)
}
