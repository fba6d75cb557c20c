//! Contents and rows that expire.

use std::time::Duration;

use futures::future::join_all;
use sqlx::{Connection, Executor};
use store::{
    audit::{
        ChainReport, Range,
        content::{ContentFault, State},
        retention::{Keeper, Pass, Settings},
        seal::{Anchor, seal},
        verify::{Fault, RootFault, verify},
    },
    testing::{Postgres, TestDatabase},
};

use super::{
    check,
    content::{kept, read},
    drained, keeping, keys, ready, strict, tell, within,
};

const DAY: Duration = Duration::from_secs(86_400);

/// Contents go after 30 days, rows after 400.
fn settings() -> Settings {
    Settings {
        content: Some(30 * DAY),
        metadata: Some(400 * DAY),
        keys: None,
    }
}

async fn pass(test: &TestDatabase, days_from_now: i64) -> Pass {
    let now = "SELECT (extract(epoch FROM now()) * 1000000)::bigint";
    let then = test.number(now).await + days_from_now * DAY.as_micros() as i64;
    let mut keeper = Keeper::new(test.database.clone(), settings());
    within(keeper.pass(then))
        .await
        .unwrap()
        .expect("nobody else is about it")
}

/// A chain with the rows of four requests: two under the first root, two under the second. The rows and the root of
/// the first two are a year older.
async fn two_blocks() -> (TestDatabase, Vec<Anchor>) {
    let test = Postgres::shared().database().await;
    let log = ready(&test.database, keeping(strict())).await;
    let mut anchors = Vec::new();
    for requests in [["r1", "r2"], ["r3", "r4"]] {
        for request in requests {
            tell(&log, request, "jane", &format!("secret {request}")).await.unwrap();
        }
        drained(&log).await;
        anchors.push(seal(&test.database, None).await.unwrap().expect("the chain has grown"));
    }
    (test, anchors)
}

/// When the second block begins, in microseconds since 1970, for a keeper that shall spare it.
async fn between(test: &TestDatabase) -> i64 {
    test.number("SELECT (extract(epoch FROM at) * 1000000)::bigint + 1 FROM audit_root WHERE id = 1")
        .await
}

/// A pass to which the first block alone is too old.
async fn pass_of_first_block(test: &TestDatabase) -> Pass {
    let then = between(test).await + 400 * DAY.as_micros() as i64;
    let mut keeper = Keeper::new(test.database.clone(), settings());
    within(keeper.pass(then)).await.unwrap().unwrap()
}

#[tokio::test]
async fn contents_expire_before_their_rows() {
    let (test, _) = two_blocks().await;
    assert_eq!(pass(&test, 29).await, Pass::default());
    assert_eq!(read(&test, &keys(&["a"], "a"), "r1").await[0], kept("secret r1"));
    let report = pass(&test, 31).await;
    assert_eq!((report.contents, report.rows), (8, 0));
    assert_eq!(read(&test, &keys(&["a"], "a"), "r1").await, [State::Gone, State::Gone]);
    let report = check(&test.database).await;
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.contents.kept, report.contents.expired), (0, 8));
    assert_eq!(test.number("SELECT count(*) FROM audit WHERE request <> ''").await, 9);
    // Keys that open nothing go as well, once none can be on its way any more.
    assert_eq!(test.number("SELECT count(*) FROM audit_key").await, 0);
}

#[tokio::test]
async fn rows_expire_as_sealed_blocks_and_the_rest_is_verified() {
    let (test, anchors) = two_blocks().await;
    let done = pass_of_first_block(&test).await;
    assert_eq!(done.rows, 4);
    let left = "SELECT count(*) FROM audit WHERE request IN ('r3', 'r4')";
    assert_eq!(test.number(left).await, 4);
    assert_eq!(
        test.number("SELECT count(*) FROM audit WHERE request IN ('r1', 'r2')")
            .await,
        0
    );
    let report = verify(&test.database, Range::default(), None, &anchors).await.unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.pruned.map(|pruned| pruned.root), Some(1));
    // The roots of what has gone are still those that were told.
    assert_eq!((report.roots, report.anchored), (2, 2));
    assert!(report.chains.iter().any(|chain| chain.rows == 4), "{report:?}");
    // Nothing more is due, and what comes is sealed as ever.
    assert_eq!(pass_of_first_block(&test).await, Pass::default());
    assert_eq!(seal(&test.database, None).await.unwrap().unwrap().id, 3);
    assert!(check(&test.database).await.is_sound());
    // In the end all of it goes but what tells so.
    assert_eq!(pass(&test, 1000).await.rows, 6);
    let report = verify(&test.database, Range::default(), None, &anchors).await.unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.pruned.map(|pruned| pruned.root), Some(3));
    assert_eq!(
        test.number("SELECT count(*) FROM audit WHERE kind <> 'pruned'").await,
        0
    );
    assert_eq!(test.number("SELECT count(*) FROM audit_content").await, 0);
}

#[tokio::test]
async fn a_chain_goes_on_behind_rows_that_have_expired() {
    let test = Postgres::shared().database().await;
    let log = ready(&test.database, keeping(strict())).await;
    tell(&log, "r1", "jane", "old").await.unwrap();
    drained(&log).await;
    seal(&test.database, None).await.unwrap().unwrap();
    assert_eq!(pass(&test, 500).await.rows, 2);
    tell(&log, "r2", "jane", "new").await.unwrap();
    drained(&log).await;
    seal(&test.database, None).await.unwrap().unwrap();
    let report = check(&test.database).await;
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(test.number("SELECT min(seq) FROM audit WHERE request = 'r2'").await, 3);
    // A range begins there as well.
    let since = test
        .number("SELECT (extract(epoch FROM at) * 1000000)::bigint FROM audit WHERE seq = 3")
        .await;
    let range = Range {
        since: Some(since),
        until: None,
    };
    let walked = verify(&test.database, range, None, &[]).await.unwrap();
    assert!(
        walked.is_sound() && walked.chains.iter().any(|chain| chain.rows == 2),
        "{walked:?}"
    );
}

#[tokio::test]
async fn more_than_what_has_expired_is_missed() {
    // Rows behind the block, the first of them or others; and what a root has sealed that is kept.
    for (statement, seq, fault) in [
        ("DELETE FROM audit WHERE seq = 5 AND request = 'r3'", 5, Fault::Missing),
        (
            "UPDATE audit SET subject = 'joe' WHERE seq = 5 AND request = 'r3'",
            5,
            Fault::Changed,
        ),
        ("DELETE FROM audit WHERE seq = 7 AND request = 'r4'", 7, Fault::Missing),
    ] {
        let (test, _) = two_blocks().await;
        pass_of_first_block(&test).await;
        test.tamper(statement).await;
        let report = check(&test.database).await;
        let broken = |chain: &ChainReport| chain.broken == Some((seq, fault));
        assert!(report.chains.iter().any(broken), "{statement}: {report:?}");
    }
    let (test, _) = two_blocks().await;
    pass_of_first_block(&test).await;
    test.tamper("DELETE FROM audit WHERE seq = 8 AND request = 'r4'").await;
    let broken = check(&test.database).await.broken_root;
    assert!(matches!(broken, Some((2, RootFault::Row { seq: 8, .. }))), "{broken:?}");
    // Where the walk begins cannot be moved: a signed root has it.
    let (test, _) = two_blocks().await;
    pass_of_first_block(&test).await;
    test.tamper("UPDATE audit_head SET hash = sha256('x') WHERE root = 1")
        .await;
    assert_eq!(check(&test.database).await.broken_root, Some((1, RootFault::Changed)));
    // What has expired vouches for nothing.
    let (test, _) = two_blocks().await;
    pass_of_first_block(&test).await;
    let forged = "INSERT INTO audit SELECT chain, 1, sha256('x'), now(), 'pruned', '', '', json_build_object('through', \
                  2, 'root', (SELECT encode(hash, 'hex') FROM audit_root WHERE id = 2)) FROM audit WHERE seq = 5";
    test.tamper(forged).await;
    test.tamper("DELETE FROM audit WHERE seq > 4").await;
    let report = check(&test.database).await;
    assert_eq!(report.pruned.map(|pruned| pruned.root), Some(1), "{report:?}");
    assert!(
        matches!(report.broken_root, Some((2, RootFault::Row { .. }))),
        "{report:?}"
    );
    // Contents that went before their time.
    let (test, _) = two_blocks().await;
    pass_of_first_block(&test).await;
    assert_eq!(check(&test.database).await.contents.expired, 4);
    let (test, _) = two_blocks().await;
    test.tamper("DELETE FROM audit_content WHERE seq = 3").await;
    let broken = check(&test.database).await.contents.broken;
    assert!(matches!(broken, Some((_, 3, ContentFault::Missing))), "{broken:?}");
}

#[tokio::test]
async fn rows_go_only_where_it_is_said_that_they_expire() {
    let (test, _) = two_blocks().await;
    pass_of_first_block(&test).await;
    let mut connection = test.connection().await;
    for statement in [
        "DELETE FROM audit",
        "SET atelier.retention = 'on'; UPDATE audit SET subject = 'x'",
    ] {
        let error = connection.execute(statement).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
}

#[tokio::test]
async fn what_was_interrupted_is_sound_and_finished_later() {
    let (test, _) = two_blocks().await;
    // Somebody keeps a row of the first block from going.
    let mut other = test.connection().await;
    let mut transaction = other.begin().await.unwrap();
    let lock = "SELECT seq FROM audit WHERE request = 'r1' FOR UPDATE";
    sqlx::query(lock).fetch_all(&mut *transaction).await.unwrap();
    let then = between(&test).await + 400 * DAY.as_micros() as i64;
    let mut keeper = Keeper::new(test.database.clone(), settings());
    let marked = async {
        let mark = "SELECT count(*) FROM audit WHERE kind = 'pruned' AND event ->> 'through' = '1'";
        while test.number(mark).await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(async {
        tokio::select! {
            done = keeper.pass(then) => panic!("it does not wait: {done:?}"),
            () = marked => {}
        }
    })
    .await;
    drop(keeper);
    assert_eq!(test.number("SELECT count(*) FROM audit WHERE request = 'r1'").await, 2);
    let report = check(&test.database).await;
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.pruned.map(|pruned| pruned.root), Some(1));
    transaction.rollback().await.unwrap();
    // The server may not know yet that the first one is gone.
    let mut keeper = Keeper::new(test.database.clone(), settings());
    let done = within(async {
        loop {
            if let Some(done) = keeper.pass(then).await.unwrap() {
                return done;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(done.rows, 4);
    assert!(check(&test.database).await.is_sound());
}

#[tokio::test]
async fn one_replica_does_it_at_a_time() {
    let (test, _) = two_blocks().await;
    // Somebody is about it.
    let mut other = test.connection().await;
    let lock = "SELECT pg_advisory_lock(x'6174656c69657203'::bit(64)::bigint)";
    sqlx::query(lock).execute(&mut other).await.unwrap();
    let mut keeper = Keeper::new(test.database.clone(), settings());
    let far = i64::MAX;
    assert_eq!(within(keeper.pass(far)).await.unwrap(), None);
    drop(other);
    // All at once: each row goes once.
    let mut keepers: Vec<_> = (0..4).map(|_| Keeper::new(test.database.clone(), settings())).collect();
    let passes = keepers.iter_mut().map(|keeper| keeper.pass(far));
    let passes = within(join_all(passes)).await;
    let rows: u64 = passes
        .into_iter()
        .filter_map(Result::unwrap)
        .map(|pass| pass.rows)
        .sum();
    assert_eq!(rows, 8);
    assert!(check(&test.database).await.is_sound());
}
