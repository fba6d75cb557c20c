//! Downloads from a real socket, with each fault that a server can have.

use std::path::Path;

use protocol::PrepareFailure;
use protocol::report::reasons;
use reqwest::header::HeaderValue;
use rstest::rstest;

use super::*;
use crate::testing::{Reply, Server};

const ETAG: &str = "\"one\"";

/// Bytes that differ everywhere.
fn content() -> Vec<u8> {
    (0..300_000u32).flat_map(u32::to_le_bytes).collect()
}

fn digest(content: &[u8]) -> Digest {
    Digest::of(content).unwrap()
}

fn download(url: &str, sha256: Digest, dir: &Path) -> Download {
    Download {
        url: url.parse().unwrap(),
        sha256,
        headers: HeaderMap::new(),
        target: dir.join("models/m.gguf"),
        fields: &fields::HTTP,
        settings: Settings::impatient(),
    }
}

/// Fetches the content from a server that answers so.
async fn fetched(replies: impl IntoIterator<Item = Reply>) -> (Server, tempfile::TempDir) {
    let server = Server::start(replies).await;
    let dir = tempfile::tempdir().unwrap();
    let download = download(&server.url("/m.gguf"), digest(&content()), dir.path());
    fetch(&download, |_, _| {}).await.unwrap();
    assert_eq!(std::fs::read(&download.target).unwrap(), content());
    for suffix in ["part", "part.json"] {
        assert!(!publish::beside(&download.target, suffix).exists(), "{suffix} is left");
    }
    (server, dir)
}

/// What a server that answers so is refused with.
async fn refused(replies: impl IntoIterator<Item = Reply>) -> (PrepareFailure, Server) {
    refused_within(Duration::from_secs(30), replies).await
}

/// The same with other patience for a silent server.
async fn refused_within(stall: Duration, replies: impl IntoIterator<Item = Reply>) -> (PrepareFailure, Server) {
    let server = Server::start(replies).await;
    let dir = tempfile::tempdir().unwrap();
    let mut download = download(&server.url("/m.gguf"), digest(&content()), dir.path());
    download.settings.stall = stall;
    let error = fetch(&download, |_, _| {}).await.unwrap_err();
    assert!(!download.target.exists());
    let failure = PrepareFailure::from(error);
    assert!(failure.message.contains(&server.url("/m.gguf")), "{failure}");
    (failure, server)
}

fn ranges(server: &Server) -> Vec<Option<String>> {
    server
        .requests()
        .iter()
        .map(|seen| seen.headers.get("range").cloned())
        .collect()
}

#[tokio::test]
async fn a_whole_file_is_fetched_once_and_then_reused() {
    let (server, dir) = fetched([Reply::file(&content())]).await;
    assert_eq!(ranges(&server), [None]);
    let again = download(&server.url("/m.gguf"), digest(&content()), dir.path());
    fetch(&again, |_, _| {}).await.unwrap();
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn progress_ends_at_the_whole_file() {
    let server = Server::start([Reply::file(&content())]).await;
    let dir = tempfile::tempdir().unwrap();
    let mut told = Vec::new();
    let download = download(&server.url("/"), digest(&content()), dir.path());
    fetch(&download, |bytes, total| told.push((bytes, total)))
        .await
        .unwrap();
    let size = content().len() as u64;
    assert_eq!(
        (told.first(), told.last()),
        (Some(&(0, Some(size))), Some(&(size, Some(size))))
    );
}

#[tokio::test]
async fn a_server_is_asked_even_for_a_file_of_no_bytes() {
    let server = Server::start([Reply::status(404)]).await;
    let dir = tempfile::tempdir().unwrap();
    let download = download(&server.url("/m.gguf"), digest(&[]), dir.path());
    let error = fetch(&download, |_, _| {}).await.unwrap_err();
    assert!(error.to_string().contains("404"), "{error}");
    assert!(!download.target.exists());
}

#[rstest]
#[case::with_etag(Some(ETAG))]
#[case::without_validator(None)]
#[tokio::test]
async fn a_broken_download_continues_where_it_broke(#[case] etag: Option<&str>) {
    let reply = match etag {
        Some(etag) => Reply::file(&content()).etag(etag),
        None => Reply::file(&content()),
    };
    let (server, _dir) = fetched([
        reply.clone().cut_after(400_000),
        reply.clone().cut_after(500_000),
        reply,
    ])
    .await;
    let asked = ranges(&server);
    assert_eq!(
        asked,
        [None, Some("bytes=400000-".into()), Some("bytes=900000-".into())]
    );
    let sent = server.requests()[1].headers.get("if-range").cloned();
    assert_eq!(sent.as_deref(), etag);
}

#[tokio::test]
async fn a_later_process_continues_where_an_earlier_one_ended() {
    let dir = tempfile::tempdir().unwrap();
    let reply = Reply::file(&content()).etag(ETAG);
    let server = Server::start([reply.clone().cut_after(700_000), reply]).await;
    let mut first = download(&server.url("/"), digest(&content()), dir.path());
    first.settings.attempts = 1;
    fetch(&first, |_, _| {}).await.unwrap_err();
    fetch(&first, |_, _| {}).await.unwrap();
    assert_eq!(ranges(&server), [None, Some("bytes=700000-".into())]);
    assert_eq!(std::fs::read(&first.target).unwrap(), content());
}

#[tokio::test]
async fn a_part_of_another_file_is_not_continued() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start([
        Reply::file(b"another file").etag(ETAG).cut_after(5),
        Reply::file(&content()),
    ])
    .await;
    let mut other = download(&server.url("/"), digest(b"another file"), dir.path());
    other.settings.attempts = 1;
    fetch(&other, |_, _| {}).await.unwrap_err();
    let wanted = download(&server.url("/"), digest(&content()), dir.path());
    fetch(&wanted, |_, _| {}).await.unwrap();
    assert_eq!(ranges(&server), [None, None]);
}

#[tokio::test]
async fn a_complete_part_is_published_without_a_request() {
    let server = Server::start([Reply::status(500)]).await;
    let dir = tempfile::tempdir().unwrap();
    let download = download(&server.url("/"), digest(&content()), dir.path());
    std::fs::create_dir(dir.path().join("models")).unwrap();
    std::fs::write(publish::beside(&download.target, "part"), content()).unwrap();
    let state = format!(r#"{{"identity":"{}","validator":null,"total":null}}"#, download.sha256);
    std::fs::write(publish::beside(&download.target, "part.json"), state).unwrap();
    fetch(&download, |_, _| {}).await.unwrap();
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_damaged_part_is_fetched_anew_once() {
    let server = Server::start([Reply::file(&content())]).await;
    let dir = tempfile::tempdir().unwrap();
    let download = download(&server.url("/"), digest(&content()), dir.path());
    std::fs::create_dir(dir.path().join("models")).unwrap();
    std::fs::write(publish::beside(&download.target, "part"), [0; 1000]).unwrap();
    let state = format!(r#"{{"identity":"{}","validator":null,"total":null}}"#, download.sha256);
    std::fs::write(publish::beside(&download.target, "part.json"), state).unwrap();
    fetch(&download, |_, _| {}).await.unwrap();
    assert_eq!(ranges(&server), [Some("bytes=1000-".into()), None]);
}

#[rstest]
#[case::ranges_ignored(Reply::file(&content()).etag(ETAG).ignoring_ranges())]
#[case::changed_since(Reply::file(&content()).etag("\"two\""))]
#[tokio::test]
async fn an_answer_from_zero_replaces_the_part(#[case] second: Reply) {
    let mut old = content();
    old.reverse();
    let (server, _dir) = fetched([Reply::file(&old).etag(ETAG).cut_after(400_000), second]).await;
    assert_eq!(ranges(&server), [None, Some("bytes=400000-".into())]);
}

#[tokio::test]
async fn a_part_longer_than_the_file_is_given_up() {
    let longer = [content(), vec![0; 1000]].concat();
    let first = Reply::file(&longer).cut_after(longer.len() - 1);
    let (server, _dir) = fetched([first, Reply::file(&content())]).await;
    assert_eq!(ranges(&server).last(), Some(&None));
}

#[rstest]
#[case(Reply::status(503))]
#[case(Reply::status(429).header("Retry-After", "0"))]
#[case(Reply::status(408))]
#[tokio::test]
async fn a_passing_trouble_is_waited_out(#[case] trouble: Reply) {
    let (server, _dir) = fetched([trouble.clone(), trouble, Reply::file(&content())]).await;
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_file_of_unknown_size_is_fetched() {
    fetched([Reply::file(&content()).without_length()]).await;
}

#[rstest]
#[case(404, reasons::NOT_FOUND, "404")]
#[case(410, reasons::NOT_FOUND, "410")]
#[case(401, reasons::FORBIDDEN, "headersSecretRef")]
#[case(403, reasons::FORBIDDEN, "403")]
#[case(400, reasons::DOWNLOAD_FAILED, "400")]
#[case(204, reasons::DOWNLOAD_FAILED, "204")]
#[tokio::test]
async fn a_refusal_is_final(#[case] status: u16, #[case] reason: &str, #[case] says: &str) {
    let (failure, server) = refused([Reply::status(status)]).await;
    assert_eq!(
        (failure.reason.as_str(), failure.retryable),
        (reason, false),
        "{failure}"
    );
    assert!(
        failure.message.contains(says) && failure.message.contains(&status.to_string()),
        "{failure}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[rstest]
#[case::errors(Reply::status(503), "503", 3)]
#[case::too_long_a_wait(Reply::status(429).header("Retry-After", "86400"), "429", 1)]
#[case::breaks(Reply::file(&content()).cut_after(0), "0 bytes of 1200000", 3)]
#[tokio::test]
async fn a_lasting_trouble_is_given_up_for_now(#[case] reply: Reply, #[case] says: &str, #[case] requests: usize) {
    let (failure, server) = refused([reply]).await;
    assert_eq!(
        (failure.reason.as_str(), failure.retryable),
        (reasons::DOWNLOAD_FAILED, true)
    );
    assert!(
        failure.message.contains(says) && failure.message.contains("gave up"),
        "{failure}"
    );
    assert_eq!(server.requests().len(), requests);
}

#[tokio::test]
async fn a_silent_server_is_given_up_for_now() {
    let reply = Reply::file(&content()).stall_after(1000);
    let (failure, _server) = refused_within(Duration::from_millis(200), [reply]).await;
    assert_eq!(
        (failure.reason.as_str(), failure.retryable),
        (reasons::DOWNLOAD_FAILED, true)
    );
    assert!(failure.message.contains("sent nothing for 0.2 s"), "{failure}");
}

#[tokio::test]
async fn a_silence_is_survived() {
    let server = Server::start([Reply::file(&content()).stall_after(500_000), Reply::file(&content())]).await;
    let dir = tempfile::tempdir().unwrap();
    let mut download = download(&server.url("/"), digest(&content()), dir.path());
    // The second answer must come within it, however slow the machine.
    download.settings.stall = Duration::from_secs(2);
    fetch(&download, |_, _| {}).await.unwrap();
    assert_eq!(ranges(&server), [None, Some("bytes=500000-".into())]);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let url = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://ann:secret@{}/m?sig=secret", listener.local_addr().unwrap())
    };
    let error = fetch(&download(&url, digest(b"x"), dir.path()), |_, _| {})
        .await
        .unwrap_err();
    let failure = PrepareFailure::from(error);
    assert_eq!(
        (failure.reason.as_str(), failure.retryable),
        (reasons::DOWNLOAD_FAILED, true)
    );
    assert!(
        failure.message.contains("refused") && !failure.message.contains("secret"),
        "{failure}"
    );
}

#[rstest]
#[case::other_bytes(b"something else".to_vec())]
#[case::fewer(content()[..1000].to_vec())]
#[case::more([content(), vec![0]].concat())]
#[tokio::test]
async fn other_bytes_than_promised_are_refused(#[case] served: Vec<u8>) {
    let (failure, server) = refused([Reply::file(&served)]).await;
    assert_eq!(
        (failure.reason.as_str(), failure.retryable),
        (reasons::DIGEST_MISMATCH, false)
    );
    for sha256 in [digest(&served), digest(&content())] {
        assert!(failure.message.contains(&sha256.to_string()), "{failure}");
    }
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn an_older_file_stays_until_the_new_one_is_verified() {
    let server = Server::start([Reply::file(b"wrong"), Reply::file(&content())]).await;
    let dir = tempfile::tempdir().unwrap();
    let download = download(&server.url("/"), digest(&content()), dir.path());
    std::fs::create_dir(dir.path().join("models")).unwrap();
    std::fs::write(&download.target, "older").unwrap();
    fetch(&download, |_, _| {}).await.unwrap_err();
    assert_eq!(std::fs::read(&download.target).unwrap(), b"older");
    fetch(&download, |_, _| {}).await.unwrap();
    assert_eq!(std::fs::read(&download.target).unwrap(), content());
}

#[tokio::test]
async fn a_file_that_cannot_fit_is_refused_before_it_is_fetched() {
    let size = (u64::MAX / 2).to_string();
    let reply = Reply::file(b"")
        .without_length()
        .header("Content-Length", size.as_str());
    let server = Server::start([reply]).await;
    let dir = tempfile::tempdir().unwrap();
    let download = download(&server.url("/"), digest(&content()), dir.path());
    let failure: PrepareFailure = fetch(&download, |_, _| {}).await.unwrap_err().into();
    assert_eq!(
        (failure.reason.as_str(), failure.retryable),
        (reasons::NO_SPACE, true),
        "{failure}"
    );
}

#[tokio::test]
async fn headers_go_to_the_own_host_only() {
    let other = Server::start([Reply::file(&content())]).await;
    let own = Server::start([
        Reply::status(302).header("Location", "/moved"),
        Reply::status(307).header("Location", other.url("/signed?token=secret")),
    ])
    .await;
    let dir = tempfile::tempdir().unwrap();
    let url = own.url("/m").replace("http://", "http://ann:pass@");
    let mut download = download(&url, digest(&content()), dir.path());
    download.headers.insert("x-team", HeaderValue::from_static("blue"));
    fetch(&download, |_, _| {}).await.unwrap();
    let paths: Vec<_> = own.requests().iter().map(|seen| seen.path.clone()).collect();
    assert_eq!(paths, ["/m", "/moved"]);
    for seen in own.requests() {
        assert!(
            seen.headers["x-team"] == "blue" && seen.headers.contains_key("authorization"),
            "{seen:?}"
        );
    }
    let seen = &other.requests()[0];
    assert_eq!(seen.path, "/signed?token=secret");
    assert!(
        !seen.headers.contains_key("x-team") && !seen.headers.contains_key("authorization"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn redirects_end() {
    let (failure, server) = refused([Reply::status(302).header("Location", "/again")]).await;
    assert!(failure.message.contains("redirects") && !failure.retryable, "{failure}");
    assert_eq!(server.requests().len(), 11);
    let (failure, _server) = refused([Reply::status(302).header("Location", "ftp://h.example/m")]).await;
    assert!(failure.message.contains("redirect") && !failure.retryable, "{failure}");
}

#[tokio::test]
async fn two_at_once_fetch_once() {
    let server = Server::start([Reply::file(&content())]).await;
    let dir = tempfile::tempdir().unwrap();
    let download = download(&server.url("/"), digest(&content()), dir.path());
    let (one, two) = tokio::join!(fetch(&download, |_, _| {}), fetch(&download, |_, _| {}));
    one.unwrap();
    two.unwrap();
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_file_in_the_way_of_the_directory_is_told() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("models"), "").unwrap();
    let download = download("http://127.0.0.1:1/", digest(b"x"), dir.path());
    let failure: PrepareFailure = fetch(&download, |_, _| {}).await.unwrap_err().into();
    assert!(failure.message.contains("models"), "{failure}");
}
