//! Chains that are written, and what is found when they are changed.

use futures::future::join_all;
use store::{
    audit::{ChainReport, Draft, Kind, Range, verify},
    testing::{Postgres, TestDatabase},
};

use super::{ask, check, drained, ready, strict, within};
use store::audit::verify::Fault;

async fn database() -> TestDatabase {
    Postgres::shared().database().await
}

/// A database with one chain of ten rows.
async fn ten_rows() -> (TestDatabase, String) {
    let test = database().await;
    let log = ready(&test.database, strict()).await;
    for i in 0..5 {
        ask(&log, &format!("r{i}")).await.unwrap();
    }
    drained(&log).await;
    let report = check(&test.database).await;
    assert!(report.is_sound(), "{report:?}");
    let [ChainReport { chain, rows: 10, .. }] = &report.chains[..] else {
        panic!("{report:?}")
    };
    (test, chain.clone())
}

#[tokio::test]
async fn rows_of_many_requests_and_writers_are_one_chain_each() {
    let test = database().await;
    let logs = [
        ready(&test.database, strict()).await,
        ready(&test.database, strict()).await,
    ];
    let names: Vec<_> = (0..100).map(|i| format!("r{i}")).collect();
    let asked = logs.iter().flat_map(|log| names.iter().map(move |name| ask(log, name)));
    within(join_all(asked)).await.into_iter().for_each(Result::unwrap);
    for log in &logs {
        drained(log).await;
        assert_eq!(log.stats().written, 200);
    }
    let report = check(&test.database).await;
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(
        report.chains.iter().map(|chain| chain.rows).collect::<Vec<_>>(),
        [200, 200]
    );
    // Many rows share a commit; how many is the machine's business.
    let commits = test.number("SELECT count(DISTINCT xmin::text) FROM audit").await;
    assert!(commits < 400, "{commits}");
}

#[tokio::test]
async fn a_row_is_there_when_it_counts() {
    let test = database().await;
    let log = ready(&test.database, strict()).await;
    let refusal = Draft::new(
        Kind::Refused,
        "r",
        "joe\0",
        &serde_json::json!({"asked": "m\0", "decision": "denied"}),
    );
    log.write(refusal).unwrap().wait().await.unwrap();
    let rows = "SELECT count(*) FROM audit WHERE kind = 'refused' AND event ->> 'asked' = U&'m\\FFFD'";
    assert_eq!(test.number(rows).await, 1);
    assert!(check(&test.database).await.is_sound());
}

#[tokio::test]
async fn tables_take_no_change_from_anybody_but_an_owner() {
    let (test, _) = ten_rows().await;
    for statement in [
        "UPDATE audit SET subject = 'joe'",
        "DELETE FROM audit",
        "TRUNCATE audit",
    ] {
        let error = sqlx::query(statement)
            .execute(&mut test.connection().await)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("append-only"), "{statement}: {error}");
    }
}

/// What an owner of the tables does, the row that is found first, and how.
const TAMPERING: [(&[&str], i64, Fault); 10] = [
    (
        &["UPDATE audit SET event = '{\"model\":\"other\"}' WHERE seq = 3"],
        3,
        Fault::Changed,
    ),
    (
        &["UPDATE audit SET event = (event::text || ' ')::json WHERE seq = 3"],
        3,
        Fault::Changed,
    ),
    (&["UPDATE audit SET subject = 'joe' WHERE seq = 1"], 1, Fault::Changed),
    (
        &["UPDATE audit SET at = at + interval '1 microsecond' WHERE seq = 10"],
        10,
        Fault::Changed,
    ),
    (
        &["UPDATE audit SET hash = sha256('x') WHERE seq = 4"],
        4,
        Fault::Changed,
    ),
    (&["DELETE FROM audit WHERE seq = 5"], 5, Fault::Missing),
    (&["DELETE FROM audit WHERE seq = 1"], 1, Fault::Missing),
    // A time that no range would hold.
    (&["UPDATE audit SET at = '1900-01-01'"], 1, Fault::Changed),
    // Two rows change places.
    (
        &[
            "UPDATE audit SET seq = CASE seq WHEN 6 THEN 107 ELSE 106 END WHERE seq IN (6, 7)",
            "UPDATE audit SET seq = seq - 100 WHERE seq > 100",
        ],
        6,
        Fault::Changed,
    ),
    // The rows behind a deleted one move up.
    (
        &[
            "DELETE FROM audit WHERE seq = 2",
            "UPDATE audit SET seq = seq + 100 WHERE seq > 2",
            "UPDATE audit SET seq = seq - 101 WHERE seq > 100",
        ],
        2,
        Fault::Changed,
    ),
];

#[tokio::test]
async fn the_first_row_that_was_changed_taken_out_or_moved_is_named() {
    for (statements, seq, fault) in TAMPERING {
        let (test, chain) = ten_rows().await;
        for statement in statements {
            test.tamper(statement).await;
        }
        let report = check(&test.database).await;
        assert!(!report.is_sound());
        let broken = ChainReport {
            chain,
            rows: seq as u64 - 1,
            broken: Some((seq, fault)),
        };
        assert_eq!(report.chains, [broken], "{statements:?}");
    }
}

#[tokio::test]
async fn a_range_is_walked_alone() {
    let (test, chain) = ten_rows().await;
    let at = |seq: i64| {
        let query = format!("SELECT (extract(epoch FROM at) * 1000000)::bigint FROM audit WHERE seq = {seq}");
        let test = &test;
        async move { test.number(&query).await }
    };
    let range = Range {
        since: Some(at(4).await),
        until: Some(at(8).await),
    };
    let walked = async || verify(&test.database, range, None, &[]).await.unwrap().chains;
    let sound = ChainReport {
        chain: chain.clone(),
        rows: 4,
        broken: None,
    };
    assert_eq!(walked().await, [sound]);
    test.tamper("UPDATE audit SET subject = 'joe' WHERE seq IN (2, 6, 9)")
        .await;
    let broken = ChainReport {
        chain,
        rows: 2,
        broken: Some((6, Fault::Changed)),
    };
    assert_eq!(walked().await, [broken]);
}
