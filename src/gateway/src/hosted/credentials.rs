//! Keys of providers, from Secrets of the namespaces of their models.

use std::{sync::Arc, time::Duration};

use api::common::SecretKeyRef;
use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1,
};
use kube::{Api, Client, api::PostParams};
use prometheus::IntCounterVec;
use tokio::time::timeout;

use super::Secret;
use crate::cache::{Cache, Unavailable};

/// How long a key is used before its Secret is read again.
const TTL: Duration = Duration::from_secs(60);
/// How long it is believed that there is none: somebody is about to mend it.
const MISSING_TTL: Duration = Duration::from_secs(2);
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// The shortest time that the API server issues tokens for: they are exchanged at once.
const ACCOUNT_TOKEN_SECONDS: i64 = 600;
const CACHED_KEYS: usize = 4096;

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoKey {
    /// The gateway may not read it.
    Forbidden,
    /// The Secret, or ServiceAccount, does not exist.
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
    /// What is there, or why nothing is.
    fn read_bytes(&self, name: &KeyName) -> BoxFuture<'static, Result<Vec<u8>, NoKey>>;

    /// A token of the ServiceAccount `account` for `audience`, or why there is none.
    fn account_token(
        &self,
        namespace: &str,
        account: &str,
        audience: &'static str,
    ) -> BoxFuture<'static, Result<Secret, NoKey>>;

    /// The key of that name, or why there is none.
    fn read(&self, name: &KeyName) -> BoxFuture<'static, Result<Secret, NoKey>> {
        let bytes = self.read_bytes(name);
        async move { Secret::new(&bytes.await?).ok_or(NoKey::Malformed) }.boxed()
    }
}

/// [`SecretReader`] by the Kubernetes API server.
pub struct KubeSecrets(pub Client);

impl SecretReader for KubeSecrets {
    fn read_bytes(&self, name: &KeyName) -> BoxFuture<'static, Result<Vec<u8>, NoKey>> {
        let api = Api::<v1::Secret>::namespaced(self.0.clone(), &name.namespace);
        let name = name.clone();
        async move {
            let secret = match timeout(READ_TIMEOUT, api.get(&name.secret)).await {
                Ok(Ok(secret)) => secret,
                Ok(Err(kube::Error::Api(status))) if status.code == 403 => return Err(NoKey::Forbidden),
                Ok(Err(kube::Error::Api(status))) if status.code == 404 => return Err(NoKey::NoSecret),
                Ok(Err(_)) | Err(_) => return Err(NoKey::Unavailable),
            };
            let entry = secret.data.and_then(|mut data| data.remove(&name.key));
            Ok(entry.ok_or(NoKey::NoEntry)?.0)
        }
        .boxed()
    }

    fn account_token(
        &self,
        namespace: &str,
        account: &str,
        audience: &'static str,
    ) -> BoxFuture<'static, Result<Secret, NoKey>> {
        let api = Api::<v1::ServiceAccount>::namespaced(self.0.clone(), namespace);
        let account = account.to_owned();
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                audiences: Some(vec![audience.into()]),
                expiration_seconds: Some(ACCOUNT_TOKEN_SECONDS),
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        async move {
            let params = PostParams::default();
            let issued = api.create_token_request(&account, &params, &request);
            let issued = match timeout(READ_TIMEOUT, issued).await {
                Ok(Ok(issued)) => issued.status.unwrap_or_default(),
                Ok(Err(kube::Error::Api(status))) if status.code == 403 => return Err(NoKey::Forbidden),
                Ok(Err(kube::Error::Api(status))) if status.code == 404 => return Err(NoKey::NoSecret),
                Ok(Err(_)) | Err(_) => return Err(NoKey::Unavailable),
            };
            let token = issued.token.unwrap_or_default();
            Secret::new(token.as_bytes()).ok_or(NoKey::Malformed)
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::{
        body::Body,
        http::{Request, Response},
    };
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::{metrics::Metrics, testing::ScriptedSecrets};

    fn name(key: &str) -> KeyName {
        KeyName {
            namespace: "ns".into(),
            secret: "keys".into(),
            key: key.into(),
        }
    }

    fn refusal(code: u16, reason: &str) -> Value {
        json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": "m", "metadata": {}})
    }

    // "sk-1\n", and "a b".
    #[rstest]
    #[case(200, json!({"metadata": {}, "data": {"api": "c2stMQo="}}), Ok("sk-1"))]
    #[case(200, json!({"metadata": {}, "data": {"api": "YSBi"}}), Err(NoKey::Malformed))]
    #[case(200, json!({"metadata": {}, "data": {"other": "c2stMQo="}}), Err(NoKey::NoEntry))]
    #[case(200, json!({"metadata": {}}), Err(NoKey::NoEntry))]
    #[case(403, refusal(403, "Forbidden"), Err(NoKey::Forbidden))]
    #[case(404, refusal(404, "NotFound"), Err(NoKey::NoSecret))]
    #[case(500, refusal(500, "InternalError"), Err(NoKey::Unavailable))]
    #[tokio::test]
    async fn the_api_server_s_answer_is_understood(
        #[case] status: u16,
        #[case] body: Value,
        #[case] expected: Result<&str, NoKey>,
    ) {
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            assert_eq!(request.uri().path(), "/api/v1/namespaces/ns/secrets/keys");
            let mut response = Response::new(Body::from(body.to_string()));
            *response.status_mut() = status.try_into().unwrap();
            std::future::ready(Ok::<_, Infallible>(response))
        });
        let read = KubeSecrets(Client::new(service, "default")).read(&name("api")).await;
        assert_eq!(read.as_ref().map(Secret::expose), expected.as_ref().map(|key| *key));
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_read_once_a_minute_and_kept_while_the_api_server_is_away() {
        let reader = Arc::new(ScriptedSecrets::default());
        reader.set("keys", Ok("sk-1"));
        let credentials = Credentials::new(reader.clone(), Metrics::default().cache_lookups.clone());
        let get = async || credentials.get(&name("api")).await.map(|key| key.expose().to_owned());
        for _ in 0..3 {
            assert_eq!(get().await, Ok("sk-1".into()));
        }
        assert_eq!(reader.reads(), 1);
        reader.set("keys", Err(NoKey::Unavailable));
        tokio::time::advance(TTL).await;
        assert_eq!(get().await, Ok("sk-1".into()));
        // The right to read it was taken away.
        reader.set("keys", Err(NoKey::Forbidden));
        tokio::time::advance(TTL).await;
        assert_eq!(get().await, Err(NoKey::Forbidden));
        reader.set("keys", Ok("sk-2"));
        tokio::time::advance(MISSING_TTL).await;
        assert_eq!(get().await, Ok("sk-2".into()));
    }
}
