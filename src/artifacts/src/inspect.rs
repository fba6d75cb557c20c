//! `atelier-worker inspect`: explains a model.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use protocol::{PrepareFailure, PrepareReport};

use crate::digest::Digest;
use crate::facts;

/// Arguments of `inspect`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The model: a GGUF file, or a directory of safetensors files.
    #[arg(env = "ATELIER_FILE")]
    pub file: PathBuf,
}

/// Prints the facts of a file as JSON on standard output, or what is wrong with it on standard
/// error. Returns the process's exit code.
pub fn run(args: Args) -> i32 {
    match report(&args.file) {
        Ok(report) => {
            let text = serde_json::to_string_pretty(&report).expect("a report has text keys only");
            // A reader that hung up (`| head`) has what it wanted.
            let _ = writeln!(std::io::stdout(), "{text}");
            0
        }
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "{failure}");
            failure.exit_code()
        }
    }
}

fn report(path: &Path) -> Result<PrepareReport, PrepareFailure> {
    let (model, bytes) = facts::of_path(path)?;
    Ok(PrepareReport {
        digest: Digest::of_model(path)?.prefixed(),
        bytes,
        file: path.display().to_string(),
        revision: None,
        model,
        compression: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tiny_model;

    #[test]
    fn a_file_is_explained() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.gguf");
        let bytes = tiny_model();
        std::fs::write(&path, &bytes).unwrap();
        let report = report(&path).unwrap();
        assert_eq!(report.bytes, bytes.len() as u64);
        assert_eq!(report.digest, Digest::of(bytes.as_slice()).unwrap().prefixed());
        assert_eq!(report.model.architecture, "llama");
        assert_eq!(run(Args { file: path }), 0);
    }

    #[test]
    fn a_file_that_is_no_model_gives_the_permanent_code() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.gguf");
        std::fs::write(&path, "no model at all").unwrap();
        assert_eq!(run(Args { file: path }), protocol::report::EXIT_PERMANENT);
    }
}
