//! One repository of a registry and the right to read it.

use std::path::Path;

use protocol::PrepareFailure;
use protocol::report::reasons;
use reqwest::Url;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use tokio::sync::Mutex;

use super::challenge::{Challenge, token};
use super::credentials::Login;
use super::manifest::{self, File};
use super::reference::Reference;
use crate::fetch::fields::OCI;
use crate::fetch::{self, Download, Error, Settings, Small, fetch_small};
use crate::source_url::SourceUrl;

/// Longest manifest: what the specification asks registries to take.
const MAX_MANIFEST: usize = 4 << 20;
const MAX_TOKEN: usize = 1 << 20;

/// What requests are authorized by.
#[derive(Clone, Default)]
struct Authorization {
    header: Option<HeaderValue>,
    /// How many there were before.
    number: u64,
}

/// A repository.
pub(super) struct Registry<'a> {
    reference: &'a Reference,
    base: Url,
    login: Option<Login>,
    settings: &'a Settings,
    authorization: Mutex<Authorization>,
}

impl<'a> Registry<'a> {
    /// The repository of a reference. Without TLS only on this machine, or if `plain_http` allows it.
    pub(super) fn new(
        reference: &'a Reference,
        login: Option<Login>,
        plain_http: bool,
        settings: &'a Settings,
    ) -> Result<Self, PrepareFailure> {
        let scheme = match plain_http || reference.is_loopback() {
            true => "http",
            false => "https",
        };
        let base = format!("{scheme}://{}/v2/{}/", reference.host(), reference.repository);
        let base = Url::parse(&base).map_err(|error| {
            let message = format!("failed to read the address {reference}: {error}; correct spec.source.oci.image");
            PrepareFailure::new(reasons::DOWNLOAD_FAILED, message, false)
        })?;
        Ok(Self {
            reference,
            base,
            login,
            settings,
            authorization: Mutex::default(),
        })
    }

    /// The document that a tag or digest names.
    pub(super) async fn manifest(&self, target: &str) -> Result<Vec<u8>, PrepareFailure> {
        let url = self.url("manifests", target);
        let mut has_tried = false;
        loop {
            let (mut headers, number) = self.headers().await;
            headers.insert(ACCEPT, HeaderValue::from_static(manifest::ACCEPT));
            let asked = Small {
                url: &url,
                headers: &headers,
                fields: &OCI,
                limit: MAX_MANIFEST,
            };
            match fetch_small(&asked, self.settings).await {
                Err(error) if !has_tried => self.authorize(error, number).await?,
                other => return Ok(other?),
            }
            has_tried = true;
        }
    }

    /// Brings a file to its place; tells bytes on disk.
    pub(super) async fn blob(
        &self,
        file: &File,
        target: &Path,
        mut on_progress: impl FnMut(u64) + Send,
    ) -> Result<(), PrepareFailure> {
        let mut there = None;
        let mut before = None;
        loop {
            let (headers, number) = self.headers().await;
            let download = Download {
                url: self.url("blobs", &file.digest.prefixed()),
                sha256: file.digest,
                headers,
                target: target.to_owned(),
                fields: &OCI,
                settings: *self.settings,
            };
            let tell = |bytes, _| {
                there = Some(bytes);
                on_progress(bytes);
            };
            match fetch::fetch(&download, tell).await {
                // A token does not live for as long as a large file takes: with a new one it goes on. One that
                // brought nothing is followed by no other.
                Err(error) if before.is_none() || there > before => self.authorize(error, number).await?,
                other => return Ok(other?),
            }
            before = there.or(Some(0));
        }
    }

    /// Gets what the registry asks for, if `error` is such a question to a request that was authorized by the
    /// `number`th authorization.
    async fn authorize(&self, error: Error, number: u64) -> Result<(), PrepareFailure> {
        let Some(challenge) = error.challenge().and_then(Challenge::parse) else {
            return Err(error.into());
        };
        let mut authorization = self.authorization.lock().await;
        if authorization.number > number {
            // Another request was first.
            return Ok(());
        }
        let header = match challenge {
            Challenge::Basic => self.login.as_ref().and_then(Login::basic).ok_or(error)?,
            Challenge::Bearer { realm, service } => self.token(&realm, service.as_deref()).await?,
        };
        *authorization = Authorization {
            header: Some(header),
            number: number + 1,
        };
        Ok(())
    }

    async fn token(&self, realm: &Url, service: Option<&str>) -> Result<HeaderValue, PrepareFailure> {
        let refused = |why: &str| {
            let message = format!(
                "failed to get a token for {}: {why}; check spec.source.oci.image",
                self.reference
            );
            PrepareFailure::new(reasons::FORBIDDEN, message, false)
        };
        if realm.scheme() != "https" && self.base.scheme() == "https" {
            return Err(refused("the registry sends credentials to a server without TLS"));
        }
        let basic = self.login.as_ref().and_then(Login::basic);
        let asked = Small {
            url: &source(&Challenge::token_url(realm, service, &self.reference.repository)),
            headers: &basic.map(|basic| (AUTHORIZATION, basic)).into_iter().collect(),
            fields: &OCI,
            limit: MAX_TOKEN,
        };
        let answer = fetch_small(&asked, self.settings).await?;
        let token = token(&answer).ok_or_else(|| refused("the server of tokens answered without one"))?;
        let header = HeaderValue::from_str(&format!("Bearer {token}"));
        let mut header = header.map_err(|_| refused("its token is no text that a header can hold"))?;
        header.set_sensitive(true);
        Ok(header)
    }

    async fn headers(&self) -> (HeaderMap, u64) {
        let Authorization { header, number } = self.authorization.lock().await.clone();
        (
            header.map(|header| (AUTHORIZATION, header)).into_iter().collect(),
            number,
        )
    }

    fn url(&self, kind: &str, name: &str) -> SourceUrl {
        let mut url = self.base.clone();
        // It fails for URLs without a path only.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend([kind, name]);
        }
        source(&url)
    }
}

fn source(url: &Url) -> SourceUrl {
    let parsed = url.as_str().parse();
    parsed.unwrap_or_else(|never: std::convert::Infallible| match never {})
}
