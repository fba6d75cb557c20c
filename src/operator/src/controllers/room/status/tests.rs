use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::controllers::room::decide::world::World;

#[test]
fn a_settled_room_says_nothing_new() {
    let mut world = World::idle(json!({}));
    let status = world.status();
    world.now = world.now.checked_add(std::time::Duration::from_secs(60)).unwrap();
    let before = world.writes;
    world.pass();
    assert_eq!((world.writes, world.status()), (before, status));
}

#[test]
fn a_transition_is_told_once() {
    let mut world = World::new(json!({}));
    world.settle();
    let told: Vec<_> = notices(&RoomStatus::default(), &world.status())
        .into_iter()
        .map(|it| (it.reason, it.warning))
        .collect();
    assert_eq!(
        told,
        [("NothingIndexed".to_owned(), false), ("Syncing".to_owned(), false)]
    );
    let before = world.status();
    world.fails(true);
    world.settle();
    let told: Vec<_> = notices(&before, &world.status())
        .into_iter()
        .map(|it| (it.reason, it.warning))
        .collect();
    assert_eq!(told, [("DownloadFailed".to_owned(), true)]);
    assert!(notices(&world.status(), &world.status()).is_empty());
}

#[test]
fn sources_that_the_spec_names_no_more_are_forgotten() {
    let mut world = World::idle(json!({}));
    world.room.spec.sources[0].name = "other".into();
    world.pass();
    let names: Vec<_> = world.status().sources.into_iter().map(|source| source.name).collect();
    assert_eq!(names, ["other"]);
}

#[test]
fn what_people_took_away_is_counted_without_a_run() {
    let mut world = World::idle(json!({"sources": [{"name": "desk", "upload": {}}]}));
    world.uploads(None);
    let state = world.observed.state.as_mut().unwrap();
    state.documents = 9;
    state.sources[0].documents = 8;
    world.pass();
    let status = world.status();
    assert_eq!((status.documents, status.sources[0].documents), (Some(9), 8));
    // Rights alone may have been read since the last run.
    let state = world.observed.state.as_mut().unwrap();
    state.sources[0].rights_age_seconds = Some(30.25);
    world.now = world.now.checked_add(std::time::Duration::from_secs(3600)).unwrap();
    world.pass();
    let synced = world.status().sources[0].access_synced.clone().unwrap().0;
    assert_eq!(world.now.duration_since(synced).as_secs(), 31);
    // As time goes by, the same age is no news.
    world.now = world.now.checked_add(std::time::Duration::from_secs(20)).unwrap();
    world.pass();
    assert_eq!(world.status().sources[0].access_synced.clone().unwrap().0, synced);
    // Of another Room that had this name nothing is told.
    let state = world.observed.state.as_mut().unwrap();
    state.documents = 7;
    state.uid = "former-uid".into();
    world.pass();
    assert_eq!(world.status().documents, Some(9));
}

/// A Room with this database, and these sources beside it.
fn with_database(others: Value) -> Value {
    let database = json!({"name": "ledger", "sql": {"connectionSecretRef": {"name": "db", "key": "url"}, "tables": [
        {"name": "sales.orders", "columns": [{"name": "total"}]},
    ]}});
    let mut sources = others.as_array().unwrap().clone();
    sources.push(database);
    json!({"model": {"name": "m"}, "sources": sources})
}

fn looked_at(error: Option<&str>) -> State {
    State {
        uid: "room-uid".into(),
        databases: vec![protocol::rooms::state::Database {
            name: "ledger".into(),
            error: error.map(str::to_owned),
        }],
        ..State::default()
    }
}

#[test]
fn a_room_with_nothing_but_a_database_is_open_without_a_run() {
    let mut world = World::new(with_database(json!([])));
    assert_eq!(world.settle(), 0);
    assert_eq!(world.condition("Ready"), ("True".into(), "Open".into()));
    assert_eq!(world.condition("Synced"), ("True".into(), "NoSources".into()));
    world.observed.state = Some(looked_at(Some(
        "spec.sources[ledger].sql.tables[sales.orders]: no such table",
    )));
    world.settle();
    assert_eq!(world.condition("Ready"), ("False".into(), "DatabaseUnavailable".into()));
    let status = world.status();
    let ready = api::conditions::find(&status.conditions, "Ready").unwrap();
    assert!(
        ready
            .message
            .starts_with("spec.sources[ledger].sql.tables[sales.orders]"),
        "{}",
        ready.message
    );
    assert_eq!(status.sources[0].error.as_deref(), Some(ready.message.as_str()));
    // Somebody has mended it.
    world.observed.state = Some(looked_at(None));
    world.settle();
    assert_eq!(world.condition("Ready"), ("True".into(), "Open".into()));
    assert_eq!(world.status().sources[0].error, None);
}

#[test]
fn a_database_that_is_away_leaves_the_documents() {
    let mut world = World::new(with_database(
        json!([{"name": "handbook", "pvc": {"claimName": "docs"}}]),
    ));
    assert_eq!(world.settle(), 1);
    // It can be asked before the first document is there.
    assert_eq!(world.condition("Ready"), ("True".into(), "Open".into()));
    world.publishes(&[]);
    assert_eq!(world.settle(), 0);
    let mut state = looked_at(Some("spec.sources[ledger].sql.connectionSecretRef: it does not answer"));
    state.generation = Some(1);
    world.observed.state = Some(state);
    world.settle();
    assert_eq!(world.condition("Ready"), ("True".into(), "Open".into()));
    let status = world.status();
    let ready = api::conditions::find(&status.conditions, "Ready").unwrap();
    assert!(
        ready
            .message
            .contains("a database cannot be asked: spec.sources[ledger]"),
        "{}",
        ready.message
    );
}

#[test]
fn times_have_no_fractions() {
    let mut world = World::new(json!({}));
    world.settle();
    world.now = Timestamp::from_second(1_767_226_300)
        .unwrap()
        .checked_add(std::time::Duration::from_millis(250))
        .unwrap();
    world.fails(true);
    world.settle();
    let retry = world.sync().retry.unwrap().0;
    assert_eq!(retry.subsec_nanosecond(), 0);
}
