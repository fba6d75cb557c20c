//! Several ranges of one file at once, where the server can: one connection alone is seldom as fast as the way to it.
//!
//! The bytes go to their places in `TARGET.ranges`; `TARGET.ranges.json` says which are there
//! ([`RangeFile`]). Whatever speaks against ranges (an answer without them, another version of the file)
//! leads back to a single stream.

mod file;
mod hashing;
mod http;

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

pub(crate) use self::file::{RangeFile, Version};
use self::hashing::Hashing;
pub(super) use self::http::HttpRanges;
use super::Settings;
use super::error::Error;
use super::retry::Attempts;
use crate::digest::Digest;

/// Bytes that are collected before they are written.
const BUFFER_BYTES: usize = 1 << 20;

/// When a file is fetched in ranges, and in how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RangeSettings {
    /// Size from which on a file is.
    pub from: u64,
    /// Ranges of one file at the same time.
    pub at_once: usize,
    /// Least bytes of a range, but for the last.
    pub smallest: u64,
}

impl Default for RangeSettings {
    fn default() -> Self {
        Self {
            from: 64 << 20,
            at_once: 4,
            smallest: 16 << 20,
        }
    }
}

/// Where ranges come from.
pub(crate) trait Ranged: Sync {
    /// Asks for these bytes; `None` when the server gives no such range of the same version of the file.
    fn open(&self, range: Range<u64>) -> impl Future<Output = Result<Option<Body>, Error>> + Send;
}

/// The bytes of a range, as they come.
pub(crate) struct Body {
    /// Where from, for messages.
    pub place: String,
    /// The bytes.
    pub chunks: BoxStream<'static, Result<Bytes, Error>>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All bytes are there, and have this digest if it was asked for.
    Whole(Option<Digest>),
    /// The server does not give ranges of this version of the file.
    Refused,
}

/// Why a range ends before its end.
enum Stop {
    Refused,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Who hears how many bytes are there.
type Tell<'a> = Mutex<&'a mut (dyn FnMut(u64) + Send)>;

/// A file on its way.
pub(crate) struct Fetching<'a, S> {
    /// Where from.
    pub source: &'a S,
    /// Where to.
    pub file: &'a RangeFile,
    /// Patience, with each range on its own.
    pub settings: &'a Settings,
}

impl<S: Ranged> Fetching<'_, S> {
    /// Fetches what is missing; tells the bytes on disk as they come. `hash` asks for the digest of the whole.
    ///
    /// # Errors
    /// When a range cannot be fetched. What is there stays for the next try.
    pub(crate) async fn run(&self, hash: bool, on_progress: &mut (dyn FnMut(u64) + Send)) -> Result<Outcome, Error> {
        let pieces = 0..self.file.pieces();
        let bounds = || pieces.clone().map(|piece| self.file.bounds(piece)).collect();
        let hashing = hash.then(|| Hashing::start(self.file.reader(), bounds()));
        let is_whole = |piece| hashing.iter().for_each(|hashing| hashing.add(piece));
        let (whole, missing): (Vec<_>, Vec<_>) = pieces.clone().partition(|piece| self.file.missing(*piece).is_empty());
        whole.into_iter().for_each(is_whole);
        on_progress(self.file.there());
        let tell = Mutex::new(on_progress);
        let arrived = stream::iter(missing)
            .map(|piece| self.piece(piece, &tell))
            .buffer_unordered(self.settings.ranges.at_once.max(1))
            .try_for_each(|piece| {
                is_whole(piece);
                std::future::ready(Ok(()))
            })
            .await;
        match arrived {
            Ok(()) => {}
            Err(Stop::Refused) => return Ok(Outcome::Refused),
            Err(Stop::Failed(error)) => {
                self.file.save().await?;
                return Err(error);
            }
        }
        let Some(hashing) = hashing else {
            return Ok(Outcome::Whole(None));
        };
        let digest = hashing.finish().await.map_err(Error::disk("read", self.file.path()))?;
        Ok(Outcome::Whole(Some(digest)))
    }

    /// Asks until the piece is whole.
    async fn piece(&self, piece: usize, tell: &Tell<'_>) -> Result<usize, Stop> {
        let mut attempts = Attempts::new(self.settings);
        loop {
            let before = self.file.missing(piece).start;
            match self.attempt(piece, tell).await {
                Ok(()) => return Ok(piece),
                Err(Stop::Refused) => return Err(Stop::Refused),
                Err(Stop::Failed(error)) => {
                    let gained = self.file.missing(piece).start - before;
                    let there = (self.file.there(), Some(self.file.total()));
                    attempts.again(error, gained, there).await?;
                }
            }
        }
    }

    /// Asks once for what is missing of the piece.
    async fn attempt(&self, piece: usize, tell: &Tell<'_>) -> Result<(), Stop> {
        let missing = self.file.missing(piece);
        let Some(mut body) = self.source.open(missing.clone()).await? else {
            return Err(Stop::Refused);
        };
        let stall = self.settings.stall;
        let mut left = missing.end - missing.start;
        let mut collected = Vec::new();
        let ended = loop {
            let chunk = match tokio::time::timeout(stall, body.chunks.next()).await {
                Ok(Some(Ok(chunk))) => chunk,
                Ok(Some(Err(error))) => break Err(error),
                Ok(None) => break Ok(()),
                Err(_) => {
                    let place = body.place.clone();
                    break Err(Error::Stalled { place, stall });
                }
            };
            let length = chunk.len() as u64;
            if length > left {
                return Err(Stop::Refused);
            }
            left -= length;
            collected.extend_from_slice(&chunk);
            if collected.len() >= BUFFER_BYTES {
                self.append(piece, std::mem::take(&mut collected), tell).await?;
            }
        };
        self.append(piece, collected, tell).await?;
        ended?;
        match left {
            0 => Ok(()),
            _ => Err(Stop::Failed(Error::Broken {
                place: body.place,
                received: self.file.there(),
                total: Some(self.file.total()),
                why: "the server ended it early".into(),
            })),
        }
    }

    async fn append(&self, piece: usize, bytes: Vec<u8>, tell: &Tell<'_>) -> Result<(), Error> {
        self.file.append(piece, bytes).await?;
        (tell.lock().unwrap_or_else(PoisonError::into_inner))(self.file.there());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
