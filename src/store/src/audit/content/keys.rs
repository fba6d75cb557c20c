//! Key-encryption keys, and data keys that they wrap.

use std::{collections::BTreeMap, fs, io, path::Path, path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::cipher::{Cipher, KEY, Plain, Secret};

/// Key-encryption keys by their ids. One of them wraps new data keys; the others open old ones.
#[derive(Clone)]
pub struct KeyRing(Arc<Ring>);

struct Ring {
    keys: BTreeMap<String, Cipher>,
    active: String,
}

/// What is wrong with the directory of key-encryption keys. Never with a key.
#[derive(Debug, thiserror::Error)]
pub enum BadKeys {
    /// It cannot be read.
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable {
        /// The file or the directory.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// There is something else in a file.
    #[error("{} does not hold a key: write 32 random bytes in hexadecimal (openssl rand -hex 32)", .0.display())]
    Malformed(PathBuf),
    /// The key that shall wrap new ones is not there.
    #[error("{} holds no key \"{active}\"", dir.display())]
    NoActive {
        /// The directory.
        dir: PathBuf,
        /// The key that should be there.
        active: String,
    },
}

/// Why a data key cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Locked {
    /// Its key-encryption key is not there.
    #[error("it needs the key-encryption key \"{0}\", which is not there")]
    NoKey(String),
    /// It is there by its id only.
    #[error("the key-encryption key \"{0}\" is another one than at that time, or the data key was changed")]
    OtherKey(String),
}

/// A data key as the database has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrappedKey {
    /// Random.
    pub id: String,
    /// Of which models.
    pub namespace: String,
    /// The key-encryption key.
    pub kek: String,
    /// The key, encrypted.
    #[serde(with = "hex")]
    pub wrapped: Vec<u8>,
    /// When it was made, in microseconds since 1970.
    pub made: i64,
}

impl KeyRing {
    /// The keys in the files of a directory, as a Secret is mounted: a file's name is the id of the key in it. New data
    /// keys are wrapped by `active`.
    ///
    /// # Errors
    /// When a file holds anything else, or that key is not there.
    pub fn read(dir: &Path, active: &str) -> Result<Self, BadKeys> {
        let unreadable = |path: &Path, error| BadKeys::Unreadable {
            path: path.into(),
            error,
        };
        let mut keys = BTreeMap::new();
        for entry in fs::read_dir(dir).map_err(|error| unreadable(dir, error))? {
            let path = entry.map_err(|error| unreadable(dir, error))?.path();
            // Kubernetes keeps what it mounts in directories whose names begin with a dot.
            let id = path.file_name().and_then(|name| name.to_str());
            let Some(id) = id.filter(|id| !id.starts_with('.')) else {
                continue;
            };
            let text = fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
            let text = Zeroizing::new(text);
            let mut key = Secret::default();
            if hex::decode_to_slice(text.trim(), &mut *key).is_err() {
                return Err(BadKeys::Malformed(path));
            }
            keys.insert(id.to_owned(), Cipher::new(&key));
        }
        if !keys.contains_key(active) {
            return Err(BadKeys::NoActive {
                dir: dir.into(),
                active: active.into(),
            });
        }
        Ok(Self(Arc::new(Ring {
            keys,
            active: active.into(),
        })))
    }

    /// The id of the key that wraps new data keys.
    pub fn active(&self) -> &str {
        &self.0.active
    }

    /// The ids of all keys.
    pub(super) fn ids(&self) -> Vec<&str> {
        self.0.keys.keys().map(String::as_str).collect()
    }

    /// Wraps a data key of `subject`.
    pub(super) fn wrap(&self, key: &Secret, id: &str, namespace: &str, subject: &str) -> Vec<u8> {
        let active = self.active();
        let mut plain = Plain::new();
        plain.push(&**key);
        self.0.keys[active].seal(plain, &context(id, namespace, subject, active))
    }

    /// Opens a data key of `subject`.
    pub(super) fn unwrap(&self, wrapped: &WrappedKey, subject: &str) -> Result<Secret, Locked> {
        let WrappedKey { id, namespace, kek, .. } = wrapped;
        let cipher = self.0.keys.get(kek).ok_or_else(|| Locked::NoKey(kek.clone()))?;
        let opened = cipher.open(&wrapped.wrapped, &context(id, namespace, subject, kek));
        let opened = opened.filter(|key| key.len() == KEY);
        let opened = opened.ok_or_else(|| Locked::OtherKey(kek.clone()))?;
        let mut key = Secret::default();
        key.copy_from_slice(&opened);
        Ok(key)
    }
}

/// A wrapped key is nobody else's.
fn context<'a>(id: &'a str, namespace: &'a str, subject: &'a str, kek: &'a str) -> [&'a str; 5] {
    ["data key", id, namespace, subject, kek]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    #[test]
    fn a_directory_is_read_as_secrets_are_mounted() {
        let (old, new) = ("0a".repeat(32), "0b".repeat(32) + "\n");
        let dir = dir(&[("old", &old), ("new", &new), ("..2026_11", "no key")]);
        fs::create_dir(dir.path().join("..data")).unwrap();
        let keys = KeyRing::read(dir.path(), "new").unwrap();
        assert_eq!((keys.active(), keys.ids()), ("new", vec!["new", "old"]));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_key() {
        let good = "0a".repeat(32);
        let too_short = &good[2..];
        for text in [too_short, "", "secret"] {
            let dir = dir(&[("good", &good), ("bad", text)]);
            let error = KeyRing::read(dir.path(), "good").err().unwrap();
            assert!(matches!(error, BadKeys::Malformed(_)), "{error}");
            let error = error.to_string();
            assert!(
                error.contains("/bad") && !error.contains("0a0a") && !error.contains("secret"),
                "{error}"
            );
        }
        let dir = dir(&[("good", &good)]);
        let error = KeyRing::read(dir.path(), "other").err().unwrap().to_string();
        assert!(error.contains("no key \"other\""), "{error}");
        assert!(KeyRing::read(Path::new("/nowhere"), "x").is_err());
    }

    #[test]
    fn a_data_key_is_nobody_elses() {
        let dir = dir(&[("a", &"0a".repeat(32)), ("b", &"0b".repeat(32))]);
        let keys = KeyRing::read(dir.path(), "a").unwrap();
        let key = super::super::cipher::random_key();
        let wrapped = WrappedKey {
            id: "1".into(),
            namespace: "ns".into(),
            kek: "a".into(),
            wrapped: keys.wrap(&key, "1", "ns", "jane"),
            made: 0,
        };
        assert_eq!(keys.unwrap(&wrapped, "jane").unwrap(), key);
        let other = |change: fn(&mut WrappedKey)| {
            let mut other = wrapped.clone();
            change(&mut other);
            keys.unwrap(&other, "jane").unwrap_err()
        };
        assert_eq!(keys.unwrap(&wrapped, "joe").unwrap_err(), Locked::OtherKey("a".into()));
        assert_eq!(other(|key| key.id.push('1')), Locked::OtherKey("a".into()));
        assert_eq!(other(|key| key.namespace.clear()), Locked::OtherKey("a".into()));
        assert_eq!(other(|key| key.wrapped.truncate(20)), Locked::OtherKey("a".into()));
        assert_eq!(other(|key| key.kek = "b".into()), Locked::OtherKey("b".into()));
        assert_eq!(other(|key| key.kek = "c".into()), Locked::NoKey("c".into()));
    }
}
