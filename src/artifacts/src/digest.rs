//! SHA-256 digests of files.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;

use protocol::PrepareFailure;
use protocol::report::reasons;
use sha2::{Digest as _, Sha256};

const PREFIX: &str = "sha256:";
const BUFFER_BYTES: usize = 1 << 20;

/// A SHA-256 digest. Reads `sha256:HEX` and bare `HEX`; displays as bare lower-case hex digits, as
/// `sha256sum` prints them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

/// A text that is no SHA-256 digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no SHA-256 digest; give 64 hex digits, as sha256sum prints them")]
pub struct InvalidDigest(String);

impl Digest {
    /// The digest in the form of reports: `sha256:` and 64 lower-case hex digits.
    pub fn prefixed(&self) -> String {
        format!("{PREFIX}{self}")
    }

    /// Reads everything and digests it.
    ///
    /// # Errors
    /// When reading fails.
    pub fn of(mut reader: impl Read) -> io::Result<Self> {
        let (hasher, _) = absorb(&mut reader)?;
        Ok(hasher.into())
    }

    /// Digests the model at `path`. That of a GGUF file is the SHA-256 of its bytes, as `sha256sum`
    /// prints it. That of a directory of safetensors files is the SHA-256 of the lines that
    /// `sha256sum` would give for the files that make up the model, turned around and sorted:
    /// `<name> <sha256>` and a line feed for each, with names relative to the directory. Those files
    /// are what [`checkpoint::Files`] lists: weights, index, settings and tokenizer, and nothing that
    /// changes no answer, such as a README.
    ///
    /// # Errors
    /// When a file cannot be opened or read.
    pub fn of_model(path: &Path) -> Result<Self, PrepareFailure> {
        if !checkpoint::is_safetensors(path) {
            return Self::of_file(path);
        }
        let files = checkpoint::Files::of(path).map_err(crate::facts::of_checkpoint)?;
        let mut lines = Vec::new();
        for name in &files.names {
            lines.push(format!("{name} {}\n", Self::of_file(&files.dir.join(name))?));
        }
        lines.sort();
        let mut hasher = Sha256::new();
        lines.iter().for_each(|line| hasher.update(line));
        Ok(hasher.into())
    }

    /// Digests the file at `path`.
    ///
    /// # Errors
    /// When it cannot be opened or read.
    pub fn of_file(path: &Path) -> Result<Self, PrepareFailure> {
        File::open(path)
            .and_then(Self::of)
            .map_err(|error| unreadable(path, &error))
    }
}

/// Reads everything; returns the running hash and the number of bytes.
pub(crate) fn absorb(reader: &mut impl Read) -> io::Result<(Sha256, u64)> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut length = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok((hasher, length)),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                length += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl From<Sha256> for Digest {
    fn from(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix(PREFIX).unwrap_or(text);
        let mut bytes = [0; 32];
        match hex::decode_to_slice(digits, &mut bytes) {
            Ok(()) => Ok(Self(bytes)),
            Err(_) => Err(InvalidDigest(text.chars().take(80).collect())),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Compares a model's SHA-256 (see [`Digest::of_model`]) with the one that it must have (`sha256:HEX`
/// or bare `HEX`) and returns it as `sha256:HEX`. Blocks for as long as reading the files takes.
///
/// # Errors
/// When `expected` is no digest, the file cannot be read, or its digest is another one.
pub fn verify(path: &Path, expected: &str) -> Result<String, PrepareFailure> {
    let expected: Digest = expected
        .parse()
        .map_err(|error: InvalidDigest| PrepareFailure::new(reasons::INTERNAL, error.to_string(), false))?;
    let found = Digest::of_model(path)?;
    if found == expected {
        return Ok(found.prefixed());
    }
    Err(PrepareFailure::new(
        reasons::DIGEST_MISMATCH,
        format!(
            "failed to verify {}: expected sha256 {expected}, the file has sha256 {found}; \
             restore it, or pin the new digest if the change is wanted",
            path.display()
        ),
        false,
    ))
}

/// The failure of a file that cannot be read.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> PrepareFailure {
    let (reason, advice, retryable) = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            (reasons::FILE_NOT_FOUND, "check the path in the source", false)
        }
        io::ErrorKind::IsADirectory => (reasons::FILE_NOT_FOUND, "name a file inside it", false),
        io::ErrorKind::PermissionDenied => (reasons::INTERNAL, "make it readable for the worker's user", false),
        _ => (reasons::INTERNAL, "check the volume that holds it", true),
    };
    PrepareFailure::new(
        reason,
        format!("failed to read {}: {error}; {advice}", path.display()),
        retryable,
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// FIPS 180-2, appendix B.1.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn abc() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        (dir, path)
    }

    #[rstest]
    #[case(ABC.to_owned())]
    #[case(format!("sha256:{ABC}"))]
    #[case(ABC.to_uppercase())]
    fn a_file_with_the_expected_digest_passes(#[case] expected: String) {
        let (_dir, path) = abc();
        assert_eq!(verify(&path, &expected).unwrap(), format!("sha256:{ABC}"));
    }

    #[test]
    fn a_mismatch_names_both_digests_and_the_file() {
        let (_dir, path) = abc();
        let wrong = "0".repeat(64);
        let failure = verify(&path, &wrong).unwrap_err();
        assert_eq!(
            (failure.reason.as_str(), failure.retryable),
            (reasons::DIGEST_MISMATCH, false)
        );
        for part in [ABC, &wrong, path.to_str().unwrap()] {
            assert!(failure.message.contains(part), "{failure}");
        }
    }

    #[rstest]
    #[case("")]
    #[case("sha256:")]
    #[case("md5:00")]
    #[case(&ABC[1..])]
    #[case(&format!("{ABC}0"))]
    fn what_is_no_digest_is_refused(#[case] text: &str) {
        assert!(text.parse::<Digest>().is_err());
    }

    #[test]
    fn a_missing_file_and_a_directory_are_told() {
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path().join("none"), dir.path().to_owned()] {
            let failure = verify(&path, ABC).unwrap_err();
            assert_eq!(failure.reason, reasons::FILE_NOT_FOUND, "{failure}");
        }
    }
}
