//! Downloads that survive broken connections, restarts of the server and of this process.
//!
//! The bytes go to `TARGET.part`, hashed as they arrive; `TARGET.part.json` holds what a later
//! request needs to continue ([`part::State`]). Only a file with the pinned digest is renamed to
//! `TARGET`. `TARGET.lock` keeps two processes from writing the same part.

mod error;
pub(crate) mod fields;
mod meter;
mod part;
mod publish;
mod request;
mod resume;
mod retry;
mod small;

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Client;
use reqwest::header::HeaderMap;

use crate::digest::Digest;
use crate::source_url::SourceUrl;
pub(crate) use error::Error;
use fields::Fields;
pub(crate) use meter::Meter;
pub(crate) use part::Part;
pub(crate) use publish::{beside, lock, publish_small};
use request::{Answer, Request};
use resume::Start;
use retry::Backoff;
pub(crate) use small::{Small, fetch_small};

/// Bytes of one attempt that show that the server works: attempts before it are forgotten. Less is
/// not counted, or a server that stalls after a little would be asked for ever.
pub(crate) const SUBSTANTIAL_BYTES: u64 = 16 << 20;

/// One file to fetch.
#[derive(Clone, Debug)]
pub(crate) struct Download {
    /// Where from.
    pub url: SourceUrl,
    /// Digest that the file must have.
    pub sha256: Digest,
    /// Headers to send to the URL's own host.
    pub headers: HeaderMap,
    /// Where to; its directory is created.
    pub target: PathBuf,
    /// Where its user set it.
    pub fields: &'static Fields,
    /// Patience.
    pub settings: Settings,
}

/// How patient a download is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Longest silence of the server, and longest attempt to connect.
    pub stall: Duration,
    /// Failed attempts in a row before giving up.
    pub attempts: u32,
    /// Waits between attempts.
    pub backoff: Backoff,
}

impl Default for Settings {
    /// Gives up on a silent server after about two minutes; the Job tries again later.
    fn default() -> Self {
        Self {
            stall: Duration::from_secs(30),
            attempts: 4,
            backoff: Backoff {
                first: Duration::from_secs(1),
                longest: Duration::from_secs(30),
            },
        }
    }
}

#[cfg(test)]
impl Settings {
    /// Three quick attempts.
    pub(crate) fn impatient() -> Self {
        Self {
            // Long, so that no slow machine fails; tests of silence shorten it.
            stall: Duration::from_secs(30),
            attempts: 3,
            backoff: Backoff {
                first: Duration::from_millis(1),
                longest: Duration::from_millis(2),
            },
        }
    }
}

/// Brings the file to its target, unless it is there already; tells bytes on disk and bytes in all
/// as they come.
///
/// # Errors
/// When the download cannot succeed, or did not after the attempts of [`Settings`].
pub(crate) async fn fetch(
    download: &Download,
    mut on_progress: impl FnMut(u64, Option<u64>) + Send,
) -> Result<(), Error> {
    let target = &download.target;
    if publish::is_complete(target, download.sha256).await? {
        tracing::info!("{} is complete already", target.display());
        return Ok(());
    }
    let _lock = publish::lock(target).await?;
    // Whoever held the lock may have done the work.
    if publish::is_complete(target, download.sha256).await? {
        return Ok(());
    }
    let part = Part::open(target, download.sha256.to_string()).await?;
    let mut session = Session {
        download,
        client: request::client(&download.settings)?,
        part,
        on_progress: &mut on_progress,
    };
    session.complete().await?;
    session.part.publish(target).await
}

/// One download under way.
struct Session<'a> {
    download: &'a Download,
    client: Client,
    part: Part,
    on_progress: &'a mut (dyn FnMut(u64, Option<u64>) + Send),
}

impl Session<'_> {
    /// Asks until the part has the right digest.
    async fn complete(&mut self) -> Result<(), Error> {
        let settings = &self.download.settings;
        let mut failures = 0;
        let mut restarted = false;
        // Nothing has a digest too: a server is asked at least once, whatever was promised.
        while self.part.length() == 0 || !self.part.has_digest(self.download.sha256) {
            let before = self.part.length();
            let error = match self.attempt().await {
                Ok(()) if self.part.has_digest(self.download.sha256) => break,
                Ok(()) => {
                    let error = self.mismatch();
                    // The bytes of an earlier attempt may be those of another file.
                    let may_be_ours = self.part.is_resumed() && !restarted;
                    self.part.restart().await?;
                    if !may_be_ours {
                        return Err(error);
                    }
                    tracing::warn!("{error}; starting again from zero");
                    restarted = true;
                    continue;
                }
                Err(error) => error,
            };
            if !error.is_transient() {
                return Err(error);
            }
            self.part.flush().await?;
            if self.part.length().saturating_sub(before) >= SUBSTANTIAL_BYTES {
                failures = 0;
            }
            failures += 1;
            let wait = settings.backoff.wait(failures, error.retry_after(), rand::random());
            match wait {
                Some(wait) if failures < settings.attempts => {
                    tracing::warn!("{error}; trying again in {:.1} s", wait.as_secs_f64());
                    tokio::time::sleep(wait).await;
                }
                _ => return Err(error.gave_up(failures, self.part.length(), self.part.total())),
            }
        }
        Ok(())
    }

    /// Asks once for what is missing and appends what comes.
    async fn attempt(&mut self) -> Result<(), Error> {
        let Download {
            url,
            headers,
            settings,
            fields,
            ..
        } = self.download;
        let request = Request {
            url: url.parse().map_err(|why| Error::InvalidUrl { why, fields })?,
            headers,
            range: self.part.range(),
            stall: settings.stall,
        };
        let Answer { response, place } = request::send(&self.client, &request).await?;
        let plan = resume::plan(
            response.status(),
            response.headers(),
            self.part.length(),
            self.part.total(),
        );
        let plan = match plan {
            Some(plan) => plan,
            None => return Err(Error::status(place, &response, fields)),
        };
        match plan.start {
            Start::Here => self.part.continue_with(plan.total).await?,
            Start::Zero => {
                self.part.restart().await?;
                self.part.begin(plan.validator, plan.total).await?;
            }
            Start::Nowhere => {
                self.part.restart().await?;
                return Err(Error::RangeRefused { place });
            }
        }
        self.part.check_space().await?;
        self.receive(response, place).await
    }

    async fn receive(&mut self, mut response: reqwest::Response, place: String) -> Result<(), Error> {
        let stall = self.download.settings.stall;
        loop {
            (self.on_progress)(self.part.length(), self.part.total());
            let chunk = match tokio::time::timeout(stall, response.chunk()).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => break,
                Ok(Err(error)) => return Err(Error::broken(place, &self.part, request::causes(error))),
                Err(_) => return Err(Error::Stalled { place, stall }),
            };
            self.part.append(&chunk).await?;
            if self.part.total().is_some_and(|total| self.part.length() > total) {
                let error = Error::broken(place, &self.part, "the server sent more than it promised".into());
                self.part.restart().await?;
                return Err(error);
            }
        }
        self.part.flush().await?;
        if self.part.total().is_some_and(|total| self.part.length() < total) {
            return Err(Error::broken(place, &self.part, "the server ended it early".into()));
        }
        Ok(())
    }

    fn mismatch(&self) -> Error {
        Error::Mismatch {
            url: self.download.url.to_string(),
            expected: self.download.sha256,
            found: self.part.digest(),
            bytes: self.part.length(),
            fields: self.download.fields,
        }
    }
}

#[cfg(test)]
mod tests;
