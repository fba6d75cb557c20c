//! What encrypts, and the data keys that it has made.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    cipher::{Cipher, Plain, random_key},
    keys::{KeyRing, WrappedKey},
};
use crate::audit::{chain::now, log::lock};

/// A data key is used for as long. What is asked with one that was erased meanwhile is not kept.
pub const LIFETIME: Duration = Duration::from_secs(600);
/// Data keys in memory at once.
const MOST_KEYS: usize = 10_000;
const KIB: usize = 1024;

/// Bounds on content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest request and the longest answer in bytes; what is longer is kept up to there.
    pub longest: usize,
    /// All that is on its way to the database, in bytes.
    pub memory: usize,
}

/// Encrypts what is asked and answered.
pub struct Vault {
    keys: KeyRing,
    longest: usize,
    /// Counts KiB, since a semaphore takes 32-bit numbers.
    memory: Arc<Semaphore>,
    made: Mutex<Made>,
}

struct Made {
    keys: HashMap<(String, String), Arc<DataKey>>,
    swept: Instant,
}

struct DataKey {
    cipher: Cipher,
    wrapped: WrappedKey,
    until: Instant,
}

/// Content as the database has it, and the data key that opens it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The data key.
    pub key: WrappedKey,
    /// The content, encrypted.
    #[serde(with = "hex")]
    pub bytes: Vec<u8>,
}

impl Vault {
    /// Wraps its data keys by `keys`.
    pub fn new(keys: KeyRing, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            keys,
            longest: limits.longest,
            memory: Arc::new(Semaphore::new(limits.memory / KIB)),
            made: Mutex::new(Made {
                keys: HashMap::new(),
                swept: Instant::now(),
            }),
        })
    }

    /// What `subject` does at the models of `namespace` is encrypted by this.
    fn data_key(&self, namespace: &str, subject: &str) -> Arc<DataKey> {
        let at = Instant::now();
        let mut made = lock(&self.made);
        let whose = (namespace.to_owned(), subject.to_owned());
        if let Some(key) = made.keys.get(&whose).filter(|key| at < key.until) {
            return key.clone();
        }
        if made.keys.len() >= MOST_KEYS || at >= made.swept + LIFETIME {
            made.swept = at;
            made.keys.retain(|_, key| at < key.until);
        }
        if made.keys.len() >= MOST_KEYS {
            // They are made again.
            made.keys.clear();
        }
        let secret = random_key();
        let id = format!("{:032x}", rand::random::<u128>());
        let key = Arc::new(DataKey {
            cipher: Cipher::new(&secret),
            wrapped: WrappedKey {
                namespace: namespace.into(),
                kek: self.keys.active().into(),
                wrapped: self.keys.wrap(&secret, &id, namespace, subject),
                made: now(),
                id,
            },
            until: at + LIFETIME,
        });
        made.keys.insert(whose, key.clone());
        key
    }
}

/// What is asked or answered, while it is gathered.
pub struct Content {
    vault: Arc<Vault>,
    namespace: String,
    plain: Plain,
    is_cut: bool,
    room: Option<OwnedSemaphorePermit>,
}

/// There is no memory left for it.
#[derive(Debug)]
pub struct Full;

impl Content {
    /// Nothing yet, of a model of `namespace`.
    pub fn new(vault: Arc<Vault>, namespace: &str) -> Self {
        Self {
            vault,
            namespace: namespace.into(),
            plain: Plain::new(),
            is_cut: false,
            room: None,
        }
    }

    /// All of `text`, as far as content may be that long.
    ///
    /// # Errors
    /// When there is no room for it in memory.
    pub fn whole(vault: Arc<Vault>, namespace: &str, text: &[u8]) -> Result<Self, Full> {
        let mut content = Self::new(vault, namespace);
        content.push(text);
        match content.plain.text().len() == text.len().min(content.vault.longest) {
            true => Ok(content),
            false => Err(Full),
        }
    }

    /// Adds to its end what there is room for. Behind a gap nothing is added.
    pub fn push(&mut self, text: &[u8]) {
        if self.is_cut {
            return;
        }
        let had = self.plain.text().len();
        let fits = &text[..text.len().min(self.vault.longest - had)];
        self.is_cut = fits.len() < text.len();
        let held = self.room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = (had + fits.len()).div_ceil(KIB) - held;
        if missing > 0 {
            let missing = u32::try_from(missing).unwrap_or(u32::MAX);
            match (
                self.vault.memory.clone().try_acquire_many_owned(missing),
                &mut self.room,
            ) {
                (Ok(more), Some(room)) => room.merge(more),
                (Ok(more), room @ None) => *room = Some(more),
                (Err(_), _) => {
                    self.is_cut = true;
                    return;
                }
            }
        }
        self.plain.push(fits);
    }

    /// Whether there is anything.
    pub fn is_empty(&self) -> bool {
        self.plain.text().is_empty()
    }

    /// Whether something is missing at its end.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Encrypts for `subject` what is kept beside the trail. Its room in memory is free from then on.
    pub(crate) fn seal_for(self, kind: &str, request: &str, subject: &str) -> Sealed {
        self.seal(kind, request, subject).0
    }

    /// Encrypts it for `subject`. It opens with the same `kind` and `request` only.
    pub(in crate::audit) fn seal(
        self,
        kind: &str,
        request: &str,
        subject: &str,
    ) -> (Sealed, Option<OwnedSemaphorePermit>) {
        let key = self.vault.data_key(&self.namespace, subject);
        let bytes = key.cipher.seal(self.plain, &context(&key.wrapped.id, kind, request));
        let key = key.wrapped.clone();
        (Sealed { key, bytes }, self.room)
    }
}

/// The row's place is not known yet: its kind and its request stand for it here, and the row has the content's hash.
pub(super) fn context<'a>(key: &'a str, kind: &'a str, request: &'a str) -> [&'a str; 4] {
    ["content", key, kind, request]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(longest: usize, memory: usize) -> Arc<Vault> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("k"), "0a".repeat(32)).unwrap();
        let keys = KeyRing::read(dir.path(), "k").unwrap();
        Vault::new(keys, Limits { longest, memory })
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let vault = vault(10, 4096);
        let content = Content::whole(vault.clone(), "ns", b"0123456789").unwrap();
        assert!(!content.is_cut() && content.plain.text() == b"0123456789");
        let content = Content::whole(vault.clone(), "ns", b"0123456789x").unwrap();
        assert!(content.is_cut() && content.plain.text() == b"0123456789");
        let mut content = Content::new(vault, "ns");
        assert!(content.is_empty());
        for piece in [&b"0123"[..], b"4567", b"89x", b"y"] {
            content.push(piece);
        }
        assert!(content.is_cut() && content.plain.text() == b"0123456789");
    }

    #[test]
    fn memory_is_bounded_and_given_back() {
        let vault = vault(1 << 20, 4 * KIB);
        let three = Content::whole(vault.clone(), "ns", &[0; 3 * KIB]).unwrap();
        assert!(Content::whole(vault.clone(), "ns", &[0; 2 * KIB]).is_err());
        let mut answer = Content::new(vault.clone(), "ns");
        answer.push(&[0; KIB]);
        assert!(!answer.is_cut());
        answer.push(&[0; 1]);
        assert!(answer.is_cut() && answer.plain.text().len() == KIB);
        let (_, room) = three.seal("opened", "r", "jane");
        assert_eq!(vault.memory.available_permits(), 0);
        drop((room, answer));
        assert_eq!(vault.memory.available_permits(), 4);
    }

    #[test]
    fn each_user_of_each_namespace_has_a_key_of_its_own() {
        let vault = vault(10, 4096);
        let id = |namespace: &str, subject: &str| vault.data_key(namespace, subject).wrapped.id.clone();
        assert_eq!(id("a", "jane"), id("a", "jane"));
        assert_ne!(id("a", "jane"), id("b", "jane"));
        assert_ne!(id("a", "jane"), id("a", "joe"));
    }
}
