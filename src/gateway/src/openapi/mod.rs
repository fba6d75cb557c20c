//! `/openapi.json`: what this gateway serves, as an OpenAPI 3.1 document.
//!
//! Requests are described as far as the gateway acts on them; whatever else they hold passes through to what serves the
//! model, which has the last word on it. The schemas of what we act on come from the types that read it, the
//! paths from [`paths`], and a test holds both against the routes. Anybody may read the document: it says nothing of
//! the cluster.

mod paths;
mod rooms;
mod schemas;
mod shadows;

use std::sync::LazyLock;

use axum::{
    body::Body,
    http::{Response, StatusCode, header},
    response::IntoResponse,
};
use bytes::Bytes;
use serde_json::{Map, Value, json};

pub use schemas::schema_of;

/// Where the document is.
pub const PATH: &str = "/openapi.json";

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());

/// The document.
pub async fn serve() -> Response<Body> {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (StatusCode::OK, json, DOCUMENT.clone()).into_response()
}

/// The document, as JSON.
pub fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Atelier gateway",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "One address for every model, in the forms of OpenAI's API. Fields that are not described \
                here pass through to what serves the model.",
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": [
            {"name": "inference", "description": "Asking models."},
            {"name": "models", "description": "Which models there are."},
            {"name": "feedback", "description": "What callers say about answers."},
            {"name": "rooms", "description": "Documents that only some may search and ask."},
            {"name": "shadows", "description": "What was measured of copies that candidates answered."},
            {"name": "console", "description": "Pages for people."},
            {"name": "document", "description": "This document."},
            {"name": "admin", "description": "For probes and scrapers, at a port of its own."},
        ],
        "paths": both(both(paths::paths(), rooms::paths()), shadows::paths()),
        "components": {
            "securitySchemes": {"bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "A ServiceAccount token, a token of an OpenID Connect issuer, or an API key.",
            }},
            "schemas": both(both(schemas::schemas(), rooms::schemas()), shadows::schemas()),
        },
    })
}

fn both(mut own: Value, others: Map<String, Value>) -> Value {
    if let Some(own) = own.as_object_mut() {
        own.extend(others);
    }
    own
}

#[cfg(test)]
mod tests;
