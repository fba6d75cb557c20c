//! Ranges from an HTTP server.

use std::ops::Range;

use futures::stream;
use reqwest::{Client, Response, Url};

use super::{Body, Ranged, Version};
use crate::fetch::error::Error;
use crate::fetch::request::{self, Answer, Request};
use crate::fetch::{Download, request::Range as Asked, resume};

/// One version of a file.
pub(in crate::fetch) struct HttpRanges<'a> {
    /// Who asks.
    pub client: &'a Client,
    /// Where it is.
    pub url: Url,
    /// What is wanted.
    pub download: &'a Download,
    /// The version.
    pub version: &'a Version,
}

impl Ranged for HttpRanges<'_> {
    async fn open(&self, range: Range<u64>) -> Result<Option<Body>, Error> {
        let Download {
            headers,
            settings,
            fields,
            ..
        } = self.download;
        let request = Request {
            url: self.url.clone(),
            headers,
            range: Some(Asked {
                first: range.start,
                last: Some(range.end.saturating_sub(1)),
                validator: Some(self.version.validator.clone()),
            }),
            stall: settings.stall,
        };
        let answer = request::send(self.client, &request).await?;
        let response = &answer.response;
        let status = response.status();
        if resume::is_range(status, response.headers(), &range, self.version) {
            let Answer { response, place, .. } = answer;
            let chunks = Box::pin(stream::try_unfold((response, place.clone()), next));
            return Ok(Some(Body { place, chunks }));
        }
        // 412 and 416: what was there is there no longer.
        if status.is_success() || matches!(status.as_u16(), 412 | 416) {
            return Ok(None);
        }
        Err(Error::status(answer, fields))
    }
}

type State = (Response, String);

async fn next((mut response, place): State) -> Result<Option<(bytes::Bytes, State)>, Error> {
    match response.chunk().await {
        Ok(chunk) => Ok(chunk.map(|chunk| (chunk, (response, place)))),
        Err(error) => Err(Error::Connection {
            place,
            why: request::causes(error),
        }),
    }
}
