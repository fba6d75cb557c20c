//! What is asked and answered, encrypted.

use std::path::Path;

use store::{
    Database,
    audit::{
        Log, Settings, Unavailable,
        content::{ContentFault, KeyRing, Limits, Locked, Rewrapped, State, Vault, rewrap, show},
    },
    testing::{Postgres, TestDatabase},
};

use super::{buffered, check, drained, keeping, keys, ready, strict, tell, within};

/// What can be read of a request.
pub async fn read(test: &TestDatabase, keys: &KeyRing, request: &str) -> Vec<State> {
    let shown = within(show(&test.database, keys, request, None, "a test"))
        .await
        .unwrap();
    shown.into_iter().map(|shown| shown.content).collect()
}

pub fn kept(text: &str) -> State {
    State::Kept(text.as_bytes().to_vec().into())
}

/// A database with requests `r1` of jane's and `r2` of joe's.
pub async fn two_requests() -> TestDatabase {
    let test = Postgres::shared().database().await;
    let log = ready(&test.database, keeping(strict())).await;
    tell(&log, "r1", "jane", "secret one").await.unwrap();
    tell(&log, "r2", "joe", "secret two").await.unwrap();
    drained(&log).await;
    test
}

#[tokio::test]
async fn contents_are_read_with_the_key_and_by_nobody_else() {
    let test = two_requests().await;
    let expected = [kept("secret one"), kept("an answer to secret one")];
    assert_eq!(read(&test, &keys(&["a"], "a"), "r1").await, expected);
    // All that is in the database, as text.
    for table in ["audit", "audit_content", "audit_key"] {
        let found = format!("SELECT count(*) FROM {table} t WHERE t::text LIKE '%secret%'");
        assert_eq!(test.number(&found).await, 0, "{table}");
        let found = format!("SELECT count(*) FROM {table} t WHERE t::text LIKE '%736563726574%'");
        assert_eq!(test.number(&found).await, 0, "{table}");
    }
    assert_eq!(test.number("SELECT count(*) FROM audit_key").await, 2);
    // Another key of the same name.
    let other = keys(&["b"], "b");
    assert_eq!(
        read(&test, &other, "r1").await,
        [Locked::NoKey("a".into()), Locked::NoKey("a".into())].map(State::Locked)
    );
    let report = check(&test.database).await;
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.contents.kept, 4);
}

#[tokio::test]
async fn who_reads_leaves_a_row() {
    let test = two_requests().await;
    let shown = "SELECT count(*) FROM audit WHERE kind = 'shown' AND subject = 'jane' AND request = 'r1' \
                 AND event ->> 'reason' = 'a test'";
    // Without the key nothing is read.
    read(&test, &keys(&["b"], "b"), "r1").await;
    assert_eq!(test.number(shown).await, 0);
    read(&test, &keys(&["a"], "a"), "r1").await;
    assert_eq!(test.number(shown).await, 1);
    assert!(check(&test.database).await.is_sound());
}

#[tokio::test]
async fn nothing_is_kept_unless_asked_for() {
    let test = Postgres::shared().database().await;
    let log = ready(&test.database, strict()).await;
    tell(&log, "r", "jane", "secret").await.unwrap();
    drained(&log).await;
    assert_eq!(test.number("SELECT count(*) FROM audit_content").await, 0);
    assert_eq!(read(&test, &keys(&["a"], "a"), "r").await, [State::Never, State::Never]);
}

#[tokio::test]
async fn contents_outlive_the_process_and_the_database_in_a_file() {
    let test = Postgres::shared().database().await;
    let spool = tempfile::tempdir().unwrap();
    spooled(spool.path(), "r", "jane", "secret").await;
    taken_over(&test, spool.path()).await;
    let expected = [kept("secret"), kept("an answer to secret")];
    assert_eq!(read(&test, &keys(&["a"], "a"), "r").await, expected);
    assert!(check(&test.database).await.is_sound());
}

/// A request that a process leaves in a file, for want of a database.
pub async fn spooled(spool: &Path, request: &'static str, subject: &'static str, asked: &'static str) {
    let nowhere = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&nowhere, "postgres://postgres@127.0.0.1:1/none").unwrap();
    let database = Database::of_file(nowhere.path().into()).unwrap();
    let dir = spool.to_owned();
    let process = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async {
            let log = Log::start(database, keeping(buffered(&dir))).unwrap();
            tell(&log, request, subject, asked).await.unwrap();
        });
        // With the runtime goes all that the process still does.
    });
    process.await.unwrap();
    let files = std::fs::read_dir(spool).unwrap().flatten();
    let texts: Vec<_> = files
        .map(|file| std::fs::read_to_string(file.path()).unwrap())
        .collect();
    assert!(texts.iter().any(|text| text.contains("\"opened\"")), "{texts:?}");
    assert!(!texts.iter().any(|text| text.contains("secret")), "{texts:?}");
}

/// The next process writes what lies there.
pub async fn taken_over(test: &TestDatabase, spool: &Path) {
    let next = ready(&test.database, buffered(spool)).await;
    // Its own rows come later.
    tell(&next, "own", "joe", "x").await.unwrap();
    drained(&next).await;
}

#[tokio::test]
async fn memory_for_contents_is_bounded() {
    let test = Postgres::shared().database().await;
    let limits = Limits {
        longest: 2048,
        memory: 4096,
    };
    let log = ready(
        &test.database,
        Settings {
            vault: Some(Vault::new(keys(&["a"], "a"), limits)),
            ..strict()
        },
    )
    .await;
    let first = log.content("ns", &[b'x'; 3000]).unwrap().unwrap();
    assert!(first.is_cut());
    let second = log.content("ns", &[b'x'; 2000]).unwrap().unwrap();
    let refused = log.content("ns", b"x").err().unwrap();
    assert!(matches!(refused, Unavailable::Full), "{refused}");
    assert_eq!(log.stats().refused, 1);
    drop((first, second));
    // What is cut says so.
    tell(&log, "r", "jane", &"x".repeat(2048)).await.unwrap();
    drained(&log).await;
    let cut = "SELECT count(*) FROM audit WHERE kind = 'closed' AND event -> 'content' ->> 'cut' = 'true'";
    assert_eq!(test.number(cut).await, 1);
    let cut = "SELECT count(*) FROM audit WHERE kind = 'opened' AND event -> 'content' ->> 'cut' IS NULL";
    assert_eq!(test.number(cut).await, 1);
    assert_eq!(read(&test, &keys(&["a"], "a"), "r").await[0], kept(&"x".repeat(2048)));
}

#[tokio::test]
async fn contents_cannot_be_changed_exchanged_or_taken_away() {
    let fault = async |statement: &str| {
        let test = two_requests().await;
        test.tamper(statement).await;
        let report = check(&test.database).await;
        assert!(!report.is_sound());
        assert!(report.chains.iter().all(|chain| chain.broken.is_none()), "{report:?}");
        let read = read(&test, &keys(&["a"], "a"), "r1").await;
        (report.contents.broken.map(|(_, seq, fault)| (seq, fault)), read)
    };
    let answer = || kept("an answer to secret one");
    let locked = || State::Locked(Locked::OtherKey("a".into()));
    for (statement, broken, expected) in [
        (
            "UPDATE audit_content SET sealed = sealed || '\\x00' WHERE seq = 1",
            (1, ContentFault::Changed),
            [State::Changed, answer()],
        ),
        // The same user's own answer in place of the question.
        (
            "UPDATE audit_content c SET sealed = o.sealed FROM audit_content o WHERE c.seq = 1 AND o.seq = 2",
            (1, ContentFault::Changed),
            [State::Changed, answer()],
        ),
        (
            "DELETE FROM audit_content WHERE seq = 1",
            (1, ContentFault::Missing),
            [State::Gone, answer()],
        ),
        // A key that goes without a word.
        (
            "UPDATE audit_key SET wrapped = NULL WHERE subject = 'jane'",
            (1, ContentFault::Missing),
            [State::Gone, State::Gone],
        ),
        (
            "DELETE FROM audit_key WHERE subject = 'jane'",
            (1, ContentFault::Missing),
            [State::Gone, State::Gone],
        ),
    ] {
        assert_eq!(fault(statement).await, (Some(broken), expected.into()), "{statement}");
    }
    // The key of somebody else does not open.
    let test = two_requests().await;
    test.tamper("UPDATE audit_key SET subject = 'joe' WHERE subject = 'jane'")
        .await;
    assert_eq!(read(&test, &keys(&["a"], "a"), "r1").await, [locked(), locked()]);
}

#[tokio::test]
async fn another_key_encryption_key_takes_over() {
    let test = two_requests().await;
    let mut connection = test.connection().await;
    // Without the old one nothing can be wrapped anew, and that is said.
    let only_new = keys(&["b"], "b");
    let rewrapped = rewrap(&mut connection, &only_new).await.unwrap();
    let expected = Rewrapped {
        done: 0,
        left: [("a".to_owned(), 2)].into(),
    };
    assert_eq!(rewrapped, expected);
    let rewrapped = rewrap(&mut connection, &keys(&["a", "b"], "b")).await.unwrap();
    let expected = Rewrapped {
        done: 2,
        left: [].into(),
    };
    assert_eq!(rewrapped, expected);
    // The old one is not needed any more, and opens nothing.
    assert_eq!(read(&test, &only_new, "r1").await[0], kept("secret one"));
    assert_eq!(
        read(&test, &keys(&["a"], "a"), "r1").await[0],
        State::Locked(Locked::NoKey("b".into()))
    );
    assert!(check(&test.database).await.is_sound());
}
