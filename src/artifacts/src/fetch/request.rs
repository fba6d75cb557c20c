//! Sending a request and following where the server points.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{self, HeaderMap};
use reqwest::{Client, Response, StatusCode, Url, redirect};

use super::Settings;
use super::error::Error;
use crate::source_url::redacted;

const MAX_REDIRECTS: usize = 10;

/// What to ask for.
pub(crate) struct Request<'a> {
    /// Where.
    pub url: Url,
    /// The user's headers, for the URL's own host.
    pub headers: &'a HeaderMap,
    /// Where to begin, if not at the first byte.
    pub range: Option<Range>,
    /// Longest wait for the answer's head.
    pub stall: Duration,
}

/// A part of a file.
pub(crate) struct Range {
    /// First byte.
    pub first: u64,
    /// Last byte; none for the rest of the file.
    pub last: Option<u64>,
    /// The version of the file that it is the rest of, when known.
    pub validator: Option<String>,
}

impl Range {
    fn header(&self) -> String {
        let last = self.last.map(|last| last.to_string()).unwrap_or_default();
        format!("bytes={}-{last}", self.first)
    }
}

/// An answer.
pub(crate) struct Answer {
    /// Its head, with the body to come.
    pub response: Response,
    /// Where it came from, for messages.
    pub place: String,
    /// Whether it is from the URL's own host, and not from where that led to.
    pub is_own: bool,
}

/// A client for downloads. Redirects are left to [`send`], which knows which headers are secret.
pub(crate) fn client(settings: &Settings) -> Result<Client, Error> {
    Client::builder()
        .redirect(redirect::Policy::none())
        .connect_timeout(settings.stall)
        // A connection for each attempt: HTTP/2 would bring a stalled one back from the pool.
        .http1_only()
        .pool_max_idle_per_host(0)
        .user_agent(concat!("atelier-worker/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Error::Client(causes(error)))
}

/// Sends a request and follows redirects.
pub(crate) async fn send(client: &Client, request: &Request<'_>) -> Result<Answer, Error> {
    let mut at = request.url.clone();
    // Once it led to another host, even a way back is not the user's own request.
    let mut is_own = true;
    for _ in 0..=MAX_REDIRECTS {
        let place = place(&request.url, &at, is_own);
        let sending = build(client, request, at.clone(), is_own).send();
        let response = match tokio::time::timeout(request.stall, sending).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                return Err(Error::Connection {
                    place,
                    why: causes(error),
                });
            }
            Err(_) => {
                return Err(Error::Stalled {
                    place,
                    stall: request.stall,
                });
            }
        };
        if !is_redirect(response.status()) {
            return Ok(Answer {
                response,
                place,
                is_own,
            });
        }
        let next = next(&at, response.headers()).ok_or(Error::BadRedirect { place })?;
        is_own = is_own && next.origin() == request.url.origin();
        at = next;
        if is_own {
            keep_user(&request.url, &mut at);
        }
    }
    Err(Error::TooManyRedirects {
        place: redacted(&request.url),
        limit: MAX_REDIRECTS,
    })
}

fn build(client: &Client, request: &Request<'_>, url: Url, is_own: bool) -> reqwest::RequestBuilder {
    // The digest is that of the file, not of a compressed form of it.
    let mut builder = client.get(url).header(header::ACCEPT_ENCODING, "identity");
    if is_own {
        builder = builder.headers(request.headers.clone());
    }
    if let Some(range) = &request.range {
        builder = builder.header(header::RANGE, range.header());
        if let Some(validator) = &range.validator {
            builder = builder.header(header::IF_RANGE, validator);
        }
    }
    builder
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Where a redirect leads, if that is a place to download from.
fn next(at: &Url, headers: &HeaderMap) -> Option<Url> {
    let location = headers.get(header::LOCATION)?.to_str().ok()?;
    let next = at.join(location).ok()?;
    matches!(next.scheme(), "http" | "https").then_some(next)
}

/// Carries user and password along on the same host, as browsers do.
fn keep_user(from: &Url, to: &mut Url) {
    if to.username().is_empty() && to.password().is_none() {
        // These fail for URLs without a host only.
        let _ = to.set_username(from.username());
        let _ = to.set_password(from.password());
    }
}

fn place(asked: &Url, at: &Url, is_own: bool) -> String {
    let shown = redacted(asked);
    if asked == at {
        return shown;
    }
    let note = if is_own {
        ""
    } else {
        ", where the source's headers are not sent"
    };
    format!("{shown} (redirected to {}{note})", redacted(at))
}

/// An error with its causes, without the URL.
pub(crate) fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("/other?a=b", Some("http://h.example/other?a=b"))]
    #[case("https://cdn.example/m", Some("https://cdn.example/m"))]
    #[case("//cdn.example/m", Some("http://cdn.example/m"))]
    #[case("file:///etc/passwd", None)]
    #[case("http://[bad", None)]
    fn redirects_lead_to_http_only(#[case] location: &str, #[case] expected: Option<&str>) {
        let headers = [(header::LOCATION, location.parse().unwrap())].into_iter().collect();
        let at = Url::parse("http://h.example/dir/m").unwrap();
        assert_eq!(next(&at, &headers).map(String::from).as_deref(), expected);
    }

    #[test]
    fn the_user_is_kept_on_the_same_host() {
        let from = Url::parse("http://ann:pass@h.example/m").unwrap();
        let mut to = Url::parse("http://h.example/n").unwrap();
        keep_user(&from, &mut to);
        assert_eq!(to.as_str(), "http://ann:pass@h.example/n");
    }
}
