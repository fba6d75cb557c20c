//! Downloads that survive broken connections, restarts of the server and of this process.
//!
//! The bytes go to `TARGET.part`, hashed as they arrive; `TARGET.part.json` holds what a later
//! request needs to continue ([`part::State`]). Only a file with the pinned digest is renamed to
//! `TARGET`. `TARGET.lock` keeps two processes from writing the same part. Large files come in several
//! ranges at once instead, where the server can ([`ranges`]).

mod error;
pub(crate) mod fields;
mod meter;
mod part;
mod publish;
mod ranges;
mod request;
mod resume;
mod retry;
mod session;
mod small;
mod unpinned;

use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::HeaderMap;

use crate::digest::Digest;
use crate::source_url::SourceUrl;
pub(crate) use error::Error;
use fields::Fields;
pub(crate) use meter::Meter;
pub(crate) use part::Part;
pub(crate) use publish::{beside, lock, publish_small};
pub(crate) use ranges::{Body, Fetching, Outcome, RangeFile, RangeSettings, Ranged, Version};
use retry::Backoff;
use session::Session;
pub(crate) use small::{Small, fetch_small};
pub(crate) use unpinned::{Unpinned, fetch_unpinned};

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
    /// Which files are fetched in several ranges at once.
    pub ranges: RangeSettings,
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
            ranges: RangeSettings::default(),
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
            ranges: RangeSettings::default(),
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
    if session.part.length() == 0 {
        let known = RangeFile::known(target, &download.sha256.to_string());
        if let Some(version) = known
            && session.in_ranges(version).await?
        {
            return Ok(());
        }
    }
    session.complete().await
}

#[cfg(test)]
mod tests;
