//! AES-256-GCM, with its nonce before what it encrypts.

use rand::{TryRngCore, rngs::OsRng};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

/// Bytes of a key.
pub const KEY: usize = 32;

/// Goes before what is authenticated, so that nothing of ours is anything elsewhere.
const DOMAIN: &str = "atelier.dev/audit/content/v1";
const VALID: &str = "the length is that of the algorithm";

/// A key in memory that is overwritten when it goes.
pub type Secret = Zeroizing<[u8; KEY]>;

/// What encrypts and decrypts with one key.
pub struct Cipher(LessSafeKey);

/// A text on its way to be encrypted where it lies, with room for the nonce.
pub struct Plain(Vec<u8>);

impl Plain {
    /// Nothing yet.
    pub fn new() -> Self {
        Self(vec![0; NONCE_LEN])
    }

    /// The text.
    pub fn text(&self) -> &[u8] {
        self.0.get(NONCE_LEN..).unwrap_or_default()
    }

    /// Adds to its end.
    pub fn push(&mut self, text: &[u8]) {
        self.0.extend_from_slice(text);
    }
}

impl Cipher {
    /// With this key.
    pub fn new(key: &Secret) -> Self {
        Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &**key).expect(VALID)))
    }

    /// Encrypts. It can be opened with the same `context` only.
    pub fn seal(&self, plain: Plain, context: &[&str]) -> Vec<u8> {
        let mut sealed = plain.0;
        // Random ones do: a key is used for far less than 2^32 texts.
        let nonce: [u8; NONCE_LEN] = rand::random();
        let (head, text) = sealed.split_at_mut(NONCE_LEN);
        head.copy_from_slice(&nonce);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, encode(context), text);
        // It fails from 64 GiB on.
        sealed.extend_from_slice(tag.expect("texts are bounded").as_ref());
        sealed
    }

    /// Decrypts. `None` if it is not what [`Self::seal`] made with this key and `context`.
    pub fn open(&self, sealed: &[u8], context: &[&str]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = Zeroizing::new(text.to_vec());
        let length = self.0.open_in_place(nonce, encode(context), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

/// A new key.
pub fn random_key() -> Secret {
    let mut key = Secret::default();
    OsRng
        .try_fill_bytes(&mut *key)
        .expect("the kernel has randomness by the time processes run");
    key
}

/// Each part with its length before it, so that no two contexts share an encoding.
fn encode(context: &[&str]) -> Aad<Vec<u8>> {
    let mut encoded = DOMAIN.as_bytes().to_vec();
    for part in context {
        encoded.extend_from_slice(&(part.len() as u64).to_be_bytes());
        encoded.extend_from_slice(part.as_bytes());
    }
    Aad::from(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(cipher: &Cipher, text: &[u8]) -> Vec<u8> {
        let mut plain = Plain::new();
        plain.push(text);
        assert_eq!(plain.text(), text);
        cipher.seal(plain, &["ab", "c"])
    }

    #[test]
    fn it_opens_with_its_key_and_its_context_only() {
        let cipher = Cipher::new(&random_key());
        for text in [&b""[..], b"a secret"] {
            let sealed = sealed(&cipher, text);
            assert!(!sealed.windows(6).any(|bytes| bytes == b"secret"));
            assert_eq!(&**cipher.open(&sealed, &["ab", "c"]).unwrap(), text);
            assert!(cipher.open(&sealed, &["a", "bc"]).is_none());
            assert!(Cipher::new(&random_key()).open(&sealed, &["ab", "c"]).is_none());
            for i in 0..sealed.len() {
                let mut other = sealed.clone();
                other[i] ^= 1;
                assert!(cipher.open(&other, &["ab", "c"]).is_none(), "byte {i}");
                assert!(cipher.open(&sealed[..i], &["ab", "c"]).is_none(), "{i} bytes");
            }
        }
    }

    #[test]
    fn the_same_text_is_never_encrypted_to_the_same() {
        let cipher = Cipher::new(&random_key());
        assert_ne!(sealed(&cipher, b"x"), sealed(&cipher, b"x"));
    }
}
