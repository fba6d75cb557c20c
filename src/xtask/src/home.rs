//! Where things lie: the checkout, and the user's cache that holds everything heavy.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The two directories that every command works with.
#[derive(Clone, Debug)]
pub struct Home {
    /// Top of the checkout.
    pub repo: PathBuf,
    /// `$XDG_CACHE_HOME/atelier` or `~/.cache/atelier`; keyed by version, so it is safe to share between checkouts.
    pub cache: PathBuf,
}

impl Home {
    /// Finds both from the environment.
    pub fn find() -> Result<Self> {
        let manifest =
            env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let repo = manifest
            .ancestors()
            .find(|dir| dir.join("Cargo.lock").is_file())
            .context("failed to find the top of the checkout: run `cargo xtask` inside it")?
            .to_path_buf();
        let base = match env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
            Some(dir) => PathBuf::from(dir),
            None => PathBuf::from(
                env::var_os("HOME").context("failed to find the cache directory: set HOME or XDG_CACHE_HOME")?,
            )
            .join(".cache"),
        };
        Ok(Self {
            repo,
            cache: base.join("atelier"),
        })
    }

    /// Cargo's output, shared by all checkouts unless `CARGO_TARGET_DIR` says otherwise.
    pub fn target(&self) -> PathBuf {
        match env::var_os("CARGO_TARGET_DIR").filter(|value| !value.is_empty()) {
            Some(dir) => self.repo.join(dir),
            None => self.cache.join("target"),
        }
    }

    /// Libraries and headers of libtorch.
    pub fn libtorch(&self) -> PathBuf {
        self.cache.join("libtorch-2.11.0")
    }

    /// Weights that tests and the model image use.
    pub fn models(&self) -> PathBuf {
        self.cache.join("models")
    }

    /// Texts that parity tests use.
    pub fn corpora(&self) -> PathBuf {
        self.cache.join("corpora")
    }

    /// State of the local cluster: certificates, kubeconfig, logs, containers.
    pub fn cluster(&self) -> PathBuf {
        self.cache.join("cluster")
    }

    /// A tool built from source, one directory for each version of it.
    pub fn tool(&self, name: &str, version: &str) -> PathBuf {
        self.cache.join("bin").join(format!("{name}-{version}"))
    }

    /// Creates a directory in the cache for something half done. The name is ours alone; whatever a
    /// crash left there is removed first.
    pub fn fresh_work_dir(&self, name: &str) -> Result<PathBuf> {
        let dir = self.cache.join("work").join(name);
        remove_dir(&dir)?;
        std::fs::create_dir_all(&dir).with_context(|| format!("failed to create {}", dir.display()))?;
        Ok(dir)
    }
}

/// Removes a directory tree that may not exist.
pub fn remove_dir(dir: &Path) -> Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

/// Puts a finished directory in its place in one step, so that a reader sees all of it or nothing.
pub fn publish_dir(from: &Path, to: &Path) -> Result<()> {
    let parent = to.parent().expect("cache entries lie in a directory");
    std::fs::create_dir_all(parent).with_context(|| format!("failed to create {}", parent.display()))?;
    remove_dir(to)?;
    std::fs::rename(from, to).with_context(|| format!("failed to move {} to {}", from.display(), to.display()))
}
