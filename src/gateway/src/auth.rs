//! Who is calling: bearer tokens, reviewed by Kubernetes or of another issuer, or API keys.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::http::{HeaderMap, header};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::FutureExt;
use k8s_openapi::jiff::Timestamp;
use prometheus::IntCounterVec;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{
    cache::Cache,
    error::Error,
    identity::{Fingerprint, Identity},
    keys::{self, Keys},
    oidc::{Issuer, Issuers},
    review::Reviewer,
};

/// How long an accepted token is believed. A deleted ServiceAccount is refused after this time, or
/// when the API server is back ([`cache::KEPT_IN_OUTAGE`](crate::cache::KEPT_IN_OUTAGE) at most).
const ACCEPTED_TTL: Duration = Duration::from_secs(10);
/// How long a rejected token stays rejected: short, since a ServiceAccount may just be in the making.
const REJECTED_TTL: Duration = Duration::from_secs(2);
/// Kubernetes' own tokens have about 1 KiB, OIDC tokens with many groups a few.
const MAX_TOKEN_LENGTH: usize = 16 * 1024;
const CACHED_TOKENS: usize = 8192;

/// Turns bearer tokens into identities.
pub struct Authenticator {
    reviewer: Arc<dyn Reviewer>,
    keys: Arc<Keys>,
    issuers: Issuers,
    cache: Cache<Fingerprint, Option<Arc<Identity>>>,
    audience: String,
}

impl Authenticator {
    /// Authenticates through `reviewer`, by `keys` and for `issuers`; `audience` is only named in messages. `lookups`
    /// counts cache use.
    pub fn new(
        reviewer: Arc<dyn Reviewer>,
        keys: Arc<Keys>,
        issuers: Issuers,
        audience: String,
        lookups: IntCounterVec,
    ) -> Self {
        Self {
            reviewer,
            keys,
            issuers,
            cache: Cache::new("tokens", CACHED_TOKENS, lookups),
            audience,
        }
    }

    /// Who sent a request with these headers.
    ///
    /// # Errors
    /// When there is no token, when it is not good for this gateway, or when nobody can tell.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Arc<Identity>, Error> {
        let token = bearer_token(headers).map_err(|problem| match problem {
            TokenProblem::Missing => Error::MissingCredentials,
            TokenProblem::Malformed => self.invalid(),
        })?;
        if token.starts_with(keys::PREFIX) {
            let found = self.keys.find(token, Timestamp::now());
            let found = found.map_err(|_| Error::AuthenticationUnavailable)?;
            return found.ok_or(Error::UnknownKey);
        }
        let issuer = self.issuers.of(token);
        let ttl = match time_left(token, SystemTime::now()) {
            // Clocks may differ: the issuer's part knows by how much.
            Some(Duration::ZERO) if issuer.is_some() => Duration::ZERO,
            Some(Duration::ZERO) => return Err(self.invalid()),
            Some(left) => left.min(ACCEPTED_TTL),
            None => ACCEPTED_TTL,
        };
        let key = Sha256::digest(token.as_bytes()).into();
        let ask = || {
            let review = match issuer.cloned() {
                Some(issuer) => {
                    let token = token.to_owned();
                    async move { issuer.verify(&token).await }.boxed()
                }
                None => self.reviewer.review_token(token.to_owned()),
            };
            async move {
                Ok(match review.await? {
                    Some(identity) => (Some(Arc::new(identity)), ttl),
                    None => (None, REJECTED_TTL),
                })
            }
        };
        match self.cache.get(key, ask).await {
            Ok(Some(identity)) => Ok(identity),
            Ok(None) => Err(issuer.map_or_else(|| self.invalid(), invalid_of)),
            Err(_) => Err(
                issuer.map_or(Error::AuthenticationUnavailable, |issuer| Error::IssuerUnavailable {
                    issuer: issuer.name().into(),
                }),
            ),
        }
    }

    fn invalid(&self) -> Error {
        Error::InvalidCredentials {
            audience: self.audience.clone(),
        }
    }
}

fn invalid_of(issuer: &Issuer) -> Error {
    Error::InvalidToken {
        issuer: issuer.name().into(),
        audience: issuer.audience().into(),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum TokenProblem {
    Missing,
    Malformed,
}

/// The token of exactly one `Authorization: Bearer` header.
fn bearer_token(headers: &HeaderMap) -> Result<&str, TokenProblem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(TokenProblem::Missing)?;
    if values.next().is_some() {
        return Err(TokenProblem::Malformed);
    }
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or(TokenProblem::Malformed)?;
    let token = token.trim_matches(' ');
    let well_formed =
        !token.is_empty() && token.len() <= MAX_TOKEN_LENGTH && token.bytes().all(|b| b.is_ascii_graphic());
    if scheme.eq_ignore_ascii_case("bearer") && well_formed {
        Ok(token)
    } else {
        Err(TokenProblem::Malformed)
    }
}

/// What remains until the expiry a JWT states, zero when it has passed; `None` when it states none.
/// Unverified: used to refuse early and to cache shorter, never to accept.
fn time_left(token: &str, now: SystemTime) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Claims {
        exp: f64,
    }
    let payload = token.split('.').nth(1)?;
    let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    Some(Duration::try_from_secs_f64((claims.exp - now).max(0.0)).unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use rstest::rstest;

    use super::*;
    use crate::{metrics::Metrics, testing::ScriptedReviewer};

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[rstest]
    #[case(&["Bearer abc"], Ok("abc"))]
    #[case(&["bearer abc"], Ok("abc"))]
    #[case(&["BEARER  abc "], Ok("abc"))]
    #[case(&[], Err(TokenProblem::Missing))]
    #[case(&[""], Err(TokenProblem::Malformed))]
    #[case(&["Bearer"], Err(TokenProblem::Malformed))]
    #[case(&["Bearer "], Err(TokenProblem::Malformed))]
    #[case(&["Bearer a b"], Err(TokenProblem::Malformed))]
    #[case(&["Basic dTpw"], Err(TokenProblem::Malformed))]
    #[case(&["Bearer good", "Bearer other"], Err(TokenProblem::Malformed))]
    fn one_bearer_token(#[case] values: &[&str], #[case] expected: Result<&str, TokenProblem>) {
        assert_eq!(bearer_token(&headers(values)), expected);
    }

    fn jwt(payload: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
    }

    #[rstest]
    #[case(jwt(r#"{"exp":1010,"sub":"x"}"#), Some(Duration::from_secs(10)))]
    #[case(jwt(r#"{"exp":1000}"#), Some(Duration::ZERO))]
    #[case(jwt(r#"{"exp":-5}"#), Some(Duration::ZERO))]
    #[case(jwt(r#"{"exp":1e300}"#), Some(Duration::MAX))]
    #[case(jwt(r#"{"exp":"1010"}"#), None)]
    #[case(jwt(r#"{}"#), None)]
    #[case("opaque".into(), None)]
    #[case("a.###.c".into(), None)]
    fn the_stated_expiry(#[case] token: String, #[case] expected: Option<Duration>) {
        assert_eq!(time_left(&token, UNIX_EPOCH + Duration::from_secs(1000)), expected);
    }

    fn authenticator(reviewer: &Arc<ScriptedReviewer>) -> Authenticator {
        Authenticator::new(
            reviewer.clone(),
            Arc::default(),
            Issuers::default(),
            "atelier".into(),
            Metrics::default().cache_lookups.clone(),
        )
    }

    #[tokio::test]
    async fn tokens_are_reviewed_once() {
        let reviewer = Arc::new(ScriptedReviewer::default().user("good", "jane"));
        let auth = authenticator(&reviewer);
        for _ in 0..3 {
            assert_eq!(
                auth.authenticate(&headers(&["Bearer good"])).await.unwrap().user(),
                "jane"
            );
            let error = auth.authenticate(&headers(&["Bearer bad"])).await.unwrap_err();
            assert_eq!(error.code(), "invalid_api_key");
        }
        assert_eq!(reviewer.token_reviews(), 2);
    }

    #[tokio::test]
    async fn an_expired_token_is_not_even_reviewed() {
        let token = jwt(r#"{"exp":1}"#);
        let reviewer = Arc::new(ScriptedReviewer::default().user(&token, "jane"));
        let refused = authenticator(&reviewer)
            .authenticate(&headers(&[&format!("Bearer {token}")]))
            .await;
        assert_eq!(refused.unwrap_err().code(), "invalid_api_key");
        assert_eq!(reviewer.token_reviews(), 0);
    }

    #[tokio::test]
    async fn an_outage_is_no_refusal_and_ends_with_the_outage() {
        let reviewer = Arc::new(ScriptedReviewer::default().user("good", "jane"));
        let auth = authenticator(&reviewer);
        reviewer.set_down(true);
        let error = auth.authenticate(&headers(&["Bearer good"])).await.unwrap_err();
        assert_eq!(error, Error::AuthenticationUnavailable);
        reviewer.set_down(false);
        assert!(auth.authenticate(&headers(&["Bearer good"])).await.is_ok());
    }
}
