//! Adapters of the served model: which there are, and how they come and go while it serves.

mod admin;
mod error;
mod metrics;
mod tuned;
mod wanted;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use engine::{
    Engine,
    lora::{Adapter, Registry, RegistryError},
};
use protocol::AdaptersReport;
use tokio::task::spawn_blocking;

pub use self::{
    admin::{Slot, routes},
    metrics::Metrics,
    tuned::load as tuned,
    wanted::Keeper,
};
use crate::cli::Serve;

/// The adapters of one model.
pub struct Adapters {
    served_name: String,
    registry: Arc<Registry>,
    directory: Option<PathBuf>,
    /// What became of those that a [`Keeper`] is to bring.
    report: Mutex<Option<AdaptersReport>>,
}

/// An adapter of the directory that cannot be used.
pub struct Refused {
    /// Its name.
    pub name: String,
    /// Why not.
    pub error: RegistryError,
}

impl Adapters {
    /// No adapters yet.
    pub fn new(engine: &Engine, args: &Serve) -> Self {
        let registry = Registry::new(
            engine.config().clone(),
            engine.options().model.dtype,
            args.adapter_memory,
        );
        Self {
            served_name: args.served_name.clone(),
            registry: Arc::new(registry),
            directory: args.adapters_dir.clone(),
            report: Mutex::default(),
        }
    }

    /// Adds every subdirectory of the directory, if there is one. One that cannot be used is logged and
    /// returned; the others, and the base model, serve all the same. Takes a while.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn scan(&self) -> Result<Vec<Refused>> {
        let Some(directory) = &self.directory else {
            return Ok(Vec::new());
        };
        let names = subdirectories(directory)
            .with_context(|| format!("failed to read the adapters in {}", directory.display()))?;
        let mut refused = Vec::new();
        for name in names {
            if let Err(error) = self.registry.add(&name, &directory.join(&name)) {
                tracing::error!(adapter = name, %error, "failed to load an adapter");
                refused.push(Refused { name, error });
            }
        }
        Ok(refused)
    }

    /// The adapter with this name, for one request.
    ///
    /// # Errors
    /// When there is none, or it cannot be loaded (again).
    pub async fn get(&self, name: &str) -> Result<Arc<Adapter>, RegistryError> {
        if let Some(adapter) = self.registry.loaded(name)? {
            return Ok(adapter);
        }
        let (registry, name) = (self.registry.clone(), name.to_owned());
        let loading = spawn_blocking(move || registry.get(&name));
        // It fails only by a panic of the task, which goes on here.
        loading
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    /// Says what became of those that are wanted.
    fn tell(&self, report: Option<AdaptersReport>) {
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = report;
    }

    fn report(&self) -> Option<AdaptersReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is known of them.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }
}

/// Names of subdirectories, links to some included. Hidden ones are how volumes of Kubernetes are
/// made, and no adapters.
fn subdirectories(directory: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && entry.path().is_dir() {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_count_and_hidden_ones_do_not() {
        let root = tempfile::tempdir().unwrap();
        for name in ["b", "a", "..2026", ".hidden"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        std::fs::write(root.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink(root.path().join("..2026"), root.path().join("link")).unwrap();
        assert_eq!(subdirectories(root.path()).unwrap(), ["a", "b", "link"]);
        assert!(subdirectories(&root.path().join("nowhere")).is_err());
    }
}
