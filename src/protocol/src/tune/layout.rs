//! Where things lie on the volume of a FineTuneJob, relative to its mount point ([`crate::paths::TUNE_DIR`]).
//!
//! ```text
//!  data/<run>/{train,validation,test}.jsonl, manifest.json     what is learned from
//!  checkpoints/<run>/                                          state of a training
//!  outputs/<64 hex digits>/{adapter_model.safetensors, adapter_config.json, manifest.json, ...}
//! ```
//!
//! `<run>` is the name of a FineTuneJob: the runs and trials of one share its volume.

use std::path::{Path, PathBuf};

/// Written last: a directory without it is not complete.
pub const MANIFEST: &str = "manifest.json";

/// Cleaned records of a run.
pub fn data_dir(volume: &Path, run: &str) -> PathBuf {
    volume.join("data").join(run)
}

/// Saved states of a run.
pub fn checkpoints_dir(volume: &Path, run: &str) -> PathBuf {
    volume.join("checkpoints").join(run)
}

/// Everything that was published.
pub fn outputs_dir(volume: &Path) -> PathBuf {
    volume.join("outputs")
}

/// What was published under a digest, `sha256:` or not.
pub fn output_dir(volume: &Path, digest: &str) -> PathBuf {
    outputs_dir(volume).join(digest.trim_start_matches("sha256:"))
}

/// The records of one part (`train`, `validation`, `test`) in the directory of a data set.
pub fn records_file(directory: &Path, part: &str) -> PathBuf {
    directory.join(format!("{part}.jsonl"))
}
