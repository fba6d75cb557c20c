//! Which headers pass, in either direction.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use telemetry::trace::w3c;

/// The id that names one request in all logs.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The model that answered in place of the one that was asked: `namespace/name`.
pub const ANSWERED_BY: HeaderName = HeaderName::from_static("x-atelier-answered-by");

/// `off` keeps a request from being copied to a candidate that answers in the dark (ShadowDeployments). It changes nothing
/// else.
pub const SHADOW: HeaderName = HeaderName::from_static("x-atelier-shadow");

/// What a worker gets to see of a client's headers. An allow list: credentials, cookies and whatever
/// claims an identity (`X-Remote-User`, `Impersonate-*`, `X-Forwarded-User`, ...) stay behind.
const FORWARDED: [HeaderName; 6] = [
    header::ACCEPT,
    header::CONTENT_TYPE,
    header::USER_AGENT,
    w3c::TRACEPARENT,
    w3c::TRACESTATE,
    HeaderName::from_static("baggage"),
];

/// Headers that speak of one connection only (RFC 9110, 7.6.1, and older habits).
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The headers for the worker. `user` names the caller there.
pub fn to_worker(client: &HeaderMap, request_id: &HeaderValue, user: &str) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(FORWARDED.len() + 2);
    for name in FORWARDED {
        for value in client.get_all(&name) {
            headers.append(&name, value.clone());
        }
    }
    w3c::clean(&mut headers);
    // Clients that send JSON without saying so are understood.
    headers
        .entry(header::CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("application/json"));
    headers.insert(REQUEST_ID, request_id.clone());
    if let Ok(user) = HeaderValue::from_str(user) {
        headers.insert(protocol::headers::USER, user);
    }
    headers
}

/// Removes from a worker's headers what is between the worker and the gateway.
pub fn to_client(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    headers.remove(REQUEST_ID);
}

/// The id of a request: the client's, if it is harmless to log, else a new one.
pub fn request_id(client: &HeaderMap) -> HeaderValue {
    let harmless = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        (1..=128).contains(&bytes.len()) && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(b))
    };
    client.get(REQUEST_ID).filter(harmless).cloned().unwrap_or_else(|| {
        let id = format!("req-{:032x}", rand::random::<u128>());
        HeaderValue::from_str(&id).expect("hex digits are valid in a header")
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn only_harmless_headers_reach_the_worker() {
        let client = map(&[
            ("accept", "text/event-stream"),
            ("accept-encoding", "gzip"),
            ("authorization", "Bearer secret"),
            ("connection", "close, x-hop"),
            ("content-length", "5"),
            ("cookie", "session=1"),
            ("host", "gateway"),
            ("impersonate-group", "system:masters"),
            ("impersonate-user", "root"),
            ("te", "trailers"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("x-atelier-user", "somebody-else"),
            ("x-forwarded-user", "root"),
            ("x-remote-extra-scopes", "all"),
            ("x-remote-group", "system:masters"),
            ("x-remote-user", "root"),
            ("x-request-id", "theirs"),
        ]);
        let headers = to_worker(&client, &HeaderValue::from_static("ours"), "0a1b");
        let mut pairs: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
        pairs.sort_unstable();
        assert_eq!(
            pairs,
            [
                ("accept", "text/event-stream"),
                ("content-type", "application/json"),
                ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
                ("x-atelier-user", "0a1b"),
                ("x-request-id", "ours"),
            ]
        );
    }

    #[test]
    fn hop_by_hop_headers_stay_behind() {
        let mut headers = map(&[
            ("connection", "keep-alive, X-Hop"),
            ("content-type", "text/event-stream"),
            ("keep-alive", "timeout=5"),
            ("retry-after", "3"),
            ("transfer-encoding", "chunked"),
            ("x-hop", "1"),
            ("x-request-id", "theirs"),
        ]);
        to_client(&mut headers);
        assert_eq!(
            headers,
            map(&[("content-type", "text/event-stream"), ("retry-after", "3")])
        );
    }

    #[rstest]
    #[case("abc-1.2_X", true)]
    #[case("", false)]
    #[case("a b", false)]
    #[case("a\"b", false)]
    fn request_ids_are_kept_when_harmless(#[case] sent: &'static str, #[case] kept: bool) {
        let id = request_id(&map(&[("x-request-id", sent)]));
        assert_eq!(id == sent, kept, "{id:?}");
        assert!(!id.is_empty());
    }

    #[test]
    fn request_ids_differ() {
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }
}
