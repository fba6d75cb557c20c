//! What was made before.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Store, write_whole};
use crate::Error;

/// A result that was measured, and may have been refused by a stricter limit than today's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Made {
    /// 64 hex digits.
    pub digest: String,
    pub bytes: u64,
    /// Perplexities as text: JSON has no exact numbers.
    pub before: String,
    pub after: String,
}

impl Made {
    /// The perplexities.
    pub fn perplexities(&self) -> (f64, f64) {
        let number = |text: &str| text.parse().unwrap_or(f64::NAN);
        (number(&self.before), number(&self.after))
    }
}

impl Store {
    /// The result of this key, if its file is there and unchanged.
    pub fn made(&self, key: &str) -> Option<Made> {
        let text = std::fs::read(self.made_path(key)).ok()?;
        let made: Made = serde_json::from_slice(&text).ok()?;
        let file = self.dir.join(Self::file(&made.digest));
        let found = artifacts::digest::Digest::of_file(&file).ok()?;
        (found.to_string() == made.digest).then_some(made)
    }

    /// Remembers the result of a key.
    pub fn remember(&self, key: &str, made: &Made) -> Result<(), Error> {
        let text = serde_json::to_vec(made).unwrap_or_default();
        write_whole(&self.made_path(key), &text)
    }

    fn made_path(&self, key: &str) -> PathBuf {
        self.dir.join(format!(".made-{key}.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_result_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let digest = artifacts::digest::Digest::of(&b"weights"[..]).unwrap().to_string();
        let made = Made {
            digest: digest.clone(),
            bytes: 7,
            before: "1.5".into(),
            after: "NaN".into(),
        };
        store.remember("k", &made).unwrap();
        assert_eq!(store.made("k"), None);
        let file = dir.path().join(Store::file(&digest));
        std::fs::create_dir(file.parent().unwrap()).unwrap();
        std::fs::write(&file, b"weights").unwrap();
        assert_eq!(store.made("k"), Some(made.clone()));
        assert!(made.perplexities().0 == 1.5 && made.perplexities().1.is_nan());
        std::fs::write(&file, b"damaged").unwrap();
        assert_eq!(store.made("k"), None);
    }
}
