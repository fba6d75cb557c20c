//! The report of a comparison that has ended, for people: `GET /v1/shadows/{namespace}/{name}/report` as JSON, and
//! `report.html` as one page.
//!
//! The operator writes its numbers (`PUT`), as they are in its ConfigMap. Whoever may `get` the ShadowDeployment may read
//! them here. The words of pairs come in as they are read, for those who have the verb `audit` on it, and the trail
//! says so: what expires, or is erased, is in no report any more.

use std::sync::Arc;

use ::shadow::report::{Content, Example, Fault, Number, Report, html};
use api::{
    names::{VERB_AUDIT, VERB_COLLECT},
    shadowdeployment::Metric,
};
use axum::{
    body::Body,
    extract::{Request, State},
    http::{Response, StatusCode, header},
    response::IntoResponse,
};
use serde_json::Value;
use store::shadows::{self as kept, Kept, Key};

use super::{
    routes::{Asked, Named, ended},
    spec::Words,
    words::Said,
};
use crate::{audit::ShadowOpening, body, error::Error, routes::Gateway};

/// Who may read the object may read what came of it.
const VERB_GET: &str = "get";
const PAGE: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

/// The report as JSON.
///
/// # Errors
/// See [`Error`].
pub async fn json(gateway: State<Arc<Gateway>>, named: Named, request: Request) -> Result<Response<Body>, Error> {
    let report = read(gateway, named, request).await?;
    Ok(respond(JSON, report.json().map_err(broken)?))
}

/// The report as a page.
///
/// # Errors
/// See [`Error`].
pub async fn page(gateway: State<Arc<Gateway>>, named: Named, request: Request) -> Result<Response<Body>, Error> {
    let report = read(gateway, named, request).await?;
    Ok(respond(PAGE, html::page(&report).map_err(broken)?))
}

/// Keeps a report, for the operator.
///
/// # Errors
/// See [`Error`].
pub async fn keep(
    State(gateway): State<Arc<Gateway>>,
    named: Named,
    request: Request,
) -> Result<Response<Body>, Error> {
    let (mut asked, body) = Asked::begin(gateway, named, request).await?;
    let admitted = async {
        asked.name_uid()?;
        asked.admit(VERB_COLLECT).await
    };
    if let Err(error) = admitted.await {
        body::forget(body);
        return Err(error);
    }
    let bytes = asked.gateway.bodies.read(&asked.parts.headers, body).await?.bytes;
    let invalid = Error::InvalidField {
        field: "report",
        expected: "a report of this very ShadowDeployment",
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| invalid.clone())?;
    let report = Report::parse(text).map_err(|fault| {
        tracing::warn!(%fault, "a report is not kept");
        invalid.clone()
    })?;
    let Key { uid, namespace, name } = &asked.key;
    if (&report.uid, &report.namespace, &report.name) != (uid, namespace, name) || report.content != Content::Withheld {
        return Err(invalid);
    }
    let database = asked.gateway.shadows.migrated().await?;
    match kept::keep_report(database, &asked.key, text).await {
        Ok(true) => Ok(StatusCode::NO_CONTENT.into_response()),
        Ok(false) => Err(asked.not_found()),
        Err(error) => {
            tracing::warn!(%error, "a report cannot be kept");
            Err(Error::ShadowsUnavailable)
        }
    }
}

async fn read(State(gateway): State<Arc<Gateway>>, named: Named, request: Request) -> Result<Report, Error> {
    let (mut asked, body) = Asked::begin(gateway, named, request).await?;
    body::forget(body);
    asked.admit(VERB_GET).await?;
    let shadows = asked.gateway.shadows.clone();
    let database = shadows.migrated().await?;
    let Some((key, words)) = shadows.catalog.named(&asked.key.namespace, &asked.key.name) else {
        return Err(match shadows.catalog.is_complete() {
            true => asked.not_found(),
            false => Error::ShadowsUnavailable,
        });
    };
    asked.key = key;
    let report = kept::report_of(database, &asked.key).await.map_err(|error| {
        tracing::warn!(%error, "a report cannot be read");
        Error::ShadowsUnavailable
    })?;
    let report = report.ok_or_else(|| Error::ShadowReportNotFound {
        shadow: format!("{}/{}", asked.key.namespace, asked.key.name),
    })?;
    let mut report = Report::parse(&report).map_err(broken)?;
    if let Words::Kept { .. } = words
        && shadows.vault.is_some()
        && asked.may(VERB_AUDIT).await?
    {
        report.content = Content::Kept(examples(&asked, words).await?);
    }
    Ok(report)
}

/// The pairs with their words. That they are shown is written down first.
async fn examples(asked: &Asked, words: Words) -> Result<Vec<Example>, Error> {
    let shadows = &asked.gateway.shadows;
    let (Words::Kept { retention, .. }, Some(vault)) = (words, &shadows.vault) else {
        return Ok(Vec::new());
    };
    let audit = &asked.gateway.audit;
    let mut trail = audit.begin("shadow_report", &asked.parts.headers, &asked.caller, asked.received);
    let Key { uid, namespace, name } = &asked.key;
    trail.asks_to_read(&format!("{namespace}/{name}"));
    let entry = trail.open_shadow(&ShadowOpening::new(namespace, name, uid)).await?;
    let read = async {
        let database = shadows.migrated().await?;
        let kept = kept::contents(database, &vault.keys, &asked.key, retention, asked.request_id()).await;
        kept.map_err(|error| {
            tracing::warn!(%error, "words of pairs cannot be read");
            Error::ShadowsUnavailable
        })
    };
    let read = read.await;
    ended(entry, StatusCode::OK, &read);
    Ok(read?.iter().filter_map(example).collect())
}

/// A pair as reports have it; none if this release does not know what it says.
fn example(kept: &Kept) -> Option<Example> {
    let said: Said = serde_json::from_slice(&kept.words).ok()?;
    let metric: Metric = serde_json::from_value(Value::from(kept.metric.as_str())).ok()?;
    Some(Example {
        pair: kept.pair.clone(),
        metric,
        score: Number::new(kept.likeness)?,
        prompt: said.prompt,
        primary: said.primary,
        candidate: said.candidate,
    })
}

fn broken(fault: Fault) -> Error {
    tracing::error!(%fault, "a report that was kept is none that this release knows");
    Error::ShadowsUnavailable
}

fn respond(kind: &'static str, text: String) -> Response<Body> {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (StatusCode::OK, headers, text).into_response()
}
