//! What is in a source, before anything of it is read.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use protocol::quarantine::Reason;
use protocol::tune::Stages;
use sha2::{Digest as _, Sha256};

use super::acl::Rights;
use crate::documents::Refused;
use crate::stages::Cleaner;

/// Bytes of a document's name.
const MAX_NAME: usize = 2048;
/// Bytes of a file that is too large that tell it from others.
const HEAD: u64 = 1 << 20;
const BUFFER: usize = 1 << 17;

/// A document of a source.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its name, unique in its source.
    pub name: String,
    /// What its file is called, for what it is.
    pub file: String,
    /// What its server says it is.
    pub media_type: Option<String>,
    /// Where it came from.
    pub origin: Option<String>,
    /// What it is about, for the model that embeds.
    pub about: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hex.
    pub digest: String,
    /// Who may see it.
    pub rights: Rights,
    /// Where its bytes are.
    pub content: Content,
    /// Why it is set aside, whatever it says.
    pub refused: Option<Refused>,
}

/// Where bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// In a file.
    File(PathBuf),
    /// At the gateway.
    Upload(i64),
}

/// The digest of a file and its size. Of one larger than `most`, its beginning and its size count.
///
/// # Errors
/// When it cannot be read.
pub fn digest(path: &Path, most: u64) -> io::Result<(String, u64)> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut sum = Sha256::new();
    if size > most {
        sum.update(size.to_le_bytes());
    }
    let mut reader = file.take(if size > most { HEAD } else { most.saturating_add(1) });
    let mut buffer = vec![0; BUFFER];
    let mut read = 0;
    loop {
        match reader.read(&mut buffer)? {
            0 => break,
            count => {
                sum.update(&buffer[..count]);
                read += count as u64;
            }
        }
    }
    Ok((hex::encode(sum.finalize()), if size > most { size } else { read }))
}

/// Names that can be kept, told apart and looked at: without characters that nobody sees, so that none looks like another
/// one. Of those that would be the same, all but the one that is written so have a part of their digest behind them.
#[derive(Debug)]
pub struct Names {
    cleaner: Cleaner,
    /// Names so far.
    taken: HashSet<String>,
}

impl Default for Names {
    fn default() -> Self {
        let stages = Stages {
            normalize_unicode: true,
            ..Stages::default()
        };
        Self {
            cleaner: Cleaner::new(&stages).expect("these stages make sense"),
            taken: HashSet::new(),
        }
    }
}

impl Names {
    /// The name for one that is written so; `identity` tells it from those that are written alike where bytes are no
    /// text.
    ///
    /// # Errors
    /// When it is too long, or says nothing.
    pub fn of(&mut self, written: &str, identity: &[u8]) -> Result<String, Refused> {
        let clean = self.cleaner.clean(written).replace(['\n', '\t'], " ");
        let mut name = clean.trim().to_owned();
        let is_changed = name != written || written.contains(char::REPLACEMENT_CHARACTER);
        if is_changed || self.taken.contains(&name) {
            let digest = hex::encode(&Sha256::digest(identity)[..4]);
            name = format!("{name} ({digest})");
        }
        if clean.trim().is_empty() || name.len() > MAX_NAME {
            let what = format!(
                "has a name of {} bytes, of which {MAX_NAME} can be kept, and some that are seen",
                written.len()
            );
            return Err(Refused {
                reason: Reason::InvalidName,
                detail: what,
            });
        }
        self.taken.insert(name.clone());
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_of_the_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "abc").unwrap();
        let (found, bytes) = digest(&path, 3).unwrap();
        assert_eq!((found, bytes), (hex::encode(Sha256::digest("abc")), 3));
        let (large, bytes) = digest(&path, 2).unwrap();
        assert!(bytes == 3 && large != hex::encode(Sha256::digest("abc")));
    }

    #[test]
    fn names_that_look_alike_are_told_apart() {
        let mut names = Names::default();
        let mut of = |name: &str| names.of(name, name.as_bytes());
        assert_eq!(of("plan.pdf").unwrap(), "plan.pdf");
        let other = of("pl\u{200b}an.pdf").unwrap();
        assert!(
            other.starts_with("plan.pdf (") && other.len() == "plan.pdf (01234567)".len(),
            "{other}"
        );
        assert!(of("\u{202e}\u{200b}").is_err());
        assert!(of(&"x".repeat(3000)).is_err());
        let broken = names.of("a\u{fffd}.pdf", b"a\xff.pdf").unwrap();
        assert_ne!(broken, names.of("a\u{fffd}.pdf", b"a\xfe.pdf").unwrap());
        // The same again, as long as it is written so.
        let name = "pl\u{200b}an.pdf";
        assert_eq!(Names::default().of(name, name.as_bytes()).unwrap(), other);
    }
}
