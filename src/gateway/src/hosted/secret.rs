//! A provider's key in memory.

use std::fmt;

use axum::http::HeaderValue;
use sha2::{Digest, Sha256};

/// A key. Nothing prints it: it leaves by [`Self::header`] and [`Self::expose`] alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The key in `bytes`, but for blanks and line ends around it; `None` when no header could carry it.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let key = std::str::from_utf8(bytes).ok()?.trim();
        let fits = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(key.into()))
    }

    /// The key after `prefix`, for a header that is not printed either.
    pub fn header(&self, prefix: &str) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("{prefix}{}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// The key, to find it in what must not hold it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Enough to tell two keys apart.
        let digest = Sha256::digest(self.0.as_bytes());
        write!(formatter, "Secret({}...)", hex::encode(&digest[..4]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_not_printed() {
        let secret = Secret::new(b"sk-very-secret\n").unwrap();
        assert_eq!(secret.expose(), "sk-very-secret");
        let header = secret.header("Bearer ").unwrap();
        assert_eq!(header, "Bearer sk-very-secret");
        let printed = format!("{secret:?} {header:?} {:?}", (Some(&secret), [&header]));
        assert!(!printed.contains("very"), "{printed}");
    }

    #[test]
    fn what_no_header_carries_is_no_key() {
        for bytes in [&b""[..], b" \n", b"a b", "ключ".as_bytes(), b"\xff"] {
            assert_eq!(Secret::new(bytes), None, "{bytes:?}");
        }
    }
}
