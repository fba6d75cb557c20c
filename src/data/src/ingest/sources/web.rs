//! Pages of web servers, and those that they link to on the same host.
//!
//! A page that a source names has to be there; one that is only linked to may be gone. A server that fails makes the
//! source fail: nothing follows from what it did not say.

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::PrepareFailure;
use protocol::report::reasons;
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Client, Response, StatusCode, Url};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::Listing;
use crate::documents::{self, links};
use crate::failure::{Result, disk};
use crate::ingest::acl::Rights;
use crate::ingest::found::{Content, Found};

/// Pages of a source.
const MAX_PAGES: usize = 10_000;
const MAX_REDIRECTS: usize = 10;
/// Bytes of a page that is looked through for links.
const MAX_LINKING: u64 = 8 << 20;
/// Tries of a server that fails, and the wait after the first one.
const TRIES: u32 = 4;
const WAIT: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(30);
const MAX_NAME: usize = 2048;

/// A page to come.
struct Wanted {
    url: Url,
    depth: u32,
    /// Whether the source names it.
    is_named: bool,
}

/// What came.
enum Page {
    Here(Box<Fetched>),
    /// There is none, or it is none that is read.
    Gone,
}

struct Fetched {
    /// Where it was in the end.
    url: Url,
    path: PathBuf,
    media_type: Option<String>,
    digest: String,
    bytes: u64,
}

/// The pages of a source.
pub(super) async fn pages(
    urls: &[String],
    depth: u32,
    headers: Option<&Path>,
    listing: &Listing<'_>,
) -> Result<Vec<Found>> {
    let headers = headers
        .map(artifacts::data::request_headers)
        .transpose()?
        .unwrap_or_default();
    let client = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(PATIENCE)
        .read_timeout(PATIENCE)
        .user_agent(concat!("atelier-data/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| PrepareFailure::new(reasons::INTERNAL, format!("failed to make a client: {error}"), true))?;
    let crawl = Crawl {
        client,
        headers,
        hosts: HashSet::new(),
        listing,
    };
    crawl.run(urls, depth).await
}

struct Crawl<'a> {
    client: Client,
    headers: HeaderMap,
    /// Origins of what the source names: the only ones that see its headers.
    hosts: HashSet<String>,
    listing: &'a Listing<'a>,
}

impl Crawl<'_> {
    async fn run(mut self, urls: &[String], depth: u32) -> Result<Vec<Found>> {
        let mut wanted = VecDeque::new();
        let mut seen = HashSet::new();
        for url in urls {
            let url = parse(url)?;
            self.hosts.insert(url.origin().ascii_serialization());
            if seen.insert(url.clone()) {
                wanted.push_back(Wanted {
                    url,
                    depth,
                    is_named: true,
                });
            }
        }
        let mut found = Vec::new();
        let mut arrived = HashSet::new();
        while let Some(next) = wanted.pop_front() {
            if found.len() >= MAX_PAGES {
                tracing::warn!(
                    "{} links to more than {MAX_PAGES} pages; the others are passed over",
                    self.listing.source.name
                );
                break;
            }
            let Page::Here(page) = self.fetch(&next, found.len()).await? else {
                continue;
            };
            if !arrived.insert(page.url.clone()) {
                continue;
            }
            if next.depth > 0 {
                for url in self.links(&page).await {
                    if seen.len() < 4 * MAX_PAGES && seen.insert(url.clone()) {
                        wanted.push_back(Wanted {
                            url,
                            depth: next.depth - 1,
                            is_named: false,
                        });
                    }
                }
            }
            found.extend(self.document(&next.url, *page));
        }
        Ok(found)
    }

    fn document(&self, url: &Url, page: Fetched) -> Option<Found> {
        let name = shown(url);
        if name.len() > MAX_NAME {
            tracing::warn!(
                "a page is passed over, its address has more than {MAX_NAME} bytes: {}…",
                &name[..name.floor_char_boundary(200)]
            );
            return None;
        }
        let most = self.listing.limits.bytes;
        Some(Found {
            file: url.path().to_owned(),
            media_type: page.media_type,
            origin: Some(name.clone()),
            about: String::new(),
            bytes: page.bytes,
            digest: page.digest,
            rights: Rights::of_source(self.listing.source.clearance),
            refused: (page.bytes > most).then(|| documents::too_large(page.bytes, most)),
            content: Content::File(page.path),
            name,
        })
    }

    /// Where a page leads, on hosts that the source names.
    async fn links(&self, page: &Fetched) -> Vec<Url> {
        if page.bytes > MAX_LINKING {
            return Vec::new();
        }
        let (path, media_type) = (page.path.clone(), page.media_type.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let bytes = std::fs::read(path).unwrap_or_default();
            let is_html = media_type.as_deref().is_some_and(|kind| kind.contains("html"))
                || bytes.trim_ascii_start().starts_with(b"<");
            if is_html {
                links(&bytes, media_type.as_deref())
            } else {
                Vec::new()
            }
        });
        let mut base = page.url.clone();
        let mut urls = Vec::new();
        for link in reading.await.unwrap_or_default() {
            if let Some(to) = link.strip_prefix("base:") {
                base = base.join(to).unwrap_or(base);
                continue;
            }
            let Ok(mut url) = base.join(&link) else { continue };
            url.set_fragment(None);
            let is_ours =
                matches!(url.scheme(), "http" | "https") && self.hosts.contains(&url.origin().ascii_serialization());
            if is_ours {
                urls.push(url);
            }
        }
        urls
    }

    /// Brings a page, as often as it takes.
    async fn fetch(&self, wanted: &Wanted, number: usize) -> Result<Page> {
        let mut wait = WAIT;
        for tried in 1.. {
            let why = match self.once(wanted, number).await? {
                Ok(page) => return Ok(page),
                Err(why) => why,
            };
            if tried >= TRIES {
                let message = format!("failed to fetch {}: {why}", shown(&wanted.url));
                return Err(PrepareFailure::new(reasons::DOWNLOAD_FAILED, message, true));
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        Ok(Page::Gone)
    }

    /// A try; inside, why another one may help.
    async fn once(&self, wanted: &Wanted, number: usize) -> Result<std::result::Result<Page, String>> {
        let mut url = wanted.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let is_own = self.hosts.contains(&url.origin().ascii_serialization());
            let mut request = self.client.get(url.clone());
            if is_own {
                request = request.headers(self.headers.clone());
            }
            let response = match request.send().await {
                Ok(response) => response,
                Err(error) => return Ok(Err(error.without_url().to_string())),
            };
            let status = response.status();
            if status.is_redirection() {
                let location = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
                let Some(next) = location.and_then(|to| url.join(to).ok()) else {
                    return Ok(Err("it redirects to nowhere".into()));
                };
                // Links lead to no other host, by whatever way.
                let is_ours = self.hosts.contains(&next.origin().ascii_serialization());
                if !matches!(next.scheme(), "http" | "https") || !(is_ours || wanted.is_named) {
                    return Ok(Ok(Page::Gone));
                }
                url = next;
                continue;
            }
            return self.answer(wanted, url, response, number).await;
        }
        Ok(Err("it redirects in a circle".into()))
    }

    async fn answer(
        &self,
        wanted: &Wanted,
        url: Url,
        response: Response,
        number: usize,
    ) -> Result<std::result::Result<Page, String>> {
        let status = response.status();
        if !status.is_success() {
            let is_final = status.is_client_error()
                && !matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
            return match (is_final, wanted.is_named) {
                (false, _) => Ok(Err(format!("the server answers {status}"))),
                (true, false) => Ok(Ok(Page::Gone)),
                (true, true) => {
                    let (reason, advice) = match status.as_u16() {
                        401 | 403 => (reasons::FORBIDDEN, "check http.headersSecretRef"),
                        _ => (reasons::NOT_FOUND, "check http.urls"),
                    };
                    let message = format!(
                        "failed to fetch {}: the server answers {status}; {advice}",
                        shown(&wanted.url)
                    );
                    Err(PrepareFailure::new(reason, message, false))
                }
            };
        }
        let media_type = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        if !wanted.is_named && !is_read(media_type.as_deref()) {
            return Ok(Ok(Page::Gone));
        }
        let path = self.listing.directory.join(format!("page-{number}"));
        let page = save(response, &path, self.listing.limits.bytes).await?;
        Ok(page.map(|(digest, bytes)| {
            Page::Here(Box::new(Fetched {
                url,
                path,
                media_type,
                digest,
                bytes,
            }))
        }))
    }
}

/// Writes a body to a file, up to so many bytes and one more; its digest and size.
async fn save(mut response: Response, path: &Path, most: u64) -> Result<std::result::Result<(String, u64), String>> {
    let mut file = tokio::fs::File::create(path).await.map_err(disk("create", path))?;
    let (mut sum, mut bytes) = (Sha256::new(), 0);
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                bytes += chunk.len() as u64;
                sum.update(&chunk);
                file.write_all(&chunk).await.map_err(disk("write", path))?;
                if bytes > most {
                    break;
                }
            }
            Ok(None) => break,
            Err(error) => return Ok(Err(error.without_url().to_string())),
        }
    }
    file.flush().await.map_err(disk("write", path))?;
    Ok(Ok((hex::encode(sum.finalize()), bytes)))
}

/// Whether what is only linked to may be a document.
fn is_read(media_type: Option<&str>) -> bool {
    let essence = media_type
        .and_then(|media_type| media_type.split(';').next())
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    matches!(
        essence.as_str(),
        "text/html"
            | "application/xhtml+xml"
            | "text/plain"
            | "text/markdown"
            | "text/csv"
            | "application/pdf"
            | "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    )
}

fn parse(url: &str) -> Result<Url> {
    let refused = |why: String| {
        PrepareFailure::new(
            reasons::NOT_FOUND,
            format!("failed to read http.urls: {url:?} is no address of a web server{why}"),
            false,
        )
    };
    let mut url = Url::parse(url).map_err(|error| refused(format!(": {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(refused(String::new()));
    }
    url.set_fragment(None);
    Ok(url)
}

/// An address without secrets.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // These fail for addresses without a host only.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}
