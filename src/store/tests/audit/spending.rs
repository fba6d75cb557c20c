//! What was spent, by account and month.

use std::time::Duration;

use futures::future::join_all;
use store::{
    spending::{add, read},
    testing::{Postgres, TestDatabase},
};

use super::within;

async fn migrated() -> TestDatabase {
    let test = Postgres::shared().database().await;
    test.database.migrate().await.unwrap();
    test
}

async fn spent(test: &TestDatabase, account: &str, currency: &str) -> i64 {
    within(read(&test.database, account, currency)).await.unwrap().nanos
}

#[tokio::test]
async fn many_small_sums_of_many_replicas_add_up() {
    let test = migrated().await;
    assert_eq!(spent(&test, "u/ns/m/jane", "EUR").await, 0);
    let adding = (0..100).map(|_| add(&test.database, "u/ns/m/jane", "EUR", 150));
    let totals: Vec<_> = within(join_all(adding)).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(totals.iter().max(), Some(&15_000));
    assert_eq!(spent(&test, "u/ns/m/jane", "EUR").await, 15_000);
}

#[tokio::test]
async fn accounts_and_currencies_are_told_apart() {
    let test = migrated().await;
    add(&test.database, "u/ns/m/jane", "EUR", 5).await.unwrap();
    add(&test.database, "u/ns/m/jane", "USD", 7).await.unwrap();
    add(&test.database, "u/ns/m/joe", "EUR", 9).await.unwrap();
    assert_eq!(spent(&test, "u/ns/m/jane", "EUR").await, 5);
    assert_eq!(spent(&test, "u/ns/m/jane", "USD").await, 7);
    assert_eq!(spent(&test, "u/ns/m/joe", "EUR").await, 9);
}

#[tokio::test]
async fn a_month_begins_with_nothing_and_has_an_end() {
    let test = migrated().await;
    add(&test.database, "a", "EUR", 5).await.unwrap();
    let left = within(read(&test.database, "a", "EUR")).await.unwrap().month_left;
    assert!(
        left > Duration::ZERO && left <= Duration::from_secs(31 * 86_400),
        "{left:?}"
    );
    test.tamper("UPDATE spending SET month = month - interval '1 month'")
        .await;
    assert_eq!(spent(&test, "a", "EUR").await, 0);
    assert_eq!(add(&test.database, "a", "EUR", 3).await.unwrap(), 3);
    assert_eq!(test.number("SELECT count(*) FROM spending").await, 2);
}
