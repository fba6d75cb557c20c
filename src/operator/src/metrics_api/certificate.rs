//! The server's certificate: made here, and known by the APIService.

use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// How long it is valid.
const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// When the next one is made.
const OLD: Duration = Duration::from_secs(20 * 24 * 3600);
/// Clocks of two machines may differ.
const SKEW: Duration = Duration::from_secs(3600);

/// A certificate that signs itself and can sign no other, and its key.
pub struct Certificate {
    pem: String,
    der: CertificateDer<'static>,
    key: KeyPair,
    made: SystemTime,
}

impl Certificate {
    /// A fresh one for the server `host`.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new(host: &str) -> Result<Self, String> {
        let explain = |error: rcgen::Error| format!("failed to make a certificate for {host}: {error}");
        let made = SystemTime::now();
        let mut params = CertificateParams::new([host.to_owned()]).map_err(explain)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, host);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.not_before = (made - SKEW).into();
        params.not_after = (made + LIFETIME).into();
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(explain)?;
        let certificate = params.self_signed(&key).map_err(explain)?;
        Ok(Self {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            key,
            made,
        })
    }

    /// As the `caBundle` holds it.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// As TLS sends it.
    pub fn der(&self) -> CertificateDer<'static> {
        self.der.clone()
    }

    /// Its key.
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }

    /// Whether it is time for the next one.
    pub fn is_old(&self) -> bool {
        // A clock that was set back tells nothing.
        self.made.elapsed().map_or(true, |age| age > OLD)
    }
}
