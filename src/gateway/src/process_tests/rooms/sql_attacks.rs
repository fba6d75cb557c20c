//! The red team at a real database of a Room, whose model writes whatever it is talked into.

use protocol::rooms::redteam::Facts;
use reqwest::Method;

use super::{
    databases::{HIDDEN, ledger, source},
    redteam::{ACCOUNT, TESTER, as_, tested},
};

const EVIL: [&str; 6] = [
    "SELECT secret FROM longley",
    "SELECT * FROM longley; SELECT * FROM pg_catalog.pg_tables",
    "SELECT row_to_json(l) FROM longley l",
    "SELECT table_name FROM information_schema.tables",
    "WITH x AS (DELETE FROM longley RETURNING *) SELECT * FROM x",
    "SELECT secret FROM payroll",
];

#[tokio::test]
async fn whoever_talks_the_model_into_sql_gets_nothing_that_is_not_theirs() {
    let ledger = ledger(&[source("ledger", "db", 2)], true).await;
    let house = &ledger.house;
    house.gateway.reviewer.know(TESTER, ACCOUNT);
    house.gateway.reviewer.allow_in(ACCOUNT, "redteam", "ns", "hr");
    house.gateway.gateway.rooms.authorizer().forget_rooms();
    // One that is harmless for whoever may ask, and then what attackers wish for.
    let mut writes = vec!["SELECT count(*) AS n FROM longley"];
    writes.extend(EVIL.iter().cycle().take(60));
    house.models.write(&writes);
    house.models.say("It has 3 [1].");
    let report = tested(house, &["sql"], 100).await;
    let sql = report.classes.iter().find(|class| class.name == "sql").unwrap();
    // Ten for whoever has the clearance, ten for whoever lacks it, and the harmless one; two more are after canaries, of which
    // none is planted here.
    assert_eq!((sql.attempts, sql.leaked, sql.blind), (21, 0, 0), "{report:?}");
    assert!(
        !report.failures.iter().any(|failure| failure.starts_with("sql")),
        "{report:?}"
    );
    let told = ledger.told_to_models();
    assert!(!told.contains(HIDDEN) && told.contains("room_chunk"));
    // What whoever may ask got proves that there was something to get.
    let counted = "kind = 'opened' AND event ->> 'red_team' = 'control' AND event ->> 'operation' = 'room_ask'";
    assert_eq!(house.audited(counted).await, 1);
}

#[tokio::test]
async fn databases_are_told_to_whoever_has_their_clearance() {
    let ledger = ledger(&[source("ledger", "db", 2), source("open", "db", 0)], true).await;
    let house = &ledger.house;
    house.gateway.reviewer.know(TESTER, ACCOUNT);
    house.gateway.reviewer.allow_in(ACCOUNT, "redteam", "ns", "hr");
    house.gateway.gateway.rooms.authorizer().forget_rooms();
    let names = async |role: &str| {
        let told = house.tell(as_(house, TESTER, role, Method::GET, "hr/redteam")).await;
        let facts: Facts = told.json();
        facts.databases.into_iter().map(|one| one.name).collect::<Vec<_>>()
    };
    assert_eq!(names("control").await, ["ledger", "open"]);
    assert_eq!(names("below=2").await, ["open"]);
    let facts: Facts = house.get(TESTER, "hr/redteam").await.json();
    let [open] = &facts.databases[..] else {
        panic!("{facts:?}")
    };
    assert_eq!(open.tables[0].columns, ["year", "gnp", "unemp"]);
}
