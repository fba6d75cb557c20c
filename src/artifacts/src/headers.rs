//! Request headers from a mounted Secret: one file a header, named like it.

use std::io;
use std::path::Path;

use protocol::PrepareFailure;
use protocol::report::reasons;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Where users set them, for messages.
pub(crate) const FIELD: &str = "spec.source.http.headersSecretRef";

/// Longest value read from a file.
const MAX_VALUE_BYTES: u64 = 64 << 10;

/// Headers that are ours to set: a download would break with other values.
const RESERVED: [HeaderName; 9] = [
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::IF_MATCH,
    header::IF_RANGE,
    header::RANGE,
    header::TE,
    header::TRANSFER_ENCODING,
];

/// Reads all headers of a directory. Names that start with a dot are Kubernetes' own.
///
/// # Errors
/// When the directory or a file cannot be read, or a name or value is no header; messages name the
/// key and never the value.
pub(crate) fn read(dir: &Path) -> Result<HeaderMap, PrepareFailure> {
    let unreadable = |what: &Path, error: &io::Error| {
        let message = format!(
            "failed to read {}: {error}; check the Secret in {FIELD}",
            what.display()
        );
        PrepareFailure::new(reasons::INTERNAL, message, true)
    };
    let mut headers = HeaderMap::new();
    for entry in std::fs::read_dir(dir).map_err(|error| unreadable(dir, &error))? {
        let entry = entry.map_err(|error| unreadable(dir, &error))?;
        let key = entry.file_name().to_string_lossy().into_owned();
        if key.starts_with('.') {
            continue;
        }
        let path = entry.path();
        let metadata = std::fs::metadata(&path).map_err(|error| unreadable(&path, &error))?;
        if metadata.len() > MAX_VALUE_BYTES {
            return Err(refused(&key, "its value is longer than 64 KiB"));
        }
        let content = std::fs::read(&path).map_err(|error| unreadable(&path, &error))?;
        let (name, value) = parse(&key, &content)?;
        headers.insert(name, value);
    }
    Ok(headers)
}

fn parse(key: &str, content: &[u8]) -> Result<(HeaderName, HeaderValue), PrepareFailure> {
    let name =
        HeaderName::from_bytes(key.as_bytes()).map_err(|_| refused(key, "the key is no name of an HTTP header"))?;
    if RESERVED.contains(&name) {
        return Err(refused(key, "downloads set this header themselves; remove the key"));
    }
    let mut value = HeaderValue::from_bytes(content.trim_ascii())
        .map_err(|_| refused(key, "its value holds a line break or a control character"))?;
    value.set_sensitive(true);
    Ok((name, value))
}

fn refused(key: &str, why: &str) -> PrepareFailure {
    let key: String = key.chars().take(256).collect();
    let message = format!("failed to use key {key:?} of the Secret in {FIELD} as a request header: {why}");
    PrepareFailure::new(reasons::INTERNAL, message, false)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn dir_with(key: &str, content: &[u8]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(key), content).unwrap();
        dir
    }

    #[test]
    fn files_become_headers_and_kubernetes_own_are_left_out() {
        let dir = dir_with("X-Team", b" blue\n");
        std::fs::create_dir(dir.path().join("..2026_11_24")).unwrap();
        std::os::unix::fs::symlink("..2026_11_24", dir.path().join("..data")).unwrap();
        let headers = read(dir.path()).unwrap();
        assert_eq!(headers.len(), 1);
        assert_eq!(headers["x-team"], "blue");
        assert!(!format!("{headers:?}").contains("blue"));
    }

    #[rstest]
    #[case("X Team", b"blue")]
    #[case("X-Team", b"bl\nue")]
    #[case("X-Team", b"bl\x00ue")]
    #[case("Range", b"bytes=0-1")]
    #[case("X-Long", &[b'a'; 70_000])]
    fn what_is_no_header_is_refused_by_its_key(#[case] key: &str, #[case] content: &[u8]) {
        let failure = read(dir_with(key, content).path()).unwrap_err();
        assert!(
            failure.message.contains(key) && failure.message.contains(FIELD),
            "{failure}"
        );
        assert!(!failure.message.contains("blue") && !failure.retryable, "{failure}");
    }

    #[test]
    fn a_missing_directory_is_told() {
        let failure = read(Path::new("/nonexistent/headers")).unwrap_err();
        assert!(failure.message.contains("/nonexistent/headers"), "{failure}");
    }
}
