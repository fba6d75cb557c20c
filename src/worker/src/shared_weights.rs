//! Weights that lie in the node's cache, which other pods use and clean up.

use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use artifacts::{cache, digest};
use clap::Args;
use protocol::PrepareFailure;
use protocol::report::reasons;

use crate::cli::Model;

/// Arguments of `own`.
#[derive(Clone, Debug, Args)]
pub struct Own {
    /// The directory.
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Number of the user and the group that it is given to.
    #[arg(long, value_name = "ID")]
    pub user: u32,
}

/// Gives a directory of root, which nobody else has seen yet, to a user alone. Returns the exit code.
pub fn own(args: &Own) -> i32 {
    telemetry::init("worker");
    match give(args) {
        Ok(()) => 0,
        Err(error) => {
            let dir = args.dir.display();
            tracing::error!("failed to give {dir} to the user {}: {error}", args.user);
            protocol::report::EXIT_TEMPORARY
        }
    }
}

fn give(Own { dir, user }: &Own) -> io::Result<()> {
    if std::fs::metadata(dir)?.uid() == *user {
        return Ok(());
    }
    // As long as it is ours: changing it later takes another capability.
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))?;
    chown(dir, Some(*user), Some(*user))
}

impl Model {
    /// Marks the weights as in use for as long as the file is open.
    ///
    /// # Errors
    /// When they are being removed.
    pub fn hold(&self) -> Result<Option<File>> {
        let held = self.weights_lock.as_ref().map(|lock| {
            let held = cache::hold(lock);
            held.with_context(|| {
                format!(
                    "failed to lock {}; delete the pod to have it fetch the model anew",
                    lock.display()
                )
            })
        });
        held.transpose()
    }

    /// Compares the digest of the weights with the one that they must have, if that is given. When they are
    /// others, whoever prepares them next is told.
    ///
    /// # Errors
    /// See [`digest::verify`].
    pub fn verify(&self) -> Result<Option<String>, PrepareFailure> {
        let found = self.digest.as_ref().map(|digest| digest::verify(&self.path, digest));
        let found = found.transpose();
        if let (Err(failure), Some(note)) = (&found, &self.damage_note)
            && failure.reason == reasons::DIGEST_MISMATCH
            && let Err(error) = File::create(note)
        {
            tracing::warn!("failed to write {}: {error}", note.display());
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn model(args: &[&str]) -> Model {
        let all = ["atelier-worker", "serve", "--served-name", "m"];
        match Cli::parse_from(all.iter().chain(args)).command {
            Command::Serve(serve) => serve.model,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_finds_other_bytes_leaves_a_note() {
        let dir = tempfile::tempdir().unwrap();
        let [file, note] = ["m.gguf", "note"].map(|name| dir.path().join(name));
        std::fs::write(&file, "abc").unwrap();
        let digest = digest::Digest::of_file(&file).unwrap().prefixed();
        let (file_arg, note_arg) = (file.to_str().unwrap(), note.to_str().unwrap());
        let model = model(&["--model", file_arg, "--digest", &digest, "--damage-note", note_arg]);
        assert_eq!(model.verify().unwrap(), Some(digest));
        assert!(!note.exists());
        std::fs::write(&file, "abd").unwrap();
        assert_eq!(model.verify().unwrap_err().reason, reasons::DIGEST_MISMATCH);
        assert!(note.exists());
    }

    #[test]
    fn a_model_in_use_is_locked() {
        let dir = tempfile::tempdir().unwrap();
        let lock = dir.path().join("lock");
        let model = model(&["--model", "m", "--weights-lock", lock.to_str().unwrap()]);
        assert!(format!("{:#}", model.hold().unwrap_err()).contains("delete the pod"));
        let file = File::create(&lock).unwrap();
        let held = model.hold().unwrap();
        assert!(file.try_lock().is_err());
        drop(held);
        file.try_lock().unwrap();
    }

    #[test]
    fn a_directory_that_is_owned_already_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let user = std::fs::metadata(dir.path()).unwrap().uid();
        let args = Own {
            dir: dir.path().to_owned(),
            user,
        };
        assert_eq!(own(&args), 0);
        let missing = Own {
            dir: dir.path().join("none"),
            user,
        };
        assert_ne!(own(&missing), 0);
    }
}
