//! Pairs of ShadowDeployments on a real PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test says where it failed by panicking")]

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use store::{
    audit::{
        content::{Content, KeyRing, Limits, Vault},
        retention::{self, Keeper},
    },
    shadows::{self, Counts, Key, NewPair, Words},
    testing::{Postgres, TestDatabase},
};

async fn database() -> TestDatabase {
    let test = Postgres::shared().database().await;
    test.database.migrate().await.unwrap();
    test
}

fn key(uid: &str) -> Key {
    Key {
        uid: uid.into(),
        namespace: "ns".into(),
        name: "s".into(),
    }
}

fn pair(cluster: &str) -> NewPair {
    NewPair {
        cluster: cluster.into(),
        scores: json!({"TTFT": {"primary": 0.25, "candidate": 0.5}}),
    }
}

fn counts(begun: i64, unpaired: i64) -> Counts {
    Counts {
        begun,
        unpaired,
        ..Counts::default()
    }
}

#[tokio::test]
async fn pairs_are_read_in_their_order_and_by_pages() {
    let test = database().await;
    let db = &test.database;
    shadows::open(db, &key("u")).await.unwrap();
    shadows::open(db, &key("u")).await.unwrap();
    for i in 0..5 {
        assert!(
            shadows::add(db, "u", "r", &pair(&format!("c{i}")), &counts(i + 1, 0))
                .await
                .unwrap()
        );
    }
    let first = shadows::pairs(db, &key("u"), 0, 3).await.unwrap();
    assert!(first.more);
    let clusters: Vec<_> = first.pairs.iter().map(|pair| pair.cluster.as_str()).collect();
    assert_eq!(clusters, ["c0", "c1", "c2"]);
    assert_eq!(first.pairs[0].scores, pair("").scores);
    assert!(first.pairs[0].at.ends_with('Z'), "{}", first.pairs[0].at);
    let rest = shadows::pairs(db, &key("u"), first.pairs[2].seq, 3).await.unwrap();
    assert_eq!((rest.pairs.len(), rest.more), (2, false));
    let end = shadows::pairs(db, &key("u"), rest.pairs[1].seq, 3).await.unwrap();
    assert!(end.pairs.is_empty() && !end.more);
}

#[tokio::test]
async fn who_has_read_up_to_a_pair_has_missed_none_before_it() {
    let test = database().await;
    let db = &test.database;
    shadows::open(db, &key("u")).await.unwrap();
    let adding = (0..4).map(|writer| {
        let db = db.clone();
        tokio::spawn(async move {
            for i in 0..25 {
                let counts = counts(i + 1, 0);
                let replica = format!("r{writer}");
                assert!(shadows::add(&db, "u", &replica, &pair("c"), &counts).await.unwrap());
            }
        })
    });
    let adding: Vec<_> = adding.collect();
    let (mut seen, mut last) = (0, 0);
    while seen < 100 {
        let page = shadows::pairs(db, &key("u"), last, 10).await.unwrap();
        seen += page.pairs.len();
        last = page.pairs.last().map_or(last, |pair| pair.seq);
        if page.pairs.is_empty() && adding.iter().all(tokio::task::JoinHandle::is_finished) {
            let rest = shadows::pairs(db, &key("u"), last, 100).await.unwrap();
            seen += rest.pairs.len();
            break;
        }
    }
    assert_eq!(seen, 100);
}

#[tokio::test]
async fn counts_of_all_processes_are_added_up_and_none_twice() {
    let test = database().await;
    let db = &test.database;
    shadows::open(db, &key("u")).await.unwrap();
    let one = Counts {
        begun: 5,
        unpaired: 5,
        tokens: 100,
        nanos: Some(7),
        drops: BTreeMap::from([("queue", 3), ("rate", 1)]),
    };
    let other = Counts {
        drops: BTreeMap::from([("queue", 2)]),
        nanos: None,
        ..one.clone()
    };
    for _ in 0..2 {
        assert!(shadows::count(db, "u", "r1", &one).await.unwrap());
        assert!(shadows::count(db, "u", "r2", &other).await.unwrap());
    }
    // What comes late, after more was counted, takes nothing back.
    let late = Counts {
        drops: BTreeMap::from([("queue", 1)]),
        ..counts(1, 0)
    };
    assert!(shadows::count(db, "u", "r1", &late).await.unwrap());
    let collected = shadows::pairs(db, &key("u"), 0, 10).await.unwrap();
    assert_eq!((collected.tokens, collected.nanos), (200, Some(7)));
    let drops = BTreeMap::from([("queue".to_owned(), 5), ("rate".to_owned(), 1)]);
    assert_eq!(collected.drops, drops);
}

#[tokio::test]
async fn what_a_process_took_with_it_is_lost_and_what_is_under_way_is_not() {
    let test = database().await;
    let db = &test.database;
    shadows::open(db, &key("u")).await.unwrap();
    for replica in ["dead", "alive"] {
        assert!(shadows::begin(db, "u", replica, 7).await.unwrap());
        assert!(shadows::add(db, "u", replica, &pair("c"), &counts(7, 3)).await.unwrap());
    }
    let collected = shadows::pairs(db, &key("u"), 0, 10).await.unwrap();
    assert!(collected.drops.is_empty(), "{collected:?}");
    test.tamper("UPDATE shadow_count SET seen = now() - interval '61 s' WHERE replica = 'dead'")
        .await;
    let collected = shadows::pairs(db, &key("u"), 0, 10).await.unwrap();
    assert_eq!(collected.drops, BTreeMap::from([("lost".to_owned(), 3)]));
    assert_eq!(collected.pairs.len(), 2);
}

#[tokio::test]
async fn what_is_forgotten_does_not_come_back() {
    let test = database().await;
    let db = &test.database;
    for uid in ["u", "other"] {
        shadows::open(db, &key(uid)).await.unwrap();
        assert!(shadows::add(db, uid, "r", &pair("c"), &counts(1, 0)).await.unwrap());
    }
    // Of that name, in that namespace: a right on one is none on another.
    let elsewhere = Key {
        namespace: "elsewhere".into(),
        ..key("u")
    };
    assert_eq!(shadows::forget(db, &elsewhere).await.unwrap(), 0);
    assert!(shadows::pairs(db, &elsewhere, 0, 10).await.unwrap().pairs.is_empty());
    assert_eq!(shadows::forget(db, &key("u")).await.unwrap(), 1);
    assert_eq!(shadows::forget(db, &key("u")).await.unwrap(), 0);
    assert!(!shadows::begin(db, "u", "r", 2).await.unwrap());
    assert!(!shadows::add(db, "u", "r", &pair("c"), &counts(2, 0)).await.unwrap());
    assert!(!shadows::count(db, "u", "r", &counts(2, 0)).await.unwrap());
    assert_eq!(shadows::pairs(db, &key("u"), 0, 10).await.unwrap(), Default::default());
    assert_eq!(shadows::kept(db).await.unwrap(), [key("other")]);
    for table in ["shadow_pair", "shadow_count", "shadow_drop"] {
        let left = format!("SELECT count(*) FROM {table} WHERE uid = 'u'");
        assert_eq!(test.number(&left).await, 0, "{table}");
    }
}

#[tokio::test]
async fn words_that_differ_most_are_kept_with_the_keys_that_open_them() {
    let test = database().await;
    let db = &test.database;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("k1"), "0a".repeat(32)).unwrap();
    let keys = KeyRing::read(dir.path(), "k1").unwrap();
    let limits = Limits {
        longest: 1 << 10,
        memory: 1 << 20,
    };
    let vault = Vault::new(keys.clone(), limits);
    let day = Duration::from_secs(86_400);
    let words = |number: u32| Words {
        pair: format!("p{number}"),
        metric: "RougeL",
        likeness: f64::from(number) / 100.0,
        subject: "jane".into(),
        content: Content::whole(vault.clone(), "ns", format!("words {number}").as_bytes()).unwrap(),
    };
    // Nothing of one that is not known.
    assert_eq!(shadows::keep(db, "u", day, words(1)).await.unwrap(), None);
    shadows::open(db, &key("u")).await.unwrap();
    let mut bar = None;
    for number in 0..25 {
        bar = shadows::keep(db, "u", day, words(number)).await.unwrap();
    }
    assert_eq!(bar, Some(0.19), "what is as much alike as the likest of 20 is not kept");
    let read = async || shadows::contents(db, &keys, &key("u"), day, "r").await.unwrap();
    let kept = read().await;
    assert_eq!(kept.len(), shadows::MOST);
    assert_eq!(
        (kept[7].pair.as_str(), kept[7].likeness, &**kept[7].words),
        ("p7", 0.07, &b"words 7"[..])
    );
    // Words of one pair do not pass for those of another.
    test.tamper(
        "UPDATE shadow_content c SET sealed = o.sealed FROM shadow_content o WHERE c.pair = 'p0' AND o.pair = 'p1'",
    )
    .await;
    assert_eq!(read().await.len(), 19);
    // Keys stay as long as they open something.
    test.tamper("UPDATE audit_key SET made = made - interval '3 days'")
        .await;
    let now = i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap();
    let mut keeper = Keeper::new(db.clone(), retention::Settings::default());
    keeper.pass(now).await.unwrap().unwrap();
    assert_eq!(read().await.len(), 19);
    shadows::forget(db, &key("u")).await.unwrap();
    keeper.pass(now).await.unwrap().unwrap();
    assert_eq!(test.number("SELECT count(*) FROM audit_key").await, 0);
}

#[tokio::test]
async fn a_report_is_kept_as_it_is_written() {
    let test = database().await;
    let db = &test.database;
    assert!(!shadows::keep_report(db, &key("u"), "{}").await.unwrap(), "of nobody");
    shadows::open(db, &key("u")).await.unwrap();
    assert_eq!(shadows::report_of(db, &key("u")).await.unwrap(), None);
    for report in ["{\"b\":1, \"a\":2}", "{ }"] {
        assert!(shadows::keep_report(db, &key("u"), report).await.unwrap());
        assert_eq!(
            shadows::report_of(db, &key("u")).await.unwrap().as_deref(),
            Some(report)
        );
    }
    let other = Key {
        name: "other".into(),
        ..key("u")
    };
    assert_eq!(shadows::report_of(db, &other).await.unwrap(), None);
}
