//! The console: pages on which people ask Rooms, and look after what is in them.
//!
//! What is served here says nothing of the cluster, and anybody may have it: files that are part of the binary. All else
//! comes from the API, which the pages' scripts ask in the name of whoever has given them a token; they can do nothing that
//! the token could not do without them. The token is kept in the tab, and travels in the header `Authorization` alone.
//! Browsers are told to run no script, and to ask no address, but the gateway's own, and to make no text into HTML.

mod assets;
#[cfg(test)]
mod tests;

use axum::{
    body::Body,
    extract::{Path, rejection::PathRejection},
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
    routing::{MethodRouter, get},
};

use crate::error::Error;
use assets::File;

pub use assets::PARTS;

/// Where the console begins.
pub const PATH: &str = "/console/";
/// The same, as people type it.
pub const SHORT: &str = "/console";
/// The page of a Room.
pub const ROOM: &str = "/console/rooms/{namespace}/{room}";
/// What pages are made of.
pub const ASSETS: &str = "/console/assets/{file}";

/// What browsers may do with a page. `blob:` is for pictures of pages of documents, which need the token.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
                      form-action 'none'; frame-ancestors 'none'; base-uri 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

const HEADERS: [(header::HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        header::HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        header::HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    // Kept, but asked about each time: a file has the same name in the next release.
    (header::CACHE_CONTROL, "no-cache"),
];

/// All paths, as [`crate::routes::surface`] has them.
pub fn surface<S: Clone + Send + Sync + 'static>() -> Vec<(&'static str, MethodRouter<S>)> {
    vec![
        (SHORT, get(to_home)),
        (
            PATH,
            get(|headers: HeaderMap| async move { serve(&headers, assets::HOME) }),
        ),
        (
            ROOM,
            get(|headers: HeaderMap| async move { serve(&headers, assets::ROOM) }),
        ),
        (ASSETS, get(part)),
    ]
}

/// Whether a path is one of the console's, for metrics.
pub fn has(path: &str) -> bool {
    path == SHORT || path.starts_with(PATH)
}

async fn to_home() -> Response<Body> {
    let to = [(header::LOCATION, PATH)];
    dressed((StatusCode::PERMANENT_REDIRECT, to).into_response())
}

async fn part(name: Result<Path<String>, PathRejection>, headers: HeaderMap) -> Response<Body> {
    let file = name.ok().and_then(|Path(name)| assets::part(&name));
    match file {
        Some(file) => serve(&headers, file),
        None => dressed(Error::RouteNotFound.into_response()),
    }
}

/// A file, unless the browser has it.
fn serve(asked: &HeaderMap, file: File) -> Response<Body> {
    let tag = [(header::ETAG, file.tag())];
    let response = match is_known(asked, file.tag()) {
        true => (StatusCode::NOT_MODIFIED, tag).into_response(),
        false => {
            let media_type = [(header::CONTENT_TYPE, file.media_type)];
            (StatusCode::OK, media_type, tag, file.bytes).into_response()
        }
    };
    dressed(response)
}

fn dressed(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether `If-None-Match` names it. A proxy may have made the tag a weak one.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let given = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut given = given
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    given.any(|one| {
        let one = one.trim();
        one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag
    })
}
