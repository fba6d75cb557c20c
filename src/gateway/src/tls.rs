//! TLS for callers, with a certificate from files that may be replaced at any time, as those of a Secret are.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use anyhow::{Context, ensure};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::server::Protocol;

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_secs(10);
/// Longest handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A certificate with its key, in PEM.
#[derive(Clone, Debug)]
pub struct Files {
    /// The certificate, followed by those of its issuers.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Speaks TLS with callers.
pub struct Tls {
    files: Files,
    current: RwLock<(Hash, Configs)>,
}

/// Of both files.
type Hash = [u8; 32];

/// One for each protocol that is spoken inside.
#[derive(Clone)]
struct Configs {
    http1: Arc<ServerConfig>,
    http2: Arc<ServerConfig>,
}

impl Tls {
    /// With what the files hold now.
    ///
    /// # Errors
    /// When that is not a certificate with its key.
    pub fn read(files: Files) -> anyhow::Result<Self> {
        let (hash, configs) = read(&files)?;
        Ok(Self {
            files,
            current: RwLock::new((hash, configs)),
        })
    }

    /// Follows the files for ever. What cannot be used is passed over: the last good certificate stands.
    pub async fn follow(&self) {
        loop {
            sleep(INTERVAL).await;
            self.reread();
        }
    }

    /// Takes what the files hold now, if it is new and can be used.
    pub fn reread(&self) {
        let known = self.current.read().unwrap_or_else(PoisonError::into_inner).0;
        match read(&self.files) {
            Ok((hash, _)) if hash == known => {}
            Ok(new) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
                tracing::info!("callers are shown a new certificate");
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(error, "the certificate cannot be used; the last good one stands");
            }
        }
    }

    /// Shakes hands with a caller that will speak `protocol`.
    ///
    /// # Errors
    /// When the caller does not, or not in time.
    pub async fn accept<S>(&self, stream: S, protocol: Protocol) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Configs { http1, http2 } = self.current.read().unwrap_or_else(PoisonError::into_inner).1.clone();
        let config = match protocol {
            Protocol::Http1 => http1,
            Protocol::Http2 => http2,
        };
        timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await?
    }
}

fn read(files: &Files) -> anyhow::Result<(Hash, Configs)> {
    let content = |path: &Path| std::fs::read(path).with_context(|| format!("failed to read {}", path.display()));
    let (chain, key) = (content(&files.certificate)?, content(&files.key)?);
    let mut hash = Sha256::new();
    hash.update((chain.len() as u64).to_be_bytes());
    hash.update(&chain);
    hash.update(&key);
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain)
        .collect::<Result<_, _>>()
        .with_context(|| format!("{} is not in PEM", files.certificate.display()))?;
    ensure!(
        !chain.is_empty(),
        "{} holds no certificate",
        files.certificate.display()
    );
    let key = PrivateKeyDer::from_pem_slice(&key).with_context(|| format!("{} holds no key", files.key.display()))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("the certificate and the key do not belong together")?;
    let speaking = |name: &[u8]| {
        let mut config = config.clone();
        config.alpn_protocols = vec![name.to_vec()];
        Arc::new(config)
    };
    let configs = Configs {
        http1: speaking(b"http/1.1"),
        http2: speaking(b"h2"),
    };
    Ok((hash.finalize().into(), configs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(files: &Files, certificate: &str, key: &str) {
        std::fs::write(&files.certificate, certificate).unwrap();
        std::fs::write(&files.key, key).unwrap();
    }

    fn new() -> (String, String) {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    }

    #[test]
    fn only_a_certificate_with_its_key_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files {
            certificate: dir.path().join("tls.crt"),
            key: dir.path().join("tls.key"),
        };
        let told = || format!("{:#}", Tls::read(files.clone()).err().unwrap());
        assert!(told().contains("failed to read"));
        let (first, second) = (new(), new());
        write(&files, "", &first.1);
        assert!(told().contains("holds no certificate"));
        write(&files, &first.0, "");
        assert!(told().contains("holds no key"));
        write(&files, &first.0, &second.1);
        assert!(told().contains("do not belong together"));

        write(&files, &first.0, &first.1);
        let tls = Tls::read(files.clone()).unwrap();
        let hash = || tls.current.read().unwrap().0;
        let before = hash();
        write(&files, &second.0, &first.1);
        tls.reread();
        assert_eq!(hash(), before, "half of a change is not taken");
        write(&files, &second.0, &second.1);
        tls.reread();
        assert_ne!(hash(), before);
    }
}
