//! Ranges of one version of an object.

use std::ops::Range;

use futures::StreamExt as _;
use object_store::{Error as StoreError, GetOptions, GetRange};

use super::error::failure;
use super::object::{Fetcher, Object};
use crate::fetch::{Body, Error, Ranged};

/// What the crate says of a store that answers with the whole object; it has no error of its own for that.
const NO_RANGE: &str = "non-partial response";

/// One version of an object.
pub(super) struct ObjectRanges<'a> {
    /// What it is fetched with.
    pub fetcher: &'a Fetcher<'a>,
    /// Which.
    pub object: &'a Object,
}

impl Ranged for ObjectRanges<'_> {
    async fn open(&self, range: Range<u64>) -> Result<Option<Body>, Error> {
        let Self { fetcher, object } = self;
        let options = GetOptions {
            // Bytes of two versions make no file.
            if_match: object.etag.clone(),
            version: object.version.clone(),
            range: Some(GetRange::Bounded(range.clone())),
            ..GetOptions::default()
        };
        let uri = fetcher.uri.clone();
        let place = format!("{} of {uri}", object.location);
        let what = format!("download {place}");
        // Requests are repeated inside of it: what fails here has failed often.
        let answer = match fetcher.store.get_opts(&object.location, options).await {
            Ok(answer) => answer,
            Err(StoreError::Generic { source, .. }) if source.to_string().contains(NO_RANGE) => return Ok(None),
            Err(error) => return Err(Error::failed(failure(&what, &uri, &error), false)),
        };
        if answer.range != range || answer.meta.size != object.size || answer.meta.e_tag != object.etag {
            return Ok(None);
        }
        let chunks = answer.into_stream().map(move |chunk| {
            // A body breaks off at any time.
            chunk.map_err(|error| Error::failed(failure(&what, &uri, &error), true))
        });
        let chunks = Box::pin(chunks);
        Ok(Some(Body { place, chunks }))
    }
}
