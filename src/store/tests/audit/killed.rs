//! Processes that are killed. The process is this test program, started once more.

use std::{
    fs::DirEntry,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use futures::future::join_all;
use store::{
    Database,
    audit::{Log, Settings},
    testing::{Postgres, TestDatabase},
};

use super::{ask, buffered, check, drained, ready, strict, within};

const URL_FILE: &str = "TEST_URL_FILE";
const SPOOL: &str = "TEST_SPOOL";

/// Tells each request that counts, until somebody kills the process.
#[tokio::test]
#[ignore = "a part of the other tests, which start it"]
async fn asks_until_it_is_killed() {
    let (Some(url), spool) = (std::env::var_os(URL_FILE), std::env::var_os(SPOOL)) else {
        return;
    };
    let database = Database::of_file(url.into()).unwrap();
    let log = match spool {
        Some(spool) => Log::start(database, buffered(Path::new(&spool))).unwrap(),
        None => ready(&database, strict()).await,
    };
    let id = std::process::id();
    let client = |client: usize| {
        let log = &log;
        async move {
            for i in 0.. {
                let request = format!("p{id}-{client}-{i}");
                if ask(log, &request).await.is_ok() {
                    println!("counted {request}");
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    };
    // Many are about to count when it happens.
    join_all((0..64).map(client)).await;
}

/// The requests that counted at a process that was killed.
fn run_and_kill(url: &Path, spool: Option<&Path>) -> Vec<String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["killed::asks_until_it_is_killed", "--exact", "--ignored", "--nocapture"]);
    command.env(URL_FILE, url).stdout(Stdio::piped()).stderr(Stdio::null());
    if let Some(spool) = spool {
        command.env(SPOOL, spool);
    }
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let counted = |line: std::io::Result<String>| {
        let line = line.unwrap();
        line.split_once("counted ").map(|(_, request)| request.to_owned())
    };
    let mut requests: Vec<_> = lines.by_ref().filter_map(counted).take(500).collect();
    child.kill().unwrap();
    // What it had told before it died.
    requests.extend(lines.filter_map(counted));
    child.wait().unwrap();
    assert!(requests.len() >= 500, "{}", requests.len());
    requests
}

async fn opened(test: &TestDatabase, requests: &[String]) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM audit WHERE kind = 'opened' AND request = ANY($1)")
        .bind(requests)
        .fetch_one(&mut test.connection().await)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_counted_at_a_strict_process_is_in_the_database() {
    let test = Postgres::shared().database().await;
    let url: PathBuf = test.url_file.path().into();
    let requests = tokio::task::spawn_blocking(move || run_and_kill(&url, None))
        .await
        .unwrap();
    assert_eq!(opened(&test, &requests).await, requests.len() as i64);
    assert!(check(&test.database).await.is_sound());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_counted_at_a_buffered_process_is_written_by_the_next_one() {
    let test = Postgres::shared().database().await;
    let spool = tempfile::tempdir().unwrap();
    // Nothing goes to the database while the process lives.
    let nowhere = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&nowhere, "postgres://postgres@127.0.0.1:1/none").unwrap();
    let (url, dir) = (nowhere.path().to_owned(), spool.path().to_owned());
    let killed = tokio::task::spawn_blocking(move || {
        let mut requests = run_and_kill(&url, Some(&dir));
        requests.extend(run_and_kill(&url, Some(&dir)));
        requests
    });
    let requests = killed.await.unwrap();
    let settings = Settings {
        capacity: 1024,
        ..buffered(spool.path())
    };
    let log = ready(&test.database, settings).await;
    within(async {
        while opened(&test, &requests).await < requests.len() as i64 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    ask(&log, "own").await.unwrap();
    drained(&log).await;
    let report = check(&test.database).await;
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.chains.len(), 3);
    drop(log);
    within(files_of_the_dead_gone(spool.path())).await;
}

/// Files go in the background, when the database has their last row.
async fn files_of_the_dead_gone(spool: &Path) {
    let holds_rows = |entry: std::io::Result<DirEntry>| {
        let file = entry.unwrap().metadata();
        file.is_ok_and(|file| file.len() > 0)
    };
    while std::fs::read_dir(spool).unwrap().any(holds_rows) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
