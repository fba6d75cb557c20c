//! What strict mode costs.

use std::time::Instant;

use futures::future::join_all;
use store::testing::Postgres;

use super::{ask, drained, ready, strict};

/// `cargo test -p atelier-store --release --test audit -- --ignored --nocapture requests_per_second`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn requests_per_second() {
    const CLIENTS: usize = 256;
    const EACH: usize = 100;
    // Commits are synced to the disk.
    let server = Postgres::start_with(&[]);
    let test = server.database().await;
    let log = ready(&test.database, strict()).await;
    let begun = Instant::now();
    let client = |client: usize| {
        let log = log.clone();
        tokio::spawn(async move {
            for i in 0..EACH {
                ask(&log, &format!("{client}-{i}")).await.unwrap();
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
