//! The directory of results, and of work on them.
//!
//! ```text
//!  sha256-<64 hex>/model.gguf   a result, whole from the moment that it has this name
//!  .made-<key>.json             which result came from which source and options
//!  .work-<key>/                 work under way: journal.json, influence, states-<step>,
//!                               artifact/model.gguf, lock; gone some time after its process was killed
//!  .work-<key>.gone/            the same, while it is removed
//! ```
//!
//! The key is a digest of the source's digest, the options, the calibration text and the version of
//! this program's arithmetic: equal keys give equal files.

mod made;
mod stale;
mod work;

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use serde::Serialize;
use sha2::{Digest, Sha256};

pub(crate) use made::Made;
pub(crate) use work::{Journal, Work};

use crate::{Error, Options};

/// Name of the weights file of a result.
pub(crate) const WEIGHTS: &str = "model.gguf";
/// Grows with every change that makes another file from the same source and options.
const VERSION: u32 = 1;

/// A store.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    dir: PathBuf,
}

impl Store {
    /// Opens, or makes, the directory.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
        Ok(Self { dir: dir.to_owned() })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The place of a result, relative to the store.
    pub fn file(digest: &str) -> String {
        format!("{}/{WEIGHTS}", directory(digest))
    }

    /// Gives the finished directory `artifact` its final name.
    pub fn publish(&self, artifact: &Path, digest: &str) -> Result<(), Error> {
        let target = self.dir.join(directory(digest));
        sync_dir(artifact)?;
        match std::fs::rename(artifact, &target) {
            // Another run with other options gave the same file.
            Err(_) if self.holds(digest) => {}
            renamed => renamed.map_err(Error::io("rename", artifact))?,
        }
        sync_dir(&self.dir)
    }

    /// Whether there is a result under this digest.
    pub fn holds(&self, digest: &str) -> bool {
        self.dir.join(Self::file(digest)).is_file()
    }
}

fn directory(digest: &str) -> String {
    format!("sha256-{digest}")
}

/// What a result depends on; its digest names the work directory.
#[derive(Debug, Serialize)]
pub(crate) struct Key<'a> {
    version: u32,
    source: &'a str,
    quantization: crate::Quantization,
    method: Option<crate::Method>,
    group_size: usize,
    pruning: Option<(crate::Pruning, String)>,
    structure: Option<crate::Structure>,
    text: String,
}

impl<'a> Key<'a> {
    /// Of a source with this digest and calibration text.
    pub fn new(source: &'a str, text: &str, options: &Options) -> Self {
        Self {
            version: VERSION,
            source,
            quantization: options.quantization,
            method: options.method,
            group_size: options.group_size,
            pruning: options
                .pruning
                .map(|(pruning, sparsity)| (pruning, sparsity.to_string())),
            structure: options.structured().map(|(structure, _)| structure),
            text: hex::encode(Sha256::digest(text)),
        }
    }

    /// As a name, 32 hex digits.
    pub fn name(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        hex::encode(&Sha256::digest(text)[..16])
    }
}

/// Writes a small file that is whole or not there.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let part = path.with_extension("part");
    let written = File::create(&part).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|error| {
        // On a full disk it would only be in the way.
        let _ = std::fs::remove_file(&part);
        Error::io("write", &part)(error)
    })?;
    std::fs::rename(&part, path).map_err(Error::io("rename", &part))
}

/// Makes a directory's entries durable.
fn sync_dir(dir: &Path) -> Result<(), Error> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(Error::io("write", dir))
}
