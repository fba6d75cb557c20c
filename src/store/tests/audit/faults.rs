//! A database that is slow, or killed under load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use sqlx::{Executor, PgConnection};
use store::{
    audit::{Log, Mode, Settings, Unavailable},
    testing::{Postgres, TestDatabase},
};

use super::{ask, buffered, check, drained, opening, ready, strict, until_up, within};

/// Keeps everybody from writing rows until it is dropped.
async fn lock(test: &TestDatabase) -> PgConnection {
    let mut connection = test.connection().await;
    connection
        .execute("BEGIN; LOCK TABLE audit IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    connection
}

#[tokio::test]
async fn strict_refuses_while_the_database_is_slow_and_writes_the_rows_all_the_same() {
    let test = Postgres::shared().database().await;
    let settings = Settings {
        patience: Duration::from_millis(100),
        ..strict()
    };
    let log = ready(&test.database, settings).await;
    let slow = lock(&test).await;
    let refused = within(ask(&log, "slow")).await.unwrap_err();
    assert!(matches!(refused, Unavailable::Slow), "{refused}");
    assert_eq!(log.stats().refused, 1);
    drop(slow);
    drained(&log).await;
    assert_eq!(test.number("SELECT count(*) FROM audit").await, 2);
    assert!(check(&test.database).await.is_sound());
}

#[tokio::test]
async fn buffered_goes_on_until_its_queue_is_full_and_loses_nothing() {
    let test = Postgres::shared().database().await;
    let spool = tempfile::tempdir().unwrap();
    let settings = Settings {
        capacity: 11,
        ..buffered(spool.path())
    };
    let log = ready(&test.database, settings).await;
    let slow = lock(&test).await;
    // Each takes the place of the row that will close it as well.
    let mut opened = Vec::new();
    for i in 0..5 {
        let (row, committed) = log.open(opening(&format!("r{i}"))).unwrap();
        within(committed.wait()).await.unwrap();
        opened.push(row);
    }
    let refused = log.open(opening("one too many")).err().unwrap();
    assert!(matches!(refused, Unavailable::Full), "{refused}");
    // What has begun can end.
    for (i, row) in opened.into_iter().enumerate() {
        row.close(opening(&format!("end{i}")));
    }
    assert_eq!(log.stats().queued, 10);
    assert!(!log.drain(Duration::ZERO).await);
    drop(slow);
    drained(&log).await;
    assert_eq!(log.stats().queued, 0);
    assert_eq!(test.number("SELECT count(*) FROM audit").await, 10);
    ask(&log, "there is room again").await.unwrap();
    drained(&log).await;
    assert!(check(&test.database).await.is_sound());
}

/// Asks from many sides until `stop`; what counted.
async fn load(log: &Arc<Log>, stop: &AtomicBool) -> Vec<String> {
    let client = |client: usize| async move {
        let mut counted = Vec::new();
        for i in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let request = format!("c{client}-{i}");
            if ask(log, &request).await.is_ok() {
                counted.push(request);
            }
            // Buffered mode would never let go otherwise.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        counted
    };
    join_all((0..16).map(client)).await.concat()
}

/// Kills the server twice under load, and looks whether all that counted is there.
async fn survives(server: &Postgres, settings: Settings) -> (Arc<Log>, usize) {
    let test = server.database().await;
    let is_strict = settings.mode == Mode::Strict;
    let log = ready(&test.database, settings).await;
    let stop = AtomicBool::new(false);
    let faults = async {
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            server.kill();
            while log.stats().up {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            // All clients may be waiting: what becomes of another one tells the mode.
            match (log.open(opening("meanwhile")), is_strict) {
                (Err(Unavailable::Down), true) => {}
                (Ok((opened, _)), false) => opened.close(opening("meanwhile")),
                (outcome, _) => panic!("{:?}", outcome.err()),
            }
            // It waits for the server.
            tokio::task::block_in_place(|| server.restart());
            until_up(&log).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        stop.store(true, Ordering::Relaxed);
    };
    let (counted, ()) = within(futures::future::join(load(&log, &stop), faults)).await;
    drained(&log).await;
    assert!(log.stats().failures >= 2, "{:?}", log.stats());
    let mut connection = test.connection().await;
    let missing: Vec<String> = sqlx::query_scalar(
        "SELECT r FROM unnest($1::text[]) AS r WHERE (SELECT count(*) FROM audit WHERE request = r) <> 2",
    )
    .bind(&counted)
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(missing, Vec::<String>::new());
    let report = check(&test.database).await;
    assert!(report.is_sound(), "{report:?}");
    assert!(counted.len() > 16, "nothing was asked");
    (log, counted.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_row_that_counted_is_lost_when_the_database_is_killed() {
    let server = Postgres::start();
    let (log, _) = survives(&server, strict()).await;
    assert!(log.stats().refused > 0, "strict refuses in between: {:?}", log.stats());

    let spool = tempfile::tempdir().unwrap();
    let settings = Settings {
        capacity: 1 << 20,
        ..buffered(spool.path())
    };
    let (log, _) = survives(&server, settings).await;
    assert_eq!(log.stats().refused, 0, "buffered refuses nobody while there is room");
}

#[tokio::test]
async fn the_first_request_waits_for_the_first_connection() {
    let test = Postgres::shared().database().await;
    let log = Log::start(test.database.clone(), strict()).unwrap();
    assert!(!log.stats().up);
    within(ask(&log, "r")).await.unwrap();
    assert_eq!(log.stats().refused, 0);
}

#[tokio::test]
async fn strict_refuses_at_once_what_it_knows_to_fail_and_serves_when_the_database_comes() {
    let server = Postgres::start();
    let test = server.database().await;
    server.kill();
    let log = Log::start(test.database.clone(), strict()).unwrap();
    within(async {
        while log.stats().failures == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let refused = log.open(opening("r")).err().unwrap();
    assert!(matches!(refused, Unavailable::Down), "{refused}");
    server.restart();
    until_up(&log).await;
    within(ask(&log, "r")).await.unwrap();
}
