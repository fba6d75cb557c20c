//! What several pods of a node do to each other, killed at any time.

use std::cell::Cell;
use std::future::{pending, ready};
use std::time::Duration;

use protocol::{PrepareOutcome, PrepareReport};

use super::room::Room;
use super::*;
use crate::facts;
use crate::testing::tiny_model_with;

const DAY: Duration = Duration::from_secs(86_400);

/// A model of its own for each number.
fn model(number: u64) -> Vec<u8> {
    tiny_model_with(&[("general.number", Some(gguf::Value::Unsigned(number)))])
}

fn digest(number: u64) -> Digest {
    Digest::of(model(number).as_slice()).unwrap()
}

/// What a download leaves.
fn fetched(to: &Path, number: u64) -> Result<Prepared, PrepareFailure> {
    std::fs::create_dir_all(to).unwrap();
    let path = to.join("m.gguf");
    std::fs::write(&path, model(number)).unwrap();
    let (model, bytes) = facts::of_path(&path)?;
    let report = PrepareReport {
        digest: digest(number).prefixed(),
        bytes,
        file: "m.gguf".into(),
        revision: Some("1".into()),
        model,
        compression: None,
    };
    Ok(Prepared { path, report })
}

struct Node {
    dir: tempfile::TempDir,
    report: ReportFile,
    fetches: Cell<u32>,
}

impl Node {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let report = ReportFile::new(Some(dir.path().join("report")));
        Self {
            dir,
            report,
            fetches: Cell::new(0),
        }
    }

    /// Room for so many models, as the file system counts them, with a note beside each.
    fn cache(&self, models: u64) -> Cache {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("m.gguf"), model(1)).unwrap();
        std::fs::write(dir.path().join("note"), [b' '; 1000]).unwrap();
        let one = super::lock::bytes(dir.path()).unwrap();
        Cache {
            dir: self.dir.path().join("cache"),
            size: models * one + one / 4,
        }
    }

    async fn obtain(&self, cache: &Cache, number: u64) -> Result<Prepared, PrepareFailure> {
        let key = digest(number).to_string();
        let fetch = |to: PathBuf| {
            self.fetches.set(self.fetches.get() + 1);
            ready(fetched(&to, number))
        };
        cache.obtain(Some(digest(number)), &key, &self.report, fetch).await
    }

    /// Begins to fetch and is killed after some bytes.
    async fn killed(&self, cache: &Cache, number: u64) {
        let key = digest(number).to_string();
        let (begun, wait) = tokio::sync::oneshot::channel();
        let mut begun = Some(begun);
        let fetch = |to: PathBuf| {
            std::fs::create_dir_all(&to).unwrap();
            std::fs::write(to.join("m.gguf.part"), &model(number)[..9000]).unwrap();
            begun.take().unwrap().send(()).unwrap();
            pending()
        };
        tokio::select! {
            _ = cache.obtain(Some(digest(number)), &key, &self.report, fetch) => panic!("it ended"),
            _ = wait => {}
        }
    }

    fn later(&self, cache: &Cache, by: Duration) -> Room {
        Room::open(&cache.dir, cache.size).unwrap().later(by)
    }

    fn has(&self, cache: &Cache, number: u64) -> bool {
        cache.dir.join("entries").join(digest(number).to_string()).exists()
    }
}

#[tokio::test]
async fn a_second_pod_finds_what_the_first_fetched() {
    let node = Node::new();
    let cache = node.cache(9);
    let first = node.obtain(&cache, 1).await.unwrap();
    let second = node.obtain(&cache, 1).await.unwrap();
    assert_eq!(node.fetches.get(), 1);
    assert_eq!((&first.path, &first.report), (&second.path, &second.report));
    assert_eq!(
        first.path,
        cache.dir.join("entries").join(digest(1).to_string()).join("weights")
    );
    assert_eq!(std::fs::read(first.path).unwrap(), model(1));
    assert!(cache.dir.join("packed").join(digest(1).to_string()).exists());
}

#[tokio::test]
async fn a_directory_has_the_same_place_as_a_file() {
    let node = Node::new();
    let cache = node.cache(9);
    let encoder = |to: PathBuf| {
        let dir = to.join("deep/inside");
        std::fs::create_dir_all(&dir).unwrap();
        crate::testing::write_encoder(&dir);
        let (model, bytes) = facts::of_path(&dir).unwrap();
        let report = PrepareReport {
            digest: Digest::of_model(&dir).unwrap().prefixed(),
            bytes,
            file: "deep/inside".into(),
            revision: None,
            model,
            compression: None,
        };
        ready(Ok(Prepared { path: dir, report }))
    };
    let found = cache.obtain(None, "source-1", &node.report, encoder).await.unwrap();
    assert!(found.path.ends_with("weights") && found.path.join("config.json").exists());
    assert_eq!(Digest::of_model(&found.path).unwrap().prefixed(), found.report.digest);
    let digest = found.report.digest.parse().unwrap();
    let again = cache.obtain(Some(digest), "other", &node.report, |_| {
        ready(fetched(Path::new("/none"), 1))
    });
    assert_eq!(again.await.unwrap().path, found.path);
    assert_eq!(std::fs::read_dir(cache.dir.join("trash")).unwrap().count(), 0);
}

#[tokio::test]
async fn two_at_once_fetch_once_and_the_second_tells_how_far_it_is() {
    let node = Node::new();
    let cache = node.cache(9);
    let key = digest(1).to_string();
    let (begun, has_begun) = tokio::sync::oneshot::channel::<()>();
    let (done, wait) = tokio::sync::oneshot::channel::<()>();
    let ends = Cell::new(Some((begun, wait)));
    let slow = |to: PathBuf| {
        let (begun, wait) = ends.take().unwrap();
        async move {
            std::fs::create_dir_all(&to).unwrap();
            std::fs::write(to.join("m.gguf.part"), vec![1; 8192]).unwrap();
            begun.send(()).unwrap();
            wait.await.unwrap();
            std::fs::remove_file(to.join("m.gguf.part")).unwrap();
            fetched(&to, 1)
        }
    };
    let first = cache.obtain(Some(digest(1)), &key, &node.report, slow);
    let second = async {
        has_begun.await.unwrap();
        let second = node.obtain(&cache, 1);
        let told = async {
            let path = node.dir.path().join("report");
            loop {
                tokio::time::sleep(Duration::from_millis(5)).await;
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                if let Some(PrepareOutcome::Running(progress)) = PrepareOutcome::parse(&text) {
                    assert!(progress.bytes >= 8192, "{progress:?}");
                    done.send(()).unwrap();
                    return;
                }
            }
        };
        tokio::join!(second, told).0
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.unwrap().path, second.unwrap().path);
    assert_eq!(node.fetches.get(), 0);
}

#[tokio::test]
async fn a_killed_fetch_leaves_its_bytes_to_the_next_and_no_entry() {
    let node = Node::new();
    let cache = node.cache(9);
    node.killed(&cache, 1).await;
    assert!(!node.has(&cache, 1));
    let work = cache.dir.join("works").join(digest(1).to_string());
    assert_eq!(std::fs::metadata(work.join("m.gguf.part")).unwrap().len(), 9000);
    node.obtain(&cache, 1).await.unwrap();
    assert!(node.has(&cache, 1) && !work.exists());
}

#[tokio::test]
async fn the_longest_unused_models_leave() {
    let node = Node::new();
    let cache = node.cache(2);
    for number in [1, 2, 3] {
        node.obtain(&cache, number).await.unwrap();
    }
    // All were used just now.
    assert!([1, 2, 3].iter().all(|number| node.has(&cache, *number)));
    let age = |number: u64, days: u32| {
        let lock = cache.dir.join("entries").join(digest(number).to_string()).join(".lock");
        let then = std::time::SystemTime::now() - DAY * days;
        std::fs::File::options()
            .append(true)
            .open(lock)
            .unwrap()
            .set_modified(then)
            .unwrap();
    };
    age(1, 1);
    age(2, 3);
    age(3, 2);
    node.obtain(&cache, 4).await.unwrap();
    let left: Vec<_> = [1, 2, 3, 4]
        .into_iter()
        .filter(|number| node.has(&cache, *number))
        .collect();
    assert_eq!(left, [1, 4]);
    assert!(!cache.dir.join("packed").join(digest(2).to_string()).exists());
}

#[tokio::test]
async fn what_is_in_use_stays_and_counts_as_used() {
    let node = Node::new();
    let cache = node.cache(1);
    let held = node.obtain(&cache, 1).await.unwrap();
    node.obtain(&cache, 2).await.unwrap();
    let lock = hold(&held.path.with_file_name(".lock")).unwrap();
    node.later(&cache, DAY).make(None).unwrap();
    assert!(node.has(&cache, 1) && !node.has(&cache, 2));
    drop(lock);
    // Ten minutes after somebody used it.
    node.later(&cache, DAY + Duration::from_secs(599))
        .remove_one(None)
        .unwrap();
    assert!(node.has(&cache, 1));
    node.later(&cache, DAY + Duration::from_secs(600))
        .remove_one(None)
        .unwrap();
    assert!(!node.has(&cache, 1));
}

#[tokio::test]
async fn what_engines_make_of_a_model_takes_room_too() {
    let node = Node::new();
    let cache = node.cache(3);
    node.obtain(&cache, 1).await.unwrap();
    node.obtain(&cache, 2).await.unwrap();
    node.later(&cache, DAY).make(None).unwrap();
    assert!(node.has(&cache, 1));
    let packed = cache.dir.join("packed").join(digest(1).to_string());
    std::fs::write(packed.join("x.packed"), vec![1; 70_000]).unwrap();
    node.later(&cache, DAY).make(Some(&digest(2).prefixed())).unwrap();
    assert!(!node.has(&cache, 1) && node.has(&cache, 2) && !packed.exists());
}

#[tokio::test]
async fn a_broken_work_leaves_when_nobody_goes_on_with_it() {
    let node = Node::new();
    let cache = node.cache(1);
    node.killed(&cache, 1).await;
    node.obtain(&cache, 2).await.unwrap();
    assert!(cache.dir.join("works").join(digest(1).to_string()).exists());
    node.later(&cache, DAY).make(Some(&digest(2).prefixed())).unwrap();
    assert!(!cache.dir.join("works").join(digest(1).to_string()).exists() && node.has(&cache, 2));
}

#[tokio::test]
async fn a_full_disk_makes_room_and_then_tells() {
    let node = Node::new();
    let cache = node.cache(9);
    for number in [1, 2] {
        let found = node.obtain(&cache, number).await.unwrap();
        let lock = std::fs::File::options()
            .append(true)
            .open(found.path.with_file_name(".lock"));
        lock.unwrap().set_modified(std::time::SystemTime::now() - DAY).unwrap();
    }
    let calls = Cell::new(0);
    let full = |_: PathBuf| {
        calls.set(calls.get() + 1);
        ready(Err(PrepareFailure::new(reasons::NO_SPACE, "the disk is full", true)))
    };
    let key = digest(3).to_string();
    let failure = cache
        .obtain(Some(digest(3)), &key, &node.report, full)
        .await
        .unwrap_err();
    assert_eq!((failure.message.as_str(), calls.get()), ("the disk is full", 3));
    assert!(!node.has(&cache, 1) && !node.has(&cache, 2));
}

#[tokio::test]
async fn a_model_that_is_larger_than_the_cache_is_refused() {
    let node = Node::new();
    let cache = Cache {
        size: 1000,
        ..node.cache(1)
    };
    let failure = node.obtain(&cache, 1).await.unwrap_err();
    assert_eq!((failure.reason.as_str(), failure.retryable), (reasons::NO_SPACE, false));
    assert!(failure.message.contains("nodeCache.size"), "{failure}");
    assert!(!cache.dir.join("works").join(digest(1).to_string()).exists());
}

#[rstest::rstest]
#[case::shorter(|dir: &Path| std::fs::write(dir.join("weights"), b"GGUF").unwrap())]
#[case::missing(|dir: &Path| std::fs::remove_file(dir.join("weights")).unwrap())]
#[case::no_note(|dir: &Path| std::fs::remove_file(dir.join(".atelier.json")).unwrap())]
#[case::told(|dir: &Path| {
    let packed = dir.parent().unwrap().parent().unwrap().join("packed").join(dir.file_name().unwrap());
    std::fs::write(packed.join(".damaged"), "").unwrap();
})]
#[tokio::test]
async fn a_damaged_entry_is_fetched_anew(#[case] damage: fn(&Path)) {
    let node = Node::new();
    let cache = node.cache(9);
    let first = node.obtain(&cache, 1).await.unwrap();
    damage(first.path.parent().unwrap());
    let second = node.obtain(&cache, 1).await.unwrap();
    assert_eq!(node.fetches.get(), 2);
    assert_eq!(std::fs::read(second.path).unwrap(), model(1));
    node.obtain(&cache, 1).await.unwrap();
    assert_eq!(node.fetches.get(), 2);
}

#[tokio::test]
async fn what_was_being_removed_when_somebody_was_killed_goes() {
    let node = Node::new();
    let cache = node.cache(9);
    let left = cache.dir.join("trash/x/y");
    std::fs::create_dir_all(&left).unwrap();
    node.obtain(&cache, 1).await.unwrap();
    assert!(!left.exists());
}

#[tokio::test]
async fn an_unknown_digest_is_known_afterwards() {
    let node = Node::new();
    let cache = node.cache(9);
    let fetch = |to: PathBuf| ready(fetched(&to, 1));
    cache.obtain(None, "source-1", &node.report, fetch).await.unwrap();
    node.obtain(&cache, 1).await.unwrap();
    assert_eq!(node.fetches.get(), 0);
}

#[test]
fn who_comes_too_late_is_told() {
    let dir = tempfile::tempdir().unwrap();
    assert!(hold(&dir.path().join(".lock")).is_err());
    let removing = super::lock::take(&dir.path().join(".lock")).unwrap().unwrap();
    assert!(
        hold(&dir.path().join(".lock"))
            .unwrap_err()
            .to_string()
            .contains("being removed")
    );
    drop(removing);
    let (one, two) = (hold(&dir.path().join(".lock")), hold(&dir.path().join(".lock")));
    assert!(one.is_ok() && two.is_ok());
}
