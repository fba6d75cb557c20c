//! HTTP clients for services that people name in specs, and who may vouch for these.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus::IntCounterVec;
use reqwest::{Certificate, Client, redirect};
use sha2::{Digest, Sha256};

use super::{Guard, KeyName, NoKey, SecretReader};
use crate::cache::{Cache, Unavailable};

/// To open a connection: providers are further away than workers.
const CONNECT: Duration = Duration::from_secs(10);
/// How long certificates are believed in before their Secret is read again.
const TTL: Duration = Duration::from_secs(60);
/// How long it is believed that there are none: somebody is about to mend it.
const MISSING_TTL: Duration = Duration::from_secs(2);
const CACHED: usize = 1024;

/// Clients, one for each Secret with certificates and one without.
pub struct Clients {
    usual: Client,
    guard: Guard,
    reader: Arc<dyn SecretReader>,
    cache: Cache<KeyName, Result<Client, NoKey>>,
    built: Arc<Mutex<HashMap<KeyName, Built>>>,
}

/// A client, and the digest of the certificates that it was built with: it has connections to keep.
type Built = ([u8; 32], Client);

impl Clients {
    /// Clients that go where `guard` lets them, and never where they are redirected. `lookups` counts cache use.
    ///
    /// # Errors
    /// When TLS is not available.
    pub fn new(guard: Guard, reader: Arc<dyn SecretReader>, lookups: IntCounterVec) -> reqwest::Result<Self> {
        Ok(Self {
            usual: build(&guard, Vec::new())?,
            guard,
            reader,
            cache: Cache::new("certificates", CACHED, lookups),
            built: Arc::default(),
        })
    }

    /// Where they may go.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// A client for whom the authorities of `certificates` vouch as well.
    ///
    /// # Errors
    /// Why there are no certificates.
    pub async fn trusting(&self, certificates: Option<&KeyName>) -> Result<Client, NoKey> {
        let Some(name) = certificates else {
            return Ok(self.usual.clone());
        };
        let ask = || {
            let read = self.reader.read_bytes(name);
            let (guard, built, name) = (self.guard.clone(), self.built.clone(), name.clone());
            async move {
                match read.await.and_then(|pem| rebuilt(&guard, &built, name, &pem)) {
                    Ok(client) => Ok((Ok(client), TTL)),
                    Err(NoKey::Unavailable) => Err(Unavailable("the Secret cannot be read".into())),
                    Err(why) => Ok((Err(why), MISSING_TTL)),
                }
            }
        };
        let read = self.cache.get(name.clone(), ask).await;
        read.unwrap_or(Err(NoKey::Unavailable))
    }
}

/// The client that there is already, unless the certificates are others now.
fn rebuilt(guard: &Guard, built: &Mutex<HashMap<KeyName, Built>>, name: KeyName, pem: &[u8]) -> Result<Client, NoKey> {
    let digest = Sha256::digest(pem).into();
    let mut built = built.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, client)) = built.get(&name).filter(|(known, _)| *known == digest) {
        return Ok(client.clone());
    }
    let certificates = Certificate::from_pem_bundle(pem).map_err(|_| NoKey::Malformed)?;
    if certificates.is_empty() {
        return Err(NoKey::Malformed);
    }
    let client = build(guard, certificates).map_err(|_| NoKey::Malformed)?;
    if built.len() >= CACHED {
        built.clear();
    }
    built.insert(name, (digest, client.clone()));
    Ok(client)
}

fn build(guard: &Guard, certificates: Vec<Certificate>) -> reqwest::Result<Client> {
    let builder = Client::builder()
        // A key is for one host, and a redirect may lead where nobody should go.
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT)
        .dns_resolver(Arc::new(guard.clone()))
        .user_agent(concat!("atelier-gateway/", env!("CARGO_PKG_VERSION")));
    let builder = certificates
        .into_iter()
        .fold(builder, reqwest::ClientBuilder::add_root_certificate);
    builder.build()
}
