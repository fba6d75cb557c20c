//! Asks the gateway for what it has measured of pairs, and to forget it: it alone knows the database.

use std::time::Duration;

use protocol::shadows::{PREFIX, Pairs};
use reqwest::{Method, StatusCode};

use crate::gateway_call::{Call, CallError, GatewayCalls};

/// Longest call.
const PATIENCE: Duration = Duration::from_secs(30);
/// Largest answer, in bytes: a page of pairs with all metrics has about 2 MiB.
const LARGEST: usize = 16 << 20;

/// Pairs of ShadowDeployments, by way of the gateway.
#[derive(Clone)]
pub struct ShadowPairs(GatewayCalls);

impl ShadowPairs {
    /// By these calls.
    pub fn new(gateway: GatewayCalls) -> Self {
        Self(gateway)
    }

    /// The pairs of the ShadowDeployment with this uid after one of them, the oldest first.
    ///
    /// # Errors
    /// See [`CallError`]; also when the answer is about another one.
    pub async fn after(&self, namespace: &str, name: &str, uid: &str, seq: i64) -> Result<Pairs, CallError> {
        let path = format!("{PREFIX}{namespace}/{name}/pairs?uid={uid}&after={seq}");
        let pairs: Pairs = self.0.json(call(&Method::GET, &path)).await?;
        if pairs.uid != uid {
            return Err(CallError::Strange(format!("it is about uid {:?}", pairs.uid)));
        }
        Ok(pairs)
    }

    /// Has the report of the ShadowDeployment with this uid kept, where people read it. `false` if the gateway knows no place
    /// for it: it has seen no pair, or is of an earlier release.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn keep_report(&self, namespace: &str, name: &str, uid: &str, report: &str) -> Result<bool, CallError> {
        let path = format!("{PREFIX}{namespace}/{name}/report?uid={uid}");
        let call = Call {
            body: Some(report),
            ..call(&Method::PUT, &path)
        };
        match self.0.done(call).await {
            Ok(()) => Ok(true),
            Err(CallError::Refused {
                status: StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED,
                ..
            }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Forgets all pairs of the ShadowDeployment with this uid.
    ///
    /// # Errors
    /// See [`CallError`]. They are still there then, for all that is known.
    pub async fn forget(&self, namespace: &str, name: &str, uid: &str) -> Result<(), CallError> {
        let path = format!("{PREFIX}{namespace}/{name}?uid={uid}");
        self.0.done(call(&Method::DELETE, &path)).await
    }
}

fn call<'a>(method: &'a Method, path: &'a str) -> Call<'a> {
    Call {
        method,
        path,
        body: None,
        patience: PATIENCE,
        largest: LARGEST,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use axum::{
        Json, Router,
        extract::Query,
        http::HeaderMap,
        routing::{delete, get, put},
    };
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::*;
    use crate::gateway_call::Way;

    /// A gateway with two pairs of the one with uid `u`, and the directory with the token that it wants.
    async fn gateway() -> (ShadowPairs, tempfile::TempDir) {
        let pairs = async |headers: HeaderMap, Query(query): Query<HashMap<String, String>>| {
            assert_eq!(headers["authorization"], "Bearer secret");
            let after: i64 = query["after"].parse().unwrap();
            let pairs: Vec<_> = [1, 2]
                .into_iter()
                .filter(|seq| *seq > after)
                .map(|seq| json!({"seq": seq}))
                .collect();
            Json(json!({"object": "list", "uid": "u", "pairs": pairs, "more": false, "tokens": 7}))
        };
        let forget = async |Query(query): Query<HashMap<String, String>>| match query["uid"].as_str() {
            "u" => StatusCode::NO_CONTENT,
            _ => StatusCode::CONFLICT,
        };
        let keep = async |headers: HeaderMap, body: String| {
            assert_eq!(headers["content-type"], "application/json");
            match body.as_str() {
                "{}" => StatusCode::NO_CONTENT,
                _ => StatusCode::BAD_REQUEST,
            }
        };
        let app = Router::new()
            .route("/v1/shadows/ns/s/report", put(keep))
            .route("/v1/shadows/ns/s/pairs", get(pairs))
            .route("/v1/shadows/ns/s", delete(forget));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let directory = tempfile::tempdir().unwrap();
        let token_file = directory.path().join("token");
        std::fs::write(&token_file, "secret").unwrap();
        let way = Way {
            url,
            token_file: Some(token_file),
            ca_file: None,
        };
        (ShadowPairs::new(GatewayCalls::new(way)), directory)
    }

    #[tokio::test]
    async fn pairs_come_after_those_that_are_known() {
        let (pairs, _directory) = gateway().await;
        let found = pairs.after("ns", "s", "u", 1).await.unwrap();
        assert_eq!((found.pairs.len(), found.pairs[0].seq, found.tokens), (1, 2, 7));
        let other = pairs.after("ns", "s", "another", 0).await.unwrap_err();
        assert!(matches!(other, CallError::Strange(_)), "{other}");
    }

    #[tokio::test]
    async fn a_report_is_kept_or_has_no_place_or_is_tried_again() {
        let (pairs, _directory) = gateway().await;
        assert!(pairs.keep_report("ns", "s", "u", "{}").await.unwrap());
        assert!(!pairs.keep_report("ns", "unknown", "u", "{}").await.unwrap());
        assert!(pairs.keep_report("ns", "s", "u", "[]").await.is_err());
    }

    #[tokio::test]
    async fn only_an_answer_that_says_so_means_that_pairs_are_forgotten() {
        let (pairs, _directory) = gateway().await;
        pairs.forget("ns", "s", "u").await.unwrap();
        assert!(pairs.forget("ns", "s", "another").await.is_err());
        assert!(pairs.forget("ns", "unknown", "u").await.is_err());
    }
}
