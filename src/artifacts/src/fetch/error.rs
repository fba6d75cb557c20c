//! Why a download failed, and whether another try can help.

use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use protocol::PrepareFailure;
use protocol::report::reasons;
use reqwest::{StatusCode, header};

use super::fields::Fields;
use super::part::Part;
use super::request::Answer;
use super::retry::retry_after;
use crate::digest::Digest;
use crate::space::is_full;

/// A failed download. `place` is the URL without secrets, and where it redirected to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The URL is none.
    #[error("failed to read the URL: {why}; correct {}", fields.place)]
    InvalidUrl { why: String, fields: &'static Fields },
    /// The HTTP client cannot work here.
    #[error("failed to start the HTTP client: {0}")]
    Client(String),
    /// No connection, or it broke before the answer.
    #[error("failed to download {place}: {why}")]
    Connection { place: String, why: String },
    /// The server is silent.
    #[error("failed to download {place}: the server sent nothing for {} s", stall.as_secs_f64())]
    Stalled { place: String, stall: Duration },
    /// The body ended before its end.
    #[error("failed to download {place}: the download broke off after {received} bytes{}: {why}", of_total(*total))]
    Broken {
        place: String,
        received: u64,
        total: Option<u64>,
        why: String,
    },
    /// The server cannot continue where we stand.
    #[error("failed to resume {place}: the server has no such range of the file; it will be downloaded anew")]
    RangeRefused { place: String },
    /// 404 or 410.
    #[error("failed to download {place}: the server answered {status}; check {}", fields.place)]
    NotFound {
        place: String,
        status: StatusCode,
        fields: &'static Fields,
    },
    /// 401, 403 or 407.
    #[error("failed to download {place}: the server answered {status}; check the credentials in {}", fields.credentials)]
    Forbidden {
        place: String,
        status: StatusCode,
        fields: &'static Fields,
        /// What the server wants to see, if it is the one that was asked.
        challenge: Option<String>,
    },
    /// Another status than success.
    #[error("failed to download {place}: the server answered {status}{}", asks_to_wait(*retry_after))]
    Status {
        place: String,
        status: StatusCode,
        retry_after: Option<Duration>,
    },
    /// A redirect to nowhere.
    #[error("failed to follow the redirect of {place}: it names no http or https URL")]
    BadRedirect { place: String },
    /// Redirects without end.
    #[error("failed to download {place}: it redirects more than {limit} times")]
    TooManyRedirects { place: String, limit: usize },
    /// Other bytes than promised.
    #[error(
        "failed to verify {url}: expected sha256 {expected}, its {bytes} bytes have sha256 {found}; {}",
        fields.mismatch
    )]
    Mismatch {
        url: String,
        expected: Digest,
        found: Digest,
        bytes: u64,
        fields: &'static Fields,
    },
    /// A file that is read at once, and is longer than such files are.
    #[error("failed to download {place}: it is longer than {} MiB, which no file of its kind is", limit >> 20)]
    TooLong { place: String, limit: usize },
    /// The disk is too small.
    #[error(
        "failed to store the file: {needed} more bytes are needed in {dir}, {free} are free; \
         free some or give the pod more storage"
    )]
    NoSpace { dir: String, needed: u64, free: u64 },
    /// The disk filled up.
    #[error("failed to {action} {path}: {source}; free some space or give the pod more storage")]
    DiskFull {
        action: &'static str,
        path: String,
        source: io::Error,
    },
    /// The disk refused.
    #[error("failed to {action} {path}: {source}")]
    Disk {
        action: &'static str,
        path: String,
        source: io::Error,
    },
    /// What another client than ours says.
    #[error("{failure}")]
    Failed { failure: PrepareFailure, transient: bool },
    /// Too many failures in a row.
    #[error(
        "{last}; gave up after {attempts} failed {} in a row with {bytes} bytes{} on disk, from where the next try resumes; \
         check that the server can be reached from the pod's namespace",
        if *attempts == 1 { "attempt" } else { "attempts" },
        of_total(*total)
    )]
    GaveUp {
        last: Box<Error>,
        attempts: u32,
        bytes: u64,
        total: Option<u64>,
    },
}

fn of_total(total: Option<u64>) -> String {
    total.map(|total| format!(" of {total}")).unwrap_or_default()
}

fn asks_to_wait(retry_after: Option<Duration>) -> String {
    let wait = |wait: Duration| format!(" and asks to wait {} s", wait.as_secs());
    retry_after.map(wait).unwrap_or_default()
}

impl Error {
    /// For `map_err`: what was done to which path.
    pub(crate) fn disk(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| {
            if is_full(&source) {
                Self::DiskFull { action, path, source }
            } else {
                Self::Disk { action, path, source }
            }
        }
    }

    /// A failure that another client than ours reports; `transient` when another request may help.
    pub(crate) fn failed(failure: PrepareFailure, transient: bool) -> Self {
        Self::Failed { failure, transient }
    }

    /// The error that an unsuccessful status is.
    pub(crate) fn status(answer: Answer, fields: &'static Fields) -> Self {
        let Answer {
            response,
            place,
            is_own,
        } = answer;
        let status = response.status();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        match status.as_u16() {
            401 | 403 | 407 => Self::Forbidden {
                place,
                status,
                fields,
                challenge: header(header::WWW_AUTHENTICATE).filter(|_| is_own).map(str::to_owned),
            },
            404 | 410 => Self::NotFound { place, status, fields },
            _ => Self::Status {
                place,
                status,
                retry_after: header(header::RETRY_AFTER).and_then(|value| retry_after(value, Timestamp::now())),
            },
        }
    }

    /// A body that ended before its end.
    pub(crate) fn broken(place: String, part: &Part, why: String) -> Self {
        Self::Broken {
            place,
            received: part.length(),
            total: part.total(),
            why,
        }
    }

    /// This error as the last of many.
    pub(crate) fn gave_up(self, attempts: u32, bytes: u64, total: Option<u64>) -> Self {
        Self::GaveUp {
            last: Box::new(self),
            attempts,
            bytes,
            total,
        }
    }

    /// Whether to try again within this run.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Connection { .. } | Self::Stalled { .. } | Self::Broken { .. } | Self::RangeRefused { .. } => true,
            Self::Failed { transient, .. } => *transient,
            Self::Status { status, .. } => status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429),
            _ => false,
        }
    }

    /// What the server that was asked wants to see first.
    pub(crate) fn challenge(&self) -> Option<&str> {
        match self {
            Self::Forbidden { challenge, .. } => challenge.as_deref(),
            _ => None,
        }
    }

    /// How long the server asks us to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl From<Error> for PrepareFailure {
    fn from(error: Error) -> Self {
        if let Error::Failed { failure, .. } = error {
            return failure;
        }
        let (reason, retryable) = match &error {
            Error::NotFound { .. } => (reasons::NOT_FOUND, false),
            Error::Forbidden { .. } => (reasons::FORBIDDEN, false),
            Error::Mismatch { .. } => (reasons::DIGEST_MISMATCH, false),
            // Room appears without a change of the spec: volumes grow, other data goes away, the
            // next pod may land on another node. What is on disk already stays for it.
            Error::NoSpace { .. } | Error::DiskFull { .. } => (reasons::NO_SPACE, true),
            Error::Disk { .. } => (reasons::INTERNAL, true),
            Error::Client(_) => (reasons::INTERNAL, false),
            Error::InvalidUrl { .. }
            | Error::BadRedirect { .. }
            | Error::TooManyRedirects { .. }
            | Error::TooLong { .. } => (reasons::DOWNLOAD_FAILED, false),
            Error::Status { .. } => (reasons::DOWNLOAD_FAILED, error.is_transient()),
            Error::Connection { .. }
            | Error::Stalled { .. }
            | Error::Broken { .. }
            | Error::RangeRefused { .. }
            | Error::Failed { .. }
            | Error::GaveUp { .. } => (reasons::DOWNLOAD_FAILED, true),
        };
        Self::new(reason, error.to_string(), retryable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_has_its_own_reason() {
        let failure = |number| {
            let error = Error::disk("write", Path::new("/model/m.part"))(io::Error::from_raw_os_error(number));
            PrepareFailure::from(error)
        };
        assert_eq!(
            (failure(28).reason.as_str(), failure(28).retryable),
            (reasons::NO_SPACE, true)
        );
        assert_eq!(failure(5).reason, reasons::INTERNAL);
        assert!(failure(28).message.contains("/model/m.part"));
    }
}
