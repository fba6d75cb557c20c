//! What strict mode costs.

use std::time::Instant;

use futures::future::join_all;
use store::{audit::Settings, testing::Postgres};

use super::{ask, drained, keeping, ready, strict, tell};

/// `cargo test -p atelier-store --release --test audit -- --ignored --nocapture requests_per_second`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn requests_per_second() {
    measure(strict(), None).await;
}

/// With 1 KB in each request and in each answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn requests_per_second_with_contents() {
    let text = "x".repeat(1024);
    measure(keeping(strict()), Some(text)).await;
}

async fn measure(settings: Settings, text: Option<String>) {
    const CLIENTS: usize = 256;
    const EACH: usize = 100;
    // Commits are synced to the disk.
    let server = Postgres::start_with(&[]);
    let test = server.database().await;
    let log = ready(&test.database, settings).await;
    let begun = Instant::now();
    let client = |client: usize| {
        let (log, text) = (log.clone(), text.clone());
        tokio::spawn(async move {
            for i in 0..EACH {
                let request = format!("{client}-{i}");
                match &text {
                    None => ask(&log, &request).await.unwrap(),
                    Some(text) => tell(&log, &request, &format!("user-{client}"), text).await.unwrap(),
                }
            }
        })
    };
    join_all((0..CLIENTS).map(client))
        .await
        .into_iter()
        .for_each(Result::unwrap);
    drained(&log).await;
    let rate = (CLIENTS * EACH) as f64 / begun.elapsed().as_secs_f64();
    let commits = test.number("SELECT count(DISTINCT xmin::text) FROM audit").await;
    println!("{rate:.0} strict requests/s, two rows each, in {commits} commits");
}
