//! Large objects, which come in several ranges at once.

use super::*;

/// A bucket with a file of 100 000 bytes, of which it gives ranges as `alter` says, and where it was fetched to.
async fn large(alter: impl Fn(&Seen, Reply) -> Reply + Send + 'static) -> (Server, PathBuf, Place) {
    let content: Vec<u8> = (0..25_000u32).flat_map(u32::to_le_bytes).collect();
    let server = bucket([("small/m.gguf", content.clone())].into(), alter).await;
    let place = Place::at(&server);
    let mut store = place.store(FILE);
    store.settings.ranges.from = 1 << 16;
    store.settings.ranges.smallest = 10_000;
    let mut last = (0, None);
    let fetched = store
        .fetch(&place.to(), |bytes, total| last = (bytes, total))
        .await
        .unwrap();
    assert_eq!(last, (100_000, Some(100_000)));
    assert_eq!(std::fs::read(&fetched.path).unwrap(), content);
    (server, fetched.path, place)
}

#[tokio::test]
async fn a_large_object_comes_in_ranges() {
    let (server, path, _place) = large(|_, reply| reply).await;
    let requests = server.requests();
    let ranges: Vec<_> = requests.iter().filter_map(|seen| seen.headers.get("range")).collect();
    assert_eq!((ranges.len(), ranges[0].as_str()), (10, "bytes=0-9999"));
    assert!(!crate::fetch::beside(&path, "ranges").exists());
}

#[tokio::test]
async fn a_range_that_breaks_off_is_continued() {
    let broken = AtomicUsize::new(0);
    let (server, ..) = large(move |seen, reply| {
        let is_first = seen
            .headers
            .get("range")
            .is_some_and(|range| range == "bytes=30000-39999");
        match is_first && broken.fetch_add(1, Ordering::Relaxed) == 0 {
            true => reply.cut_after(4000),
            false => reply,
        }
    })
    .await;
    let requests = server.requests();
    let asked = |range: &str| {
        requests
            .iter()
            .filter(|seen| seen.headers.get("range").is_some_and(|it| it == range))
            .count()
    };
    assert_eq!((asked("bytes=30000-39999"), asked("bytes=34000-39999")), (1, 1));
}

#[tokio::test]
async fn a_store_without_ranges_is_read_in_one_stream() {
    let (server, path, _place) = large(|_, reply| reply.ignoring_ranges()).await;
    let requests = server.requests();
    assert!(!requests.last().unwrap().headers.contains_key("range"), "{requests:?}");
    assert!(!crate::fetch::beside(&path, "ranges").exists());
}
