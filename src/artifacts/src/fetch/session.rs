//! One download under way.

use std::time::Duration;

use reqwest::Client;
use reqwest::header::HeaderMap;

use super::part::Part;
use super::ranges::{Fetching, HttpRanges, Outcome, RangeFile, RangeSettings, Version};
use super::request::{self, Answer, Request};
use super::resume::{self, Plan, Start};
use super::retry::Attempts;
use super::{Download, Error};
use crate::digest::Digest;

/// One download under way.
pub(super) struct Session<'a> {
    pub(super) download: &'a Download,
    pub(super) client: Client,
    pub(super) part: Part,
    pub(super) on_progress: &'a mut (dyn FnMut(u64, Option<u64>) + Send),
}

/// What came of one request.
enum Attempt {
    /// The answer was read to its end.
    Ended,
    /// The whole file would come in one stream, and it is worth to ask for ranges.
    Large(Version),
}

impl Session<'_> {
    /// Asks until the part has the right digest, and gives it its place.
    pub(super) async fn complete(mut self) -> Result<(), Error> {
        let download = self.download;
        let mut attempts = Attempts::new(&download.settings);
        let mut may_split = true;
        let mut restarted = false;
        // Nothing has a digest too: a server is asked at least once, whatever was promised.
        while self.part.length() == 0 || !self.part.has_digest(download.sha256) {
            let before = self.part.length();
            let error = match self.attempt(may_split).await {
                Ok(Attempt::Large(version)) => {
                    if self.in_ranges(version).await? {
                        return Ok(());
                    }
                    may_split = false;
                    continue;
                }
                Ok(Attempt::Ended) if self.part.has_digest(download.sha256) => break,
                Ok(Attempt::Ended) => {
                    let error = self.mismatch(self.part.digest(), self.part.length());
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
            self.part.flush().await?;
            let gained = self.part.length().saturating_sub(before);
            attempts
                .again(error, gained, (self.part.length(), self.part.total()))
                .await?;
        }
        RangeFile::discard(&download.target)?;
        self.part.publish(&download.target).await
    }

    /// Fetches this version of the file in several ranges at once and gives it its place. False when that cannot
    /// be: nothing of it is left then.
    pub(super) async fn in_ranges(&mut self, version: Version) -> Result<bool, Error> {
        let Download {
            url,
            sha256,
            target,
            settings,
            fields,
            ..
        } = self.download;
        let source = HttpRanges {
            client: &self.client,
            url: url.parse().map_err(|why| Error::InvalidUrl { why, fields })?,
            download: self.download,
            version: &version,
        };
        let file = RangeFile::open(target, &sha256.to_string(), &version, &settings.ranges)?;
        let fetching = Fetching {
            source: &source,
            file: &file,
            settings,
        };
        let total = Some(version.total);
        let outcome = fetching
            .run(true, &mut |bytes| (self.on_progress)(bytes, total))
            .await?;
        let found = match outcome {
            Outcome::Whole(Some(found)) if found == *sha256 => {
                Part::discard(target)?;
                file.publish(target).await?;
                return Ok(true);
            }
            Outcome::Whole(found) => found,
            Outcome::Refused => None,
        };
        let is_resumed = file.is_resumed();
        RangeFile::discard(target)?;
        match found {
            // The bytes of an earlier process may be those of another file.
            Some(found) if !is_resumed => return Err(self.mismatch(found, version.total)),
            Some(_) => tracing::warn!("{url} has another digest than promised; fetching it in one stream"),
            None => tracing::info!("{url} does not come in ranges; fetching it in one stream"),
        }
        Ok(false)
    }

    /// Asks once for what is missing and appends what comes.
    async fn attempt(&mut self, may_split: bool) -> Result<Attempt, Error> {
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
        let answer = request::send(&self.client, &request).await?;
        let response = &answer.response;
        let plan = resume::plan(
            response.status(),
            response.headers(),
            self.part.length(),
            self.part.total(),
        );
        let Some(plan) = plan else {
            return Err(Error::status(answer, fields));
        };
        if may_split && let Some(version) = worth_splitting(&plan, response.headers(), &settings.ranges) {
            return Ok(Attempt::Large(version));
        }
        let Answer { response, place, .. } = answer;
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
        receive(response, place, &mut self.part, settings.stall, &mut *self.on_progress).await?;
        Ok(Attempt::Ended)
    }

    fn mismatch(&self, found: Digest, bytes: u64) -> Error {
        Error::Mismatch {
            url: self.download.url.to_string(),
            expected: self.download.sha256,
            found,
            bytes,
            fields: self.download.fields,
        }
    }
}

/// Appends a body to the part, to its end.
pub(super) async fn receive(
    mut response: reqwest::Response,
    place: String,
    part: &mut Part,
    stall: Duration,
    on_progress: &mut (dyn FnMut(u64, Option<u64>) + Send),
) -> Result<(), Error> {
    loop {
        on_progress(part.length(), part.total());
        let chunk = match tokio::time::timeout(stall, response.chunk()).await {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) => break,
            Ok(Err(error)) => return Err(Error::broken(place, part, request::causes(error))),
            Err(_) => return Err(Error::Stalled { place, stall }),
        };
        part.append(&chunk).await?;
        if part.total().is_some_and(|total| part.length() > total) {
            let error = Error::broken(place, part, "the server sent more than it promised".into());
            part.restart().await?;
            return Err(error);
        }
    }
    part.flush().await?;
    if part.total().is_some_and(|total| part.length() < total) {
        return Err(Error::broken(place, part, "the server ended it early".into()));
    }
    Ok(())
}

/// The version of a file that begins to arrive in one stream, if ranges of it would be faster and can be asked for.
fn worth_splitting(plan: &Plan, headers: &HeaderMap, settings: &RangeSettings) -> Option<Version> {
    let total = plan.total.filter(|total| *total >= settings.from)?;
    let can = plan.start == Start::Zero && settings.at_once > 1 && !resume::refuses_ranges(headers);
    let validator = plan.validator.clone().filter(|_| can)?;
    Some(Version { validator, total })
}
