//! People and programs that another identity provider vouches for: tokens by OpenID Connect.
//!
//! A token that says it is from one of the configured issuers is verified here: signature, issuer, audience and times.
//! All others are Kubernetes' own to review. What a token says of itself is believed only after that.

mod claims;
mod keys;
pub mod settings;

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{cache::Unavailable, identity::Identity};
use keys::Keys;
use settings::IssuerSettings;

/// Clocks differ by this much at most.
const LEEWAY: Duration = Duration::from_secs(30);
/// By public keys only: a symmetric key, or none, would be everybody's.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// The configured issuers.
#[derive(Clone, Default)]
pub struct Issuers(Arc<[Issuer]>);

impl Issuers {
    /// Issuers with these settings.
    ///
    /// # Errors
    /// When a CA cannot be read, or TLS is not available.
    pub fn new(settings: Vec<IssuerSettings>) -> anyhow::Result<Self> {
        let issuers = settings.into_iter().map(|settings| {
            let name = settings.issuer.clone();
            Issuer::new(settings).with_context(|| format!("failed to set up the issuer {name}"))
        });
        Ok(Self(issuers.collect::<anyhow::Result<Vec<_>>>()?.into()))
    }

    /// The issuer that a token says it is from, if it is one of these.
    pub fn of(&self, token: &str) -> Option<&Issuer> {
        #[derive(Deserialize)]
        struct Claims {
            iss: String,
        }
        let payload = token.split('.').nth(1)?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        self.0.iter().find(|issuer| issuer.0.settings.issuer == claims.iss)
    }
}

/// One issuer.
#[derive(Clone)]
pub struct Issuer(Arc<Inner>);

struct Inner {
    settings: IssuerSettings,
    keys: Keys,
}

impl Issuer {
    fn new(settings: IssuerSettings) -> anyhow::Result<Self> {
        let keys = Keys::new(&settings)?;
        Ok(Self(Arc::new(Inner { settings, keys })))
    }

    /// The URL by which tokens name it.
    pub fn name(&self) -> &str {
        &self.0.settings.issuer
    }

    /// Whom its tokens must be for.
    pub fn audience(&self) -> &str {
        &self.0.settings.audience
    }

    /// Whom a token is for; `None` when it is not good for this gateway.
    ///
    /// # Errors
    /// When the issuer's keys cannot be had.
    pub async fn verify(&self, token: &str) -> Result<Option<Identity>, Unavailable> {
        let Ok(header) = decode_header(token) else {
            return Ok(None);
        };
        if !ALGORITHMS.contains(&header.alg) {
            return Ok(None);
        }
        let Some(key) = self.0.keys.find(header.kid.as_deref(), header.alg).await? else {
            return Ok(None);
        };
        let settings = &self.0.settings;
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY.as_secs();
        validation.validate_nbf = true;
        validation.set_issuer(&[&settings.issuer]);
        validation.set_audience(&[&settings.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        match decode::<Map<String, Value>>(token, &key, &validation) {
            Ok(data) => match claims::identity(settings, &data.claims) {
                Ok(identity) => Ok(Some(identity)),
                Err(why) => {
                    tracing::info!(issuer = settings.issuer, why, "a token names nobody");
                    Ok(None)
                }
            },
            Err(error) => {
                tracing::debug!(issuer = settings.issuer, %error, "a token is not good");
                Ok(None)
            }
        }
    }
}
