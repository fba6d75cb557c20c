//! How the operator collects what was measured, and where reports are: [`protocol::shadows`].

use std::{sync::Arc, time::Instant};

use api::names::VERB_COLLECT;
use axum::{
    body::Body,
    extract::{Path, Request, State, rejection::PathRejection},
    http::{Response, StatusCode, request::Parts},
    response::IntoResponse,
    routing::{MethodRouter, delete, get},
};
use protocol::shadows::{PAGE, PREFIX, Pair, Pairs};
use store::shadows::{self as kept, Key};

use super::report;
use crate::{
    audit::{Entry, ShadowOpening},
    body,
    error::Error,
    headers,
    identity::Identity,
    review::{Access, Resource},
    rooms::answer,
    routes::Gateway,
};

type Shared = State<Arc<Gateway>>;
/// A namespace and a name.
pub(super) type Named = Result<Path<(String, String)>, PathRejection>;

const ONE: &str = "/v1/shadows/{namespace}/{name}";
const PAIRS: &str = "/v1/shadows/{namespace}/{name}/pairs";

const REPORT: &str = "/v1/shadows/{namespace}/{name}/report";
const REPORT_PAGE: &str = "/v1/shadows/{namespace}/{name}/report.html";

/// All paths, as [`crate::routes::surface`] has them.
pub fn surface() -> Vec<(&'static str, MethodRouter<Arc<Gateway>>)> {
    vec![
        (ONE, delete(forget)),
        (PAIRS, get(pairs)),
        (REPORT, get(report::json).put(report::keep)),
        (REPORT_PAGE, get(report::page)),
    ]
}

/// A path in metrics.
pub fn name(path: &str) -> &'static str {
    match template(path) {
        Some(PAIRS) => "shadow_pairs",
        Some(REPORT | REPORT_PAGE) => "shadow_report",
        Some(_) => "shadow",
        None => "other",
    }
}

/// A path in spans, without names.
pub fn template(path: &str) -> Option<&'static str> {
    let parts: Vec<_> = path.strip_prefix(PREFIX)?.split('/').collect();
    match parts[..] {
        [_, _] => Some(ONE),
        [_, _, "pairs"] => Some(PAIRS),
        [_, _, "report"] => Some(REPORT),
        [_, _, "report.html"] => Some(REPORT_PAGE),
        _ => None,
    }
}

/// A request about a ShadowDeployment.
pub(super) struct Asked {
    /// Who is asked.
    pub gateway: Arc<Gateway>,
    /// Who asks.
    pub caller: Arc<Identity>,
    /// With what.
    pub parts: Parts,
    /// About what; its uid is empty until it is known.
    pub key: Key,
    /// When.
    pub received: Instant,
}

impl Asked {
    /// Looks who asks, and about what; the uid has to be named.
    async fn take(gateway: Arc<Gateway>, named: Named, request: Request) -> Result<Self, Error> {
        let (mut asked, body) = Self::begin(gateway, named, request).await?;
        body::forget(body);
        asked.name_uid()?;
        Ok(asked)
    }

    /// Looks who asks, and about what; what was sent with it has not been read.
    pub async fn begin(gateway: Arc<Gateway>, named: Named, request: Request) -> Result<(Self, Body), Error> {
        let received = Instant::now();
        let (parts, body) = request.into_parts();
        let caller = match gateway.authenticator.authenticate(&parts.headers).await {
            Ok(caller) => caller,
            Err(error) => {
                body::forget(body);
                return Err(error);
            }
        };
        // Percent-encoded bytes that are no text name nothing.
        let Path((namespace, name)) = named.map_err(|_| Error::RouteNotFound)?;
        let asked = Self {
            gateway,
            caller,
            parts,
            key: Key {
                uid: String::new(),
                namespace,
                name,
            },
            received,
        };
        Ok((asked, body))
    }

    /// Takes the uid from the query.
    pub fn name_uid(&mut self) -> Result<(), Error> {
        self.key.uid = self.query("uid").ok_or(Error::MissingField { field: "uid" })?;
        Ok(())
    }

    /// The id of the request.
    pub fn request_id(&self) -> &str {
        let id = self.parts.headers.get(headers::REQUEST_ID);
        id.and_then(|id| id.to_str().ok()).unwrap_or_default()
    }

    fn query(&self, name: &str) -> Option<String> {
        let query = self.parts.uri.query()?;
        let pairs = reqwest::Url::parse(&format!("http://query/?{query}")).ok()?;
        let found = pairs.query_pairs().find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned())
    }

    /// Refuses whoever may not do that. What somebody may not do and what is not there give the same answer.
    pub async fn admit(&self, verb: &'static str) -> Result<(), Error> {
        self.may(verb).await?.then_some(()).ok_or_else(|| self.not_found())
    }

    /// Whether the caller may do that.
    pub async fn may(&self, verb: &'static str) -> Result<bool, Error> {
        let Key { namespace, name, .. } = &self.key;
        // Empty names would ask for a permission on all.
        if namespace.is_empty() || name.is_empty() {
            return Ok(false);
        }
        let access = Access {
            resource: Resource::ShadowDeployments,
            verb,
            namespace: namespace.clone(),
            name: name.clone(),
        };
        let decision = self.gateway.shadows.authorizer.decide(&self.caller, access).await?;
        Ok(decision.allowed)
    }

    /// There is none, as far as the caller may know.
    pub fn not_found(&self) -> Error {
        let Key { namespace, name, .. } = &self.key;
        Error::ShadowNotFound {
            shadow: format!("{namespace}/{name}"),
        }
    }

    /// What there is after one pair.
    async fn pairs(&self) -> Result<Pairs, Error> {
        self.admit(VERB_COLLECT).await?;
        let after = match self.query("after") {
            Some(after) => after.parse::<i64>().ok().filter(|after| *after >= 0),
            None => Some(0),
        };
        let after = after.ok_or(Error::InvalidField {
            field: "after",
            expected: "the number of a pair, or 0",
        })?;
        let database = self.gateway.shadows.migrated().await?;
        let collected = kept::pairs(database, &self.key, after, PAGE).await;
        let collected = collected.map_err(|error| {
            tracing::warn!(%error, "pairs cannot be read");
            Error::ShadowsUnavailable
        })?;
        let pairs = collected.pairs.into_iter().map(|pair| Pair {
            seq: pair.seq,
            at: pair.at,
            cluster: pair.cluster,
            scores: serde_json::from_value(pair.scores).unwrap_or_default(),
        });
        Ok(Pairs {
            object: "list".into(),
            uid: self.key.uid.clone(),
            pairs: pairs.collect(),
            more: collected.more,
            dropped: collected.drops,
            tokens: collected.tokens,
            cost: collected.nanos.map(decimal),
            keeps_words: self.gateway.shadows.vault.is_some(),
        })
    }

    async fn forget(&self) -> Result<Response<Body>, Error> {
        let mut trail = self
            .gateway
            .audit
            .begin("shadow_forget", &self.parts.headers, &self.caller, self.received);
        let Key { namespace, name, uid } = &self.key;
        trail.asks_about(&format!("{namespace}/{name}"));
        if let Err(error) = self.admit(VERB_COLLECT).await {
            return Err(trail.refuse(error).await);
        }
        let entry = trail.open_shadow(&ShadowOpening::new(namespace, name, uid)).await?;
        let forgotten = async {
            let database = self.gateway.shadows.migrated().await?;
            let forgotten = kept::forget(database, &self.key).await;
            forgotten.map_err(|error| {
                tracing::warn!(%error, "pairs cannot be forgotten");
                Error::ShadowsUnavailable
            })
        };
        let forgotten = forgotten.await;
        ended(entry, StatusCode::NO_CONTENT, &forgotten);
        forgotten?;
        Ok(StatusCode::NO_CONTENT.into_response())
    }
}

/// Tells the audit trail what became of it.
pub(super) fn ended<T>(entry: Option<Entry>, status: StatusCode, outcome: &Result<T, Error>) {
    let Some(mut entry) = entry else { return };
    match outcome {
        Ok(_) => {
            entry.answered(status);
            entry.ended("");
        }
        Err(error) => entry.ended(error.audit_code()),
    }
}

/// Billionths as a decimal number.
fn decimal(nanos: i64) -> String {
    let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

async fn pairs(State(gateway): Shared, named: Named, request: Request) -> Result<Response<Body>, Error> {
    answer(&Asked::take(gateway, named, request).await?.pairs().await?)
}

async fn forget(State(gateway): Shared, named: Named, request: Request) -> Result<Response<Body>, Error> {
    Asked::take(gateway, named, request).await?.forget().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_decimal_numbers() {
        let decimals = [
            (0, "0"),
            (1, "0.000000001"),
            (1_500_000_000, "1.5"),
            (20_000_000_000, "20"),
        ];
        for (nanos, text) in decimals {
            assert_eq!(decimal(nanos), text);
        }
    }

    #[test]
    fn names_do_not_reach_metrics() {
        assert_eq!(name("/v1/shadows/ns/s/pairs"), "shadow_pairs");
        assert_eq!(name("/v1/shadows/ns/s"), "shadow");
        assert_eq!(name("/v1/shadows/ns/s/report.html"), "shadow_report");
        assert_eq!(name("/v1/shadows/ns/s/other"), "other");
    }
}
