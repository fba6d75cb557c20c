//! Workload identity: tokens of Microsoft Entra for ServiceAccounts that it was told to trust.
//!
//! The API server issues a token of the ServiceAccount, and Entra exchanges it for one of its own: a client credentials
//! grant with a federated credential, the third case of
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>.

use std::{sync::Arc, time::Duration};

use api::llmmodel::WorkloadIdentity;
use prometheus::IntCounterVec;
use serde::Deserialize;
use tokio::time::timeout;

use super::{Clients, NoKey, Secret, SecretReader};
use crate::cache::{Cache, Unavailable};

/// Whom the ServiceAccount's token is for.
pub const AUDIENCE: &str = "api://AzureADTokenExchange";
/// What Entra's token is for.
const SCOPE: &str = "https://cognitiveservices.azure.com/.default";
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The longest time until the next exchange.
const TTL: Duration = Duration::from_secs(3600);
/// How long it is believed that there is no token: somebody is about to mend it.
const REFUSED_TTL: Duration = Duration::from_secs(2);
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);
const CACHED: usize = 1024;

/// An identity, and the ServiceAccount that it trusts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    namespace: String,
    account: String,
    tenant: String,
    client: String,
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoToken {
    /// There is none of the ServiceAccount.
    Account(NoKey),
    /// Entra does not exchange it, for the reason with this code.
    Refused(String),
    /// The API server or Entra does not answer, or not as it should.
    Unavailable,
}

impl Identity {
    /// What a model of `namespace` takes on.
    pub fn new(namespace: &str, identity: &WorkloadIdentity) -> Self {
        Self {
            namespace: namespace.into(),
            account: identity.service_account_name.clone(),
            tenant: identity.tenant_id.clone(),
            client: identity.client_id.clone(),
        }
    }

    /// Why there is no token, and what to do about it.
    pub fn explain(&self, why: &NoToken) -> String {
        let Self {
            namespace,
            account,
            tenant,
            client,
        } = self;
        match why {
            NoToken::Account(NoKey::Forbidden) => format!(
                "the gateway may not issue tokens of ServiceAccount \"{account}\" in namespace \"{namespace}\": bind it a Role with \
                 the verb create on serviceaccounts/token and resourceNames [{account}]"
            ),
            NoToken::Account(NoKey::NoSecret) => {
                format!("ServiceAccount \"{account}\" in namespace \"{namespace}\" does not exist: create it")
            }
            NoToken::Account(_) => format!(
                "the Kubernetes API server issues no token of ServiceAccount \"{account}\" in namespace \"{namespace}\"; try again"
            ),
            NoToken::Refused(code) => format!(
                "Microsoft Entra refuses client {client} of tenant {tenant} ({code}): it needs a federated credential for \
                 system:serviceaccount:{namespace}:{account} and the audience {AUDIENCE}"
            ),
            NoToken::Unavailable => {
                "no token can be had: the Kubernetes API server or Microsoft Entra does not answer as it should; try again".into()
            }
        }
    }
}

/// Tokens, exchanged when half of their time is over.
pub struct Identities {
    reader: Arc<dyn SecretReader>,
    clients: Arc<Clients>,
    origin: String,
    cache: Cache<Identity, Result<Secret, NoToken>>,
}

impl Identities {
    /// Tokens of `reader`'s ServiceAccounts, exchanged at `origin`. `lookups` counts cache use.
    pub fn new(reader: Arc<dyn SecretReader>, clients: Arc<Clients>, origin: String, lookups: IntCounterVec) -> Self {
        Self {
            reader,
            clients,
            origin,
            cache: Cache::new("identities", CACHED, lookups),
        }
    }

    /// A token, and another one than `refused` if there is that.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn get(&self, identity: &Identity, refused: Option<&Secret>) -> Result<Secret, NoToken> {
        if let Some(refused) = refused {
            self.cache.forget_if(identity, |known| known.as_ref() == Ok(refused));
        }
        let ask = || {
            let (reader, clients) = (self.reader.clone(), self.clients.clone());
            let (origin, identity) = (self.origin.clone(), identity.clone());
            async move {
                match exchange(&*reader, &clients, &origin, &identity).await {
                    Ok((token, ttl)) => Ok((Ok(token), ttl)),
                    // A token that is known goes on to be used: half of its time is left.
                    Err(NoToken::Unavailable | NoToken::Account(NoKey::Unavailable)) => {
                        Err(Unavailable("no token can be had".into()))
                    }
                    Err(why) => Ok((Err(why), REFUSED_TTL)),
                }
            }
        };
        let token = self.cache.get(identity.clone(), ask).await;
        token.unwrap_or(Err(NoToken::Unavailable))
    }
}

/// What Entra answers.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: u64,
}

async fn exchange(
    reader: &dyn SecretReader,
    clients: &Clients,
    origin: &str,
    identity: &Identity,
) -> Result<(Secret, Duration), NoToken> {
    let Identity {
        namespace,
        account,
        tenant,
        client,
    } = identity;
    let assertion = reader.account_token(namespace, account, AUDIENCE).await;
    let assertion = assertion.map_err(NoToken::Account)?;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", client),
        ("scope", SCOPE),
        ("client_assertion_type", ASSERTION),
        ("client_assertion", assertion.expose()),
    ];
    let http = clients.trusting(None).await.map_err(|_| NoToken::Unavailable)?;
    let request = http.post(format!("{origin}/{tenant}/oauth2/v2.0/token")).form(&form);
    let answer = async {
        let response = request.send().await?;
        let status = response.status();
        reqwest::Result::Ok((status, response.bytes().await?))
    };
    let answer = timeout(EXCHANGE_TIMEOUT, answer).await;
    let (status, body) = answer.map_err(|_| NoToken::Unavailable)?.map_err(|error| {
        tracing::warn!(error = %error.without_url(), "Microsoft Entra does not answer");
        NoToken::Unavailable
    })?;
    if status == 400 || status == 401 || status == 403 {
        return Err(NoToken::Refused(code(&String::from_utf8_lossy(&body))));
    }
    let granted = serde_json::from_slice::<Granted>(&body)
        .ok()
        .filter(|_| status.is_success());
    let granted = granted.ok_or(NoToken::Unavailable)?;
    let token = Secret::new(granted.access_token.as_bytes()).ok_or(NoToken::Unavailable)?;
    let half = Duration::from_secs(granted.expires_in / 2);
    Ok((token, half.min(TTL)))
}

/// The code of a refusal, as `AADSTS70021`: what stands behind it is for whoever may look it up.
fn code(body: &str) -> String {
    const PREFIX: &str = "AADSTS";
    let Some((_, rest)) = body.split_once(PREFIX) else {
        return "no code".into();
    };
    let digits = rest.chars().take_while(char::is_ascii_digit).take(12);
    PREFIX.chars().chain(digits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_by_its_code() {
        let body = r#"{"error":"invalid_client","error_description":"AADSTS70021: No matching record for 'secret'."}"#;
        assert_eq!(code(body), "AADSTS70021");
        assert_eq!(code("<html>"), "no code");
    }
}
