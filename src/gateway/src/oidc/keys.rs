//! The public keys of an issuer, as it publishes them. They change: a key that is not known is asked for, but not more
//! often than now and then, for anybody can name one.

use std::{
    sync::{PoisonError, RwLock},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use reqwest::{Client, Url, redirect};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::sync::Mutex;

use super::settings::{IssuerSettings, is_private};
use crate::cache::Unavailable;

/// How long keys are used before they are asked for again.
const FRESH: Duration = Duration::from_secs(3600);
/// How long they count while the issuer does not answer.
const KEPT_IN_OUTAGE: Duration = Duration::from_secs(24 * 3600);
/// Between two questions.
const PAUSE: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(5);
/// Largest answer of an issuer.
const LARGEST: usize = 1 << 20;

/// The keys of one issuer.
pub struct Keys {
    client: Client,
    issuer: String,
    known: RwLock<Known>,
    /// Held by whoever asks.
    asking: Mutex<()>,
}

#[derive(Default)]
struct Known {
    keys: Vec<Jwk>,
    /// When they were asked for.
    read: Option<Instant>,
    /// When the issuer was asked last, with or without an answer.
    tried: Option<Instant>,
}

/// What an issuer says of itself.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

impl Keys {
    /// Keys of the issuer with these settings. None is asked for yet.
    pub fn new(settings: &IssuerSettings) -> anyhow::Result<Self> {
        let mut client = Client::builder().timeout(PATIENCE).redirect(redirect::Policy::none());
        if let Some(path) = &settings.ca_file {
            let pem = std::fs::read(path).with_context(|| format!("failed to read caFile {}", path.display()))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem);
            let certificates = certificates.with_context(|| format!("failed to parse caFile {}", path.display()))?;
            for certificate in certificates {
                client = client.add_root_certificate(certificate);
            }
        }
        Ok(Self {
            client: client.build().context("failed to set up TLS")?,
            issuer: settings.issuer.clone(),
            known: RwLock::default(),
            asking: Mutex::default(),
        })
    }

    /// The key of that id, or the only one for the algorithm; `None` when the issuer has none.
    ///
    /// # Errors
    /// When the issuer does not tell, and no key is known that still counts.
    pub async fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Result<Option<DecodingKey>, Unavailable> {
        if let Some(key) = self.look(|known| known.key_while(FRESH, id, algorithm)) {
            return Ok(Some(key));
        }
        self.ask(id, algorithm).await;
        self.look(|known| match known.key_while(KEPT_IN_OUTAGE, id, algorithm) {
            Some(key) => Ok(Some(key)),
            None if known.is_answered() => Ok(None),
            None => Err(Unavailable(format!("the keys of {} cannot be read", self.issuer))),
        })
    }

    fn look<T>(&self, ask: impl FnOnce(&Known) -> T) -> T {
        ask(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks the issuer, unless somebody did a moment ago.
    async fn ask(&self, id: Option<&str>, algorithm: Algorithm) {
        let _asking = self.asking.lock().await;
        let is_over = |known: &Known| {
            known.tried.is_some_and(|tried| tried.elapsed() < PAUSE) || known.key_while(FRESH, id, algorithm).is_some()
        };
        if self.look(is_over) {
            return;
        }
        let asked = Instant::now();
        let answer = self.fetch().await;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.tried = Some(asked);
        match answer {
            Ok(keys) => {
                known.keys = keys;
                known.read = Some(asked);
            }
            Err(error) => {
                tracing::warn!(
                    issuer = self.issuer,
                    error = format!("{error:#}"),
                    "failed to read an issuer's keys"
                );
            }
        }
    }

    async fn fetch(&self) -> anyhow::Result<Vec<Jwk>> {
        let base = self.issuer.trim_end_matches('/');
        let discovery: Discovery = self.get(&format!("{base}/.well-known/openid-configuration")).await?;
        ensure!(
            discovery.issuer == self.issuer,
            "the issuer calls itself {:?}: set issuer to that, if it is who you mean",
            discovery.issuer
        );
        let url = Url::parse(&discovery.jwks_uri).context("jwks_uri is no URL")?;
        ensure!(is_private(&url), "jwks_uri does not begin with https://");
        let set: KeySet = self.get(url.as_str()).await?;
        // Kinds of keys that are not known here are for others.
        let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        let keys: Vec<Jwk> = keys.filter(is_for_signatures).collect();
        ensure!(!keys.is_empty(), "{url} has no key for signatures");
        Ok(keys)
    }

    async fn get<T: DeserializeOwned>(&self, url: &str) -> anyhow::Result<T> {
        let read = async {
            let mut response = self.client.get(url).send().await?.error_for_status()?;
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await? {
                body.extend_from_slice(&chunk);
                ensure!(body.len() <= LARGEST, "the answer is longer than {LARGEST} bytes");
            }
            Ok(serde_json::from_slice(&body)?)
        };
        read.await.with_context(|| format!("failed to read {url}"))
    }
}

impl Known {
    /// The key, if it was read less than `age` ago.
    fn key_while(&self, age: Duration, id: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
        self.read.filter(|read| read.elapsed() < age)?;
        choose(&self.keys, id, algorithm)
    }

    /// Whether the issuer said something when it was asked last.
    fn is_answered(&self) -> bool {
        self.read.is_some() && self.read == self.tried
    }
}

fn is_for_signatures(key: &Jwk) -> bool {
    matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature))
}

fn choose(keys: &[Jwk], id: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
    let fits = |key: &&Jwk| {
        let is_named = id.is_none() || key.common.key_id.as_deref() == id;
        is_named && is_of(key, algorithm)
    };
    let mut fitting = keys.iter().filter(fits);
    let key = fitting.next()?;
    // Without a name there must be no choice.
    let is_alone = id.is_some() || fitting.next().is_none();
    is_alone.then(|| DecodingKey::from_jwk(key).ok())?
}

/// Whether a key is one of an algorithm: it must not be used as one of another.
fn is_of(key: &Jwk, algorithm: Algorithm) -> bool {
    use Algorithm as A;
    let stated = key.common.key_algorithm.map(|stated| stated.to_string());
    if stated.is_some_and(|stated| stated != format!("{algorithm:?}")) {
        return false;
    }
    match &key.algorithm {
        AlgorithmParameters::RSA(_) => matches!(
            algorithm,
            A::RS256 | A::RS384 | A::RS512 | A::PS256 | A::PS384 | A::PS512
        ),
        AlgorithmParameters::EllipticCurve(key) => matches!(
            (&key.curve, algorithm),
            (EllipticCurve::P256, A::ES256) | (EllipticCurve::P384, A::ES384)
        ),
        AlgorithmParameters::OctetKeyPair(_) => algorithm == A::EdDSA,
        _ => false,
    }
}
