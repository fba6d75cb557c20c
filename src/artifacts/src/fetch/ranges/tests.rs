//! Ranges from a real socket, with each fault that a server can have on the way.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::header::HeaderMap;
use tokio::sync::Barrier;

use super::*;
use crate::fetch::publish::beside;
use crate::fetch::{Download, fetch, fields};
use crate::testing::{Reply, Seen, Server};

const ETAG: &str = "\"one\"";

/// 120 000 bytes that differ everywhere, in twelve ranges.
fn content() -> Vec<u8> {
    (0..30_000u32).flat_map(u32::to_le_bytes).collect()
}

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn target(&self) -> PathBuf {
        self.dir.path().join("m.gguf")
    }

    fn download(&self, server: &Server) -> Download {
        let mut settings = Settings::impatient();
        settings.ranges = RangeSettings {
            from: 100_000,
            at_once: 4,
            smallest: 10_000,
        };
        Download {
            url: server.url("/m.gguf").parse().unwrap(),
            sha256: Digest::of(content().as_slice()).unwrap(),
            headers: HeaderMap::new(),
            target: self.target(),
            fields: &fields::HTTP,
            settings,
        }
    }

    /// Fetches all of it, and leaves nothing beside it.
    async fn fetch(&self, server: &Server) {
        let mut last = (0, None);
        fetch(&self.download(server), |bytes, total| last = (bytes, total))
            .await
            .unwrap();
        assert_eq!(last, (120_000, Some(120_000)));
        assert_eq!(std::fs::read(self.target()).unwrap(), content());
        for suffix in ["part", "part.json", "ranges", "ranges.json"] {
            assert!(!beside(&self.target(), suffix).exists(), "{suffix} is left");
        }
    }
}

fn range(seen: &Seen) -> Option<&str> {
    seen.headers.get("range").map(String::as_str)
}

/// How many requests asked for ranges, and how many for all.
fn asked(server: &Server) -> (usize, usize) {
    let (ranges, all): (Vec<_>, Vec<_>) = server.requests().into_iter().partition(|seen| range(seen).is_some());
    (ranges.len(), all.len())
}

/// A server of the content; `alter` may change the answer to a range, of which it is told how many came before.
async fn server(alter: impl Fn(usize, &Seen, Reply) -> Reply + Send + 'static) -> Server {
    let count = AtomicUsize::new(0);
    let reply = Reply::file(&content()).etag(ETAG);
    Server::choosing(move |seen| match range(seen) {
        Some(_) => alter(count.fetch_add(1, Ordering::Relaxed), seen, reply.clone()),
        None => reply.clone(),
    })
    .await
}

#[tokio::test]
async fn four_ranges_come_at_once() {
    // Nobody is answered before four have asked.
    let four = Arc::new(Barrier::new(4));
    let server = server(move |_, _, reply| reply.together(&four)).await;
    Place::new().fetch(&server).await;
    assert_eq!(asked(&server), (12, 1));
    let requests = server.requests();
    assert!(
        requests[1..]
            .iter()
            .all(|seen| seen.headers.get("if-range").is_some_and(|tag| tag == ETAG))
    );
}

#[tokio::test]
async fn a_smaller_file_comes_in_one_stream() {
    let server = server(|_, _, reply| reply).await;
    let place = Place::new();
    let mut download = place.download(&server);
    download.settings.ranges.from = 120_001;
    fetch(&download, |_, _| {}).await.unwrap();
    assert_eq!(asked(&server), (0, 1));
}

#[rstest::rstest]
#[case::no_version(Reply::file(&content()), 0)]
#[case::weak_version(Reply::file(&content()).etag("W/\"one\""), 0)]
#[case::not_offered(Reply::file(&content()).etag(ETAG).header("Accept-Ranges", "none"), 0)]
#[tokio::test]
async fn what_cannot_be_told_from_other_versions_comes_in_one_stream(#[case] reply: Reply, #[case] ranges: usize) {
    let server = Server::start([reply]).await;
    Place::new().fetch(&server).await;
    assert_eq!(asked(&server), (ranges, 1));
}

#[tokio::test]
async fn a_server_that_ignores_ranges_is_read_in_one_stream() {
    let server = Server::start([Reply::file(&content()).etag(ETAG).ignoring_ranges()]).await;
    Place::new().fetch(&server).await;
    let (ranges, all) = asked(&server);
    assert!((1..=4).contains(&ranges) && all == 2, "{ranges} and {all}");
}

#[tokio::test]
async fn a_file_that_changes_midway_is_fetched_anew() {
    let old: Vec<u8> = content().into_iter().rev().collect();
    let count = AtomicUsize::new(0);
    let server = Server::choosing(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0..=5 => Reply::file(&old).etag(ETAG),
        _ => Reply::file(&content()).etag("\"two\""),
    })
    .await;
    Place::new().fetch(&server).await;
}

#[tokio::test]
async fn a_change_that_the_server_hides_never_gets_the_name() {
    let count = AtomicUsize::new(0);
    let server = Server::choosing(move |_| {
        let mut bytes = content();
        // From the sixth range on.
        if count.fetch_add(1, Ordering::Relaxed) > 5 {
            bytes.iter_mut().for_each(|byte| *byte ^= 1);
        }
        Reply::file(&bytes).etag(ETAG)
    })
    .await;
    let place = Place::new();
    let error = fetch(&place.download(&server), |_, _| {}).await.unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");
    assert!(!place.target().exists() && !beside(&place.target(), "ranges").exists());
}

#[tokio::test]
async fn a_range_that_breaks_off_continues_where_it_broke() {
    let server = server(|_, seen, reply| match range(seen) {
        Some("bytes=30000-39999") => reply.cut_after(4000),
        _ => reply,
    })
    .await;
    Place::new().fetch(&server).await;
    let requests = server.requests();
    assert!(
        requests.iter().any(|seen| range(seen) == Some("bytes=34000-39999")),
        "{requests:?}"
    );
    assert_eq!(asked(&server), (13, 1));
}

#[tokio::test]
async fn a_passing_trouble_of_one_range_is_waited_out() {
    let server = server(|count, _, reply| match count {
        2 | 5 => Reply::status(503),
        3 => reply.cut_after(0),
        _ => reply,
    })
    .await;
    Place::new().fetch(&server).await;
    assert_eq!(asked(&server), (15, 1));
}

#[tokio::test]
async fn a_silent_range_is_asked_again() {
    let server = server(|_, seen, reply| match range(seen) {
        Some("bytes=30000-39999") => reply.stall_after(4000),
        _ => reply,
    })
    .await;
    let place = Place::new();
    let mut download = place.download(&server);
    // The other answers must come within it, however slow the machine.
    download.settings.stall = std::time::Duration::from_secs(2);
    fetch(&download, |_, _| {}).await.unwrap();
    assert!(
        server
            .requests()
            .iter()
            .any(|seen| range(seen) == Some("bytes=34000-39999"))
    );
}

#[tokio::test]
async fn what_an_earlier_process_brought_is_not_asked_again() {
    // From the sixth range on there is nobody.
    let first = server(|count, _, reply| if count < 6 { reply } else { Reply::status(503) }).await;
    let place = Place::new();
    let error = fetch(&place.download(&first), |_, _| {}).await.unwrap_err();
    let there = RangeFile::open(
        &place.target(),
        &place.download(&first).sha256.to_string(),
        &Version {
            validator: ETAG.into(),
            total: 120_000,
        },
        &place.download(&first).settings.ranges,
    );
    let there = there.unwrap().there();
    assert!(there > 0 && error.to_string().contains("gave up"), "{error}");
    assert!(!place.target().exists());
    let second = server(|_, _, reply| reply).await;
    place.fetch(&second).await;
    assert_eq!(asked(&second), (((120_000 - there) / 10_000) as usize, 0));
}

#[tokio::test]
async fn a_kill_at_any_time_costs_no_more_than_what_was_not_noted() {
    let place = Place::new();
    for killed_at in [1, 4, 9] {
        let server = server(|_, _, reply| reply).await;
        let count = AtomicUsize::new(0);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let stop = Mutex::new(Some(stop));
        let download = place.download(&server);
        let running = fetch(&download, |_, _| {
            if count.fetch_add(1, Ordering::Relaxed) == killed_at {
                let _ = stop.lock().unwrap().take().unwrap().send(());
            }
        });
        // Whatever is under way is dropped, as a kill would.
        tokio::select! {
            biased;
            _ = stopped => {}
            _ = running => panic!("it ended before it was killed"),
        }
        assert!(!place.target().exists());
    }
    place.fetch(&server(|_, _, reply| reply).await).await;
}

#[rstest::rstest]
#[case::torn_note(|note: Vec<u8>| note[..note.len() / 2].to_vec())]
#[case::empty_note(|_: Vec<u8>| Vec::new())]
#[case::untrue_note(|note: Vec<u8>| String::from_utf8(note).unwrap().replace(":[0,0,", ":[10000,10000,").into_bytes())]
#[tokio::test]
async fn a_wrong_note_gives_no_wrong_file(#[case] spoil: fn(Vec<u8>) -> Vec<u8>) {
    let place = Place::new();
    let server = server(|_, _, reply| reply).await;
    let download = place.download(&server);
    let version = Version {
        validator: ETAG.into(),
        total: 120_000,
    };
    let file = RangeFile::open(
        &place.target(),
        &download.sha256.to_string(),
        &version,
        &download.settings.ranges,
    )
    .unwrap();
    file.append(2, content()[20_000..25_000].to_vec()).await.unwrap();
    file.save().await.unwrap();
    drop(file);
    let note = beside(&place.target(), "ranges.json");
    let text = std::fs::read(&note).unwrap();
    let spoiled = spoil(text.clone());
    assert_ne!(spoiled, text);
    std::fs::write(&note, spoiled).unwrap();
    place.fetch(&server).await;
}
