//! Contents that nobody shall read any more.

use std::{cell::Cell, time::Duration};

use futures::future::{join, join_all, join3};
use sqlx::Connection;
use store::{
    audit::{
        content::{Erased, State, erase},
        retention::{self, Keeper},
    },
    testing::{Postgres, TestDatabase},
};

use super::{
    check,
    content::{kept, read, spooled, taken_over, two_requests},
    drained, keeping, keys, ready, strict, tell, within,
};

async fn erased(test: &TestDatabase, subject: &str) -> Erased {
    within(erase(&test.database, "ns", subject, "request 4711"))
        .await
        .unwrap()
}

/// Without anything of Rooms.
fn told(keys: u64, contents: i64) -> Erased {
    Erased {
        keys,
        contents,
        room_answers: 0,
    }
}

#[tokio::test]
async fn an_erased_users_contents_are_gone_and_the_chain_is_sound() {
    let test = two_requests().await;
    let keys = keys(&["a"], "a");
    assert_eq!(erased(&test, "jane").await, told(1, 2));
    assert_eq!(read(&test, &keys, "r1").await, [State::Gone, State::Gone]);
    assert_eq!(read(&test, &keys, "r2").await[0], kept("secret two"));
    let evidence = "SELECT count(*) FROM audit WHERE kind = 'erased' AND subject = 'jane' \
                    AND event ->> 'namespace' = 'ns' AND event ->> 'reason' = 'request 4711' \
                    AND event ->> 'keys' = '1' AND event ->> 'contents' = '2'";
    assert_eq!(test.number(evidence).await, 1);
    let report = check(&test.database).await;
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.contents.kept, report.contents.erased), (2, 2));
    // What nobody can read is cleared away later, and the trail is still sound.
    let mut keeper = Keeper::new(test.database.clone(), retention::Settings::default());
    let pass = keeper.pass(store_now(&test).await).await.unwrap().unwrap();
    assert_eq!((pass.contents, pass.rows), (2, 0));
    assert_eq!(test.number("SELECT count(*) FROM audit_content").await, 2);
    let report = check(&test.database).await;
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.contents.kept, report.contents.erased), (2, 2));
}

/// Now, in microseconds since 1970.
async fn store_now(test: &TestDatabase) -> i64 {
    test.number("SELECT (extract(epoch FROM now()) * 1000000)::bigint")
        .await
}

#[tokio::test]
async fn a_process_that_still_has_the_key_does_not_bring_it_back() {
    let test = Postgres::shared().database().await;
    let log = ready(&test.database, keeping(strict())).await;
    tell(&log, "r1", "jane", "before").await.unwrap();
    drained(&log).await;
    assert_eq!(erased(&test, "jane").await.keys, 1);
    // With the same key.
    tell(&log, "r2", "jane", "after").await.unwrap();
    drained(&log).await;
    // What nobody could read is not even written.
    assert_eq!(test.number("SELECT count(*) FROM audit_content").await, 2);
    let keys = keys(&["a"], "a");
    for request in ["r1", "r2"] {
        assert_eq!(
            read(&test, &keys, request).await,
            [State::Gone, State::Gone],
            "{request}"
        );
    }
    let report = check(&test.database).await;
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.contents.erased, 4);
}

#[tokio::test]
async fn no_key_slips_through_while_others_write() {
    let test = Postgres::shared().database().await;
    let mut logs = Vec::new();
    for _ in 0..4 {
        // Each process has keys of its own.
        logs.push(ready(&test.database, keeping(strict())).await);
    }
    let asking = logs.iter().enumerate().map(async |(i, log)| {
        for n in 0..20 {
            tell(log, &format!("r{i}-{n}"), "jane", "secret").await.unwrap();
        }
    });
    let erasing = async {
        for _ in 0..5 {
            erased(&test, "jane").await;
        }
    };
    within(join(join_all(asking), erasing)).await;
    for log in &logs {
        drained(log).await;
    }
    let readable = "SELECT count(*) FROM audit_key WHERE wrapped IS NOT NULL";
    assert_eq!(test.number(readable).await, 0);
    let report = check(&test.database).await;
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.contents.kept, report.contents.erased), (0, 160));
}

/// Somebody in this database waits for such a lock.
const IS_WAITING: &str = "
    SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
    WHERE d.datname = current_database() AND NOT granted AND locktype =";

#[tokio::test]
async fn an_erasure_waits_for_keys_that_are_about_to_be_written() {
    let test = Postgres::shared().database().await;
    let log = ready(&test.database, keeping(strict())).await;
    // The writer has written the key and comes no further.
    let mut other = test.connection().await;
    let mut barrier = other.begin().await.unwrap();
    let lock = "LOCK TABLE audit_content IN SHARE MODE";
    sqlx::query(lock).execute(&mut *barrier).await.unwrap();
    let is_erased = Cell::new(false);
    let asking = async { tell(&log, "r", "jane", "secret").await.unwrap() };
    let erasing = async {
        while test.number(&format!("{IS_WAITING} 'relation'")).await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        erased(&test, "jane").await;
        is_erased.set(true);
    };
    let opening = async {
        while !is_erased.get() && test.number(&format!("{IS_WAITING} 'advisory'")).await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        barrier.rollback().await.unwrap();
    };
    within(join3(asking, erasing, opening)).await;
    drained(&log).await;
    let readable = "SELECT count(*) FROM audit_key WHERE wrapped IS NOT NULL";
    assert_eq!(test.number(readable).await, 0);
    assert!(check(&test.database).await.is_sound());
}

#[tokio::test]
async fn a_file_of_rows_from_before_does_not_either() {
    let test = Postgres::shared().database().await;
    // The tables are there.
    let log = ready(&test.database, keeping(strict())).await;
    let spool = tempfile::tempdir().unwrap();
    spooled(spool.path(), "r", "jane", "secret").await;
    // The database does not know of the key yet.
    assert_eq!(erased(&test, "jane").await, told(0, 0));
    taken_over(&test, spool.path()).await;
    assert_eq!(test.number("SELECT count(*) FROM audit WHERE request = 'r'").await, 2);
    assert_eq!(read(&test, &keys(&["a"], "a"), "r").await, [State::Gone, State::Gone]);
    assert_eq!(test.number("SELECT count(*) FROM audit_key").await, 0);
    let report = check(&test.database).await;
    assert!(report.is_sound(), "{report:?}");
    drop(log);
}

#[tokio::test]
async fn an_erasure_excuses_nobody_elses_contents() {
    let test = two_requests().await;
    // Of other models, and by another user.
    within(erase(&test.database, "other", "jane", "x")).await.unwrap();
    assert_eq!(erased(&test, "joe").await.keys, 1);
    test.tamper(
        "DELETE FROM audit_content USING audit a WHERE a.chain = audit_content.chain \
                 AND a.seq = audit_content.seq AND a.request = 'r1'",
    )
    .await;
    let report = check(&test.database).await;
    assert!(!report.is_sound(), "{report:?}");
    assert_eq!(report.contents.broken.map(|(_, seq, _)| seq), Some(1));
}
