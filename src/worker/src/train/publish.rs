//! The output: files in a directory with the name of their digest.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use artifacts::digest::Digest;
use protocol::tune::{MANIFEST, OutputKind, OutputManifest, TrainFailure, TrainPlan};
use sha2::{Digest as _, Sha256};
use train::Trainer;

use super::{
    durable::{self, Temporary},
    failure::{io_at, of_train, permanent, reasons},
    tokenizer_files,
};

/// An output that has no name yet; it goes with the value unless it is published.
pub struct Output {
    temporary: Temporary,
    /// What it is.
    pub kind: OutputKind,
    /// `sha256:` and 64 hex digits.
    pub digest: String,
    /// Names and SHA-256 of what is loaded.
    pub files: BTreeMap<String, String>,
}

impl Output {
    /// Writes the files that are loaded.
    ///
    /// # Errors
    /// When they cannot be written, or what was written cannot be loaded.
    pub fn write(trainer: &Trainer, plan: &TrainPlan) -> Result<Self, TrainFailure> {
        let outputs = &plan.outputs;
        // The digest is not known yet.
        let temporary = durable::temporary(&outputs.join(&plan.run)).map_err(io_at("write to", outputs))?;
        let directory = temporary.path();
        let kind = trainer.write_output(directory, &plan.base_name).map_err(of_train)?;
        if kind == OutputKind::Weights {
            tokenizer_files::write(&plan.model, plan.template.as_deref(), directory)?;
            check(directory)?;
        }
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(directory).map_err(io_at("read", directory))? {
            let entry = entry.map_err(io_at("read", directory))?;
            let digest = Digest::of_file(&entry.path()).map_err(super::failure::of_prepare)?;
            files.insert(entry.file_name().to_string_lossy().into_owned(), digest.to_string());
        }
        Ok(Self {
            digest: digest(&files),
            temporary,
            kind,
            files,
        })
    }

    /// Where it is now.
    pub fn directory(&self) -> &Path {
        self.temporary.path()
    }

    /// Says what it is, for who loads it before it has its name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn describe(&self, manifest: &OutputManifest) -> Result<(), TrainFailure> {
        let text = serde_json::to_vec_pretty(manifest).expect("it has text keys only");
        let path = self.directory().join(MANIFEST);
        durable::write(&path, &text).map_err(io_at("write", &path))
    }

    /// Gives it its name. What is there under that name already is the same, and stays.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn publish(self, outputs: &Path, manifest: &OutputManifest, events: &Path) -> Result<PathBuf, TrainFailure> {
        let target = outputs.join(self.digest.trim_start_matches("sha256:"));
        if target.join(MANIFEST).is_file() {
            tracing::info!("{} is there already", target.display());
            return Ok(target);
        }
        copy_events(events, &self.directory().join("runs"));
        self.describe(manifest)?;
        let named = match target.exists() {
            // What a loss of power left.
            true => self.temporary.replace(&target),
            false => self.temporary.publish(&target),
        };
        named.map_err(io_at("write", &target))?;
        Ok(target)
    }
}

/// Over the sorted lines `<name> <sha256>`.
fn digest(files: &BTreeMap<String, String>) -> String {
    let mut hasher = Sha256::new();
    for (name, sha256) in files {
        hasher.update(format!("{name} {sha256}\n"));
    }
    format!("sha256:{}", hex::encode(hasher.finalize()))
}

/// Whether the worker can load what it wrote.
fn check(directory: &Path) -> Result<(), TrainFailure> {
    let loaded = checkpoint::Checkpoint::open(directory).map_err(|error| error.to_string());
    let loaded = loaded.and_then(|model| {
        let tokenizer = engine::text::Tokenizer::from_metadata(&model.header().metadata);
        tokenizer.map_err(|error| error.to_string())
    });
    loaded.map(drop).map_err(|why| {
        let message = format!("the weights that were trained cannot be loaded again: {why}");
        permanent(reasons::INTERNAL, message)
    })
}

/// Copies what TensorBoard shows. An output is good without.
fn copy_events(from: &Path, to: &Path) {
    let copied = fs::create_dir_all(to).and_then(|()| {
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
        Ok(())
    });
    if let Err(error) = copied {
        tracing::warn!("failed to copy {}: {error}", from.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_over_sorted_lines() {
        let files = [("b", "2"), ("a", "1")].map(|(name, digest)| (name.to_owned(), digest.to_owned()));
        let expected = format!("sha256:{}", hex::encode(Sha256::digest("a 1\nb 2\n")));
        assert_eq!(digest(&files.into()), expected);
    }
}
