//! Keys that name a build by what went into it.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest as _, Sha256};

/// Hex digits of a key: enough to never meet by chance in one cache, short enough to read.
const KEY_LENGTH: usize = 12;

/// SHA-256 of a file in lower-case hex.
pub fn file(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file
            .read(&mut buffer)
            .with_context(|| format!("failed to read {}", path.display()))?;
        if read == 0 {
            return Ok(hex::encode(hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
    }
}

/// The key of named parts. Order, names and contents all count.
pub fn key<'a>(parts: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut hasher = Sha256::new();
    for (name, content) in parts {
        for text in [name, content] {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
    }
    let mut key = hex::encode(hasher.finalize());
    key.truncate(KEY_LENGTH);
    key
}

/// The key of all files below a directory: their relative paths and contents.
pub fn tree(dir: &Path) -> Result<String> {
    let mut parts = Vec::new();
    for path in files(dir)? {
        let name = path
            .strip_prefix(dir)
            .expect("files lie below the directory")
            .to_string_lossy()
            .into_owned();
        parts.push((name, file(&path)?));
    }
    Ok(key(parts.iter().map(|(name, digest)| (name.as_str(), digest.as_str()))))
}

/// All regular files below a directory, sorted by path.
pub fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        let entries = std::fs::read_dir(&dir).with_context(|| format!("failed to list {}", dir.display()))?;
        for entry in entries {
            let path = entry
                .with_context(|| format!("failed to list {}", dir.display()))?
                .path();
            if path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_depends_on_names_contents_and_where_one_ends() {
        let base = key([("a", "bc")]);
        assert_eq!(base.len(), KEY_LENGTH);
        for other in [
            key([("ab", "c")]),
            key([("a", "bd")]),
            key([("b", "bc")]),
            key([("a", "bc"), ("", "")]),
        ] {
            assert_ne!(base, other);
        }
        assert_eq!(base, key([("a", "bc")]));
    }

    #[test]
    fn a_tree_changes_with_any_file() {
        let dir = tempfile::tempdir().unwrap();
        let sub = dir.path().join("sub");
        std::fs::create_dir(&sub).unwrap();
        std::fs::write(sub.join("one"), "1").unwrap();
        let before = tree(dir.path()).unwrap();
        assert_eq!(before, tree(dir.path()).unwrap());
        std::fs::write(sub.join("one"), "2").unwrap();
        let changed = tree(dir.path()).unwrap();
        std::fs::rename(sub.join("one"), sub.join("two")).unwrap();
        assert_ne!(before, changed);
        assert_ne!(changed, tree(dir.path()).unwrap());
    }

    #[test]
    fn the_digest_of_a_file_is_its_sha256() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "abc").unwrap();
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(file(&path).unwrap(), expected);
    }
}
