//! Databases that cannot be asked.

use std::time::Duration;

use store::{
    sources::{Failure, Limits, Target, ask, probe},
    testing::Postgres,
};

use super::support::{Source, allowed, limits, run, server, within};

fn query() -> rooms::sql::Rewritten {
    rooms::sql::check("SELECT year FROM longley", &allowed()).unwrap()
}

async fn asked(url: &str, limits: &Limits) -> Failure {
    let target = Target::parse(url, None).unwrap();
    within(ask(&target, &|_| true, &query(), limits)).await.unwrap_err()
}

#[tokio::test]
async fn whoever_may_do_everything_is_not_asked() {
    let source = Source::build().await;
    let url = server().loopback_url("postgres", &source.test.name);
    assert_eq!(asked(&url, &limits()).await, Failure::Superuser);
}

#[tokio::test]
async fn who_is_not_let_in_and_what_is_not_there_have_their_own_words() {
    let source = Source::build().await;
    let url = server().loopback_url("nobody_at_all", &source.test.name);
    assert_eq!(asked(&url, &limits()).await, Failure::Credentials);
    let url = server().loopback_url(super::support::READER, "no_such_database");
    assert_eq!(asked(&url, &limits()).await, Failure::Credentials);
    assert_eq!(
        asked("postgres://u:p@127.0.0.1:1/d", &limits()).await,
        Failure::Unreachable
    );
    let tls = format!(
        "{}?sslmode=require",
        server().loopback_url(super::support::READER, &source.test.name)
    );
    assert_eq!(
        asked(&tls, &limits()).await,
        Failure::Unreachable,
        "it has no certificate"
    );
    // Somebody who takes connections, and says nothing.
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://u:p@{}/d", mute.local_addr().unwrap());
    let soon = Limits {
        connect: Duration::from_millis(300),
        ..limits()
    };
    assert_eq!(asked(&url, &soon).await, Failure::Unreachable);
}

#[tokio::test]
async fn an_address_that_is_not_admitted_is_not_asked() {
    let source = Source::build().await;
    let asked = ask(&source.target, &|_| false, &query(), &limits()).await;
    assert_eq!(asked.unwrap_err(), Failure::Forbidden);
    assert_eq!(
        probe(&source.target, &|_| false, &limits()).await,
        Err(Failure::Forbidden)
    );
    assert_eq!(probe(&source.target, &|_| true, &limits()).await, Ok(()));
}

#[tokio::test]
async fn a_column_that_its_user_may_not_read_is_refused_by_the_database_as_well() {
    let source = Source::build().await;
    let mut connection = source.test.connection().await;
    run(&mut connection, "REVOKE SELECT (year) ON longley FROM room_reader").await;
    let asked = ask(&source.target, &|_| true, &query(), &limits()).await;
    assert_eq!(asked.unwrap_err(), Failure::Refused("42501".into()));
}

#[tokio::test]
async fn one_that_dies_is_unreachable_and_is_asked_again_later() {
    let server = Postgres::start_on_loopback();
    let database = within(server.database()).await;
    let mut connection = database.connection().await;
    run(
        &mut connection,
        "CREATE ROLE reader LOGIN; CREATE TABLE longley (year integer); INSERT INTO longley VALUES (1947);
        GRANT SELECT ON longley TO reader",
    )
    .await;
    let target = Target::parse(&server.loopback_url("reader", &database.name), None).unwrap();
    let ask = async || within(ask(&target, &|_| true, &query(), &limits())).await;
    assert_eq!(ask().await.unwrap().rows.len(), 1);
    server.kill();
    assert_eq!(ask().await.unwrap_err(), Failure::Unreachable);
    server.restart();
    let mut rows = ask().await;
    for _ in 0..100 {
        if rows.is_ok() {
            break;
        }
        // It recovers first.
        tokio::time::sleep(Duration::from_millis(100)).await;
        rows = ask().await;
    }
    assert_eq!(rows.unwrap().rows.len(), 1);
}
