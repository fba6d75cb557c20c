//! Keys of providers, from Secrets of the namespaces of their models.

use std::{sync::Arc, time::Duration};

use api::common::SecretKeyRef;
use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::api::core::v1;
use kube::{Api, Client};
use prometheus::IntCounterVec;
use tokio::time::timeout;

use super::Secret;
use crate::cache::{Cache, Unavailable};

/// How long a key is used before its Secret is read again.
const TTL: Duration = Duration::from_secs(60);
/// How long it is believed that there is none: somebody is about to mend it.
const MISSING_TTL: Duration = Duration::from_secs(2);
const READ_TIMEOUT: Duration = Duration::from_secs(5);
const CACHED_KEYS: usize = 4096;

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoKey {
    /// The gateway may not read it.
    Forbidden,
    /// The Secret does not exist.
    NoSecret,
    /// The Secret does not have that key.
    NoEntry,
    /// What is there is no key.
    Malformed,
    /// The API server does not tell.
    Unavailable,
}

/// One key of a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyName {
    /// Namespace of the Secret.
    pub namespace: String,
    /// Its name.
    pub secret: String,
    /// The key inside it.
    pub key: String,
}

impl KeyName {
    /// What a model of `namespace` refers to.
    pub fn new(namespace: &str, reference: &SecretKeyRef) -> Self {
        Self {
            namespace: namespace.into(),
            secret: reference.name.clone(),
            key: reference.key.clone(),
        }
    }
}

/// Reads keys.
pub trait SecretReader: Send + Sync + 'static {
    /// The key of that name, or why there is none.
    fn read(&self, name: &KeyName) -> BoxFuture<'static, Result<Secret, NoKey>>;
}

/// [`SecretReader`] by the Kubernetes API server.
pub struct KubeSecrets(pub Client);

impl SecretReader for KubeSecrets {
    fn read(&self, name: &KeyName) -> BoxFuture<'static, Result<Secret, NoKey>> {
        let api = Api::<v1::Secret>::namespaced(self.0.clone(), &name.namespace);
        let name = name.clone();
        async move {
            let secret = match timeout(READ_TIMEOUT, api.get(&name.secret)).await {
                Ok(Ok(secret)) => secret,
                Ok(Err(kube::Error::Api(status))) if status.code == 403 => return Err(NoKey::Forbidden),
                Ok(Err(kube::Error::Api(status))) if status.code == 404 => return Err(NoKey::NoSecret),
                Ok(Err(_)) | Err(_) => return Err(NoKey::Unavailable),
            };
            let entry = secret.data.as_ref().and_then(|data| data.get(&name.key));
            Secret::new(&entry.ok_or(NoKey::NoEntry)?.0).ok_or(NoKey::Malformed)
        }
        .boxed()
    }
}

/// Keys, read once a minute at most.
pub struct Credentials {
    reader: Arc<dyn SecretReader>,
    cache: Cache<KeyName, Result<Secret, NoKey>>,
}

impl Credentials {
    /// Keys from `reader`. `lookups` counts cache use.
    pub fn new(reader: Arc<dyn SecretReader>, lookups: IntCounterVec) -> Self {
        Self {
            reader,
            cache: Cache::new("secrets", CACHED_KEYS, lookups),
        }
    }

    /// The key of that name.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn get(&self, name: &KeyName) -> Result<Secret, NoKey> {
        let ask = || {
            let read = self.reader.read(name);
            async move {
                match read.await {
                    Ok(secret) => Ok((Ok(secret), TTL)),
                    // A key that is known goes on to be used.
                    Err(NoKey::Unavailable) => Err(Unavailable("the Secret cannot be read".into())),
                    Err(why) => Ok((Err(why), MISSING_TTL)),
                }
            }
        };
        let read = self.cache.get(name.clone(), ask).await;
        read.unwrap_or(Err(NoKey::Unavailable))
    }

    /// As [`Self::get`], after a provider has refused `old`.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn get_other_than(&self, name: &KeyName, old: &Secret) -> Result<Secret, NoKey> {
        self.cache.forget_if(name, |known| known.as_ref() == Ok(old));
        self.get(name).await
    }
}
