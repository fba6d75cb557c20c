//! Short files and answers, read at once.

use reqwest::header::HeaderMap;

use super::Settings;
use super::error::Error;
use super::fields::Fields;
use super::request::{self, Request};
use super::retry::Attempts;
use crate::source_url::SourceUrl;

/// What is asked for.
pub(crate) struct Small<'a> {
    /// Where from.
    pub url: &'a SourceUrl,
    /// Headers to send to the URL's own host.
    pub headers: &'a HeaderMap,
    /// Where its user set it.
    pub fields: &'static Fields,
    /// Bytes that it may have.
    pub limit: usize,
}

/// Reads all of it, with the patience of `settings`.
///
/// # Errors
/// When it cannot be read, or is longer than allowed.
pub(crate) async fn fetch_small(asked: &Small<'_>, settings: &Settings) -> Result<Vec<u8>, Error> {
    let client = request::client(settings)?;
    let mut attempts = Attempts::new(settings);
    loop {
        match attempt(asked, settings, &client).await {
            Ok(bytes) => return Ok(bytes),
            Err(error) => attempts.again(error, 0, (0, None)).await?,
        }
    }
}

async fn attempt(asked: &Small<'_>, settings: &Settings, client: &reqwest::Client) -> Result<Vec<u8>, Error> {
    let Small {
        url,
        headers,
        fields,
        limit,
    } = *asked;
    let request = Request {
        url: url.parse().map_err(|why| Error::InvalidUrl { why, fields })?,
        headers,
        range: None,
        stall: settings.stall,
    };
    let answer = request::send(client, &request).await?;
    if !answer.response.status().is_success() {
        return Err(Error::status(answer, fields));
    }
    let (mut response, place) = (answer.response, answer.place);
    let mut bytes = Vec::new();
    loop {
        match tokio::time::timeout(settings.stall, response.chunk()).await {
            Ok(Ok(Some(chunk))) if bytes.len() + chunk.len() > limit => return Err(Error::TooLong { place, limit }),
            Ok(Ok(Some(chunk))) => bytes.extend_from_slice(&chunk),
            Ok(Ok(None)) => return Ok(bytes),
            Ok(Err(error)) => {
                return Err(Error::Connection {
                    place,
                    why: request::causes(error),
                });
            }
            Err(_) => {
                return Err(Error::Stalled {
                    place,
                    stall: settings.stall,
                });
            }
        }
    }
}
