//! One `cargo xtask` at a time changes the cache or the cluster.

use std::fs::{File, OpenOptions, TryLockError};

use anyhow::{Context, Result};

use crate::home::Home;
use crate::ui;

/// Holds the lock until dropped; the kernel frees it too when the process ends in any way.
#[derive(Debug)]
pub struct CacheLock {
    _file: File,
}

impl CacheLock {
    /// Waits for its turn and says so when it has to.
    pub fn take(home: &Home) -> Result<Self> {
        std::fs::create_dir_all(&home.cache).with_context(|| format!("failed to create {}", home.cache.display()))?;
        let path = home.cache.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("failed to open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                ui::say(&format!(
                    "another `cargo xtask` is at work (it holds {}); waiting for it",
                    path.display()
                ));
                file.lock()
                    .with_context(|| format!("failed to lock {}", path.display()))?;
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("failed to lock {}", path.display()));
            }
        }
        Ok(Self { _file: file })
    }
}
