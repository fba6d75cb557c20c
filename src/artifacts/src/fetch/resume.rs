//! What an answer means for the bytes that are there already (RFC 9110, section 14).

use std::ops::Range;

use reqwest::StatusCode;
use reqwest::header::{self, HeaderMap, HeaderName};

use super::ranges::Version;

/// What to do with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Where its body begins.
    pub start: Start,
    /// Size of the whole file, when the server said so.
    pub total: Option<u64>,
    /// What identifies this version of the file in a later `If-Range`.
    pub validator: Option<String>,
}

/// Where a body begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Right behind the bytes on disk.
    Here,
    /// At the file's first byte: what is on disk is void.
    Zero,
    /// At no place of use: ask again for the whole file.
    Nowhere,
}

/// Judges an answer to a request from byte `asked` on (0: for the whole file) of a file that had
/// `known_total` bytes. `None` when the status is no success.
pub(crate) fn plan(status: StatusCode, headers: &HeaderMap, asked: u64, known_total: Option<u64>) -> Option<Plan> {
    let (start, total) = match status {
        StatusCode::OK => (
            Start::Zero,
            text(headers, &header::CONTENT_LENGTH).and_then(|n| n.parse().ok()),
        ),
        StatusCode::PARTIAL_CONTENT => {
            let (first, total) = text(headers, &header::CONTENT_RANGE).and_then(content_range).unzip();
            let total = total.flatten();
            let same_size = known_total.is_none() || total.is_none() || total == known_total;
            match first {
                Some(0) => (Start::Zero, total),
                Some(first) if first == asked && same_size => (Start::Here, total.or(known_total)),
                _ => (Start::Nowhere, None),
            }
        }
        StatusCode::RANGE_NOT_SATISFIABLE if asked > 0 => (Start::Nowhere, None),
        _ => return None,
    };
    Some(Plan {
        start,
        total,
        validator: validator(headers),
    })
}

/// First byte and total size of `bytes 5-9/10` or `bytes 5-9/*`.
fn content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.trim().parse().ok()?, total.trim().parse().ok()))
}

/// Whether an answer is this range, and of this version of the file.
pub(crate) fn is_range(status: StatusCode, headers: &HeaderMap, range: &Range<u64>, version: &Version) -> bool {
    let expected = format!(
        "bytes {}-{}/{}",
        range.start,
        range.end.saturating_sub(1),
        version.total
    );
    let has_range = text(headers, &header::CONTENT_RANGE).is_some_and(|found| found.trim() == expected);
    // An answer may leave out the date, never the tag.
    let is_tag = version.validator.starts_with('"');
    let has_version = match validator(headers) {
        Some(found) => found == version.validator,
        None => !is_tag,
    };
    status == StatusCode::PARTIAL_CONTENT && has_range && has_version
}

/// Whether a server says that it gives no ranges of a file.
pub(crate) fn refuses_ranges(headers: &HeaderMap) -> bool {
    text(headers, &header::ACCEPT_RANGES).is_some_and(|units| units.trim() == "none")
}

/// A strong `ETag`, or else the date of the last change.
fn validator(headers: &HeaderMap) -> Option<String> {
    let etag = text(headers, &header::ETAG).filter(|tag| tag.starts_with('"'));
    etag.or_else(|| text(headers, &header::LAST_MODIFIED))
        .map(str::to_owned)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[rstest]
    #[case::whole(200, &[("content-length", "10")], 0, None, Start::Zero, Some(10))]
    #[case::whole_of_unknown_size(200, &[], 0, None, Start::Zero, None)]
    #[case::range_ignored(200, &[("content-length", "10")], 5, Some(10), Start::Zero, Some(10))]
    #[case::rest(206, &[("content-range", "bytes 5-9/10")], 5, Some(10), Start::Here, Some(10))]
    #[case::rest_of_unknown_size(206, &[("content-range", "bytes 5-9/*")], 5, Some(10), Start::Here, Some(10))]
    #[case::whole_as_range(206, &[("content-range", "bytes 0-9/10")], 5, Some(10), Start::Zero, Some(10))]
    #[case::other_size(206, &[("content-range", "bytes 5-9/11")], 5, Some(10), Start::Nowhere, None)]
    #[case::other_place(206, &[("content-range", "bytes 4-9/10")], 5, Some(10), Start::Nowhere, None)]
    #[case::no_range(206, &[], 5, Some(10), Start::Nowhere, None)]
    #[case::nonsense(206, &[("content-range", "lines 5-9/10")], 5, Some(10), Start::Nowhere, None)]
    #[case::refused(416, &[("content-range", "bytes */4")], 5, Some(10), Start::Nowhere, None)]
    fn successes(
        #[case] status: u16,
        #[case] pairs: &[(&'static str, &str)],
        #[case] asked: u64,
        #[case] known: Option<u64>,
        #[case] start: Start,
        #[case] total: Option<u64>,
    ) {
        let plan = plan(StatusCode::from_u16(status).unwrap(), &headers(pairs), asked, known).unwrap();
        assert_eq!((plan.start, plan.total), (start, total));
    }

    #[rstest]
    #[case(204, 0)]
    #[case(304, 0)]
    #[case(404, 5)]
    #[case(416, 0)]
    #[case(503, 5)]
    fn no_successes(#[case] status: u16, #[case] asked: u64) {
        assert_eq!(
            plan(StatusCode::from_u16(status).unwrap(), &headers(&[]), asked, None),
            None
        );
    }

    #[rstest]
    #[case(&[("etag", "\"one\""), ("last-modified", "then")], Some("\"one\""))]
    #[case(&[("etag", "W/\"one\""), ("last-modified", "then")], Some("then"))]
    #[case(&[("etag", "W/\"one\"")], None)]
    #[case(&[], None)]
    fn only_strong_validators_are_kept(#[case] pairs: &[(&'static str, &str)], #[case] expected: Option<&str>) {
        assert_eq!(validator(&headers(pairs)).as_deref(), expected);
    }

    #[rstest]
    #[case::the_range(206, &[("content-range", "bytes 5-8/10"), ("etag", "\"a\"")], "\"a\"", true)]
    #[case::other_tag(206, &[("content-range", "bytes 5-8/10"), ("etag", "\"b\"")], "\"a\"", false)]
    #[case::no_tag(206, &[("content-range", "bytes 5-8/10")], "\"a\"", false)]
    #[case::no_date(206, &[("content-range", "bytes 5-8/10")], "Sun, 06 Nov 1994 08:49:47 GMT", true)]
    #[case::shorter(206, &[("content-range", "bytes 5-7/10"), ("etag", "\"a\"")], "\"a\"", false)]
    #[case::other_length(206, &[("content-range", "bytes 5-8/11"), ("etag", "\"a\"")], "\"a\"", false)]
    #[case::unknown_length(206, &[("content-range", "bytes 5-8/*"), ("etag", "\"a\"")], "\"a\"", false)]
    #[case::everything(200, &[("etag", "\"a\"")], "\"a\"", false)]
    fn ranges_are_of_one_version(
        #[case] status: u16,
        #[case] pairs: &[(&'static str, &str)],
        #[case] validator: &str,
        #[case] expected: bool,
    ) {
        let version = Version {
            validator: validator.into(),
            total: 10,
        };
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(is_range(status, &headers(pairs), &(5..9), &version), expected);
    }
}
