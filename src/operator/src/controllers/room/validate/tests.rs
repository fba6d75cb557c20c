use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::controllers::room::testing::{room, settings};

fn sql(tables: &[(&str, &[&str])]) -> Value {
    let column = |name: &&str| json!({"name": name});
    let table = |(name, columns): &(&str, &[&str])| json!({"name": name, "columns": columns.iter().map(column).collect::<Vec<_>>()});
    json!({"connectionSecretRef": {"name": "db", "key": "url"}, "tables": tables.iter().map(table).collect::<Vec<_>>()})
}

fn refused(fields: Value) -> Trouble {
    validate(&room(fields), &settings()).unwrap_err()
}

#[rstest]
#[case::digest(json!([{"name": "a", "pvc": {"claimName": "c", "sha256": "00"}}]), "spec.sources[a].pvc.sha256")]
#[case::on_disk(json!([{"name": "a", "objectStore": {"uri": "file:///a"}}]), "use pvc")]
fn what_there_is_no_code_for_is_named(#[case] sources: Value, #[case] named: &str) {
    let trouble = refused(json!({"sources": sources}));
    assert_eq!(trouble.reason, reasons::NOT_SUPPORTED);
    assert!(trouble.message.contains(named), "{}", trouble.message);
}

#[rstest]
#[case::schedule(json!({"sources": [{"name": "a", "pvc": {"claimName": "c"}, "schedule": "61 * * * *"}]}), "spec.sources[a].schedule")]
#[case::no_such_day(json!({"sources": [{"name": "a", "pvc": {"claimName": "c"}, "schedule": "0 0 31 2 *"}]}), "never comes")]
#[case::size(json!({"sources": [{"name": "a", "upload": {"maxSize": "0"}}]}), "spec.sources[a].upload.maxSize")]
#[case::all(json!({"sources": [{"name": "a", "upload": {"maxTotalSize": "0"}}]}), "spec.sources[a].upload.maxTotalSize must be")]
#[case::less_than_one(json!({"sources": [{"name": "a", "upload": {"maxTotalSize": "1Mi"}}]}), "spec.sources[a].upload.maxTotalSize is less")]
#[case::red_team(json!({"redTeam": {"schedule": "0 25 * * *"}}), "spec.redTeam.schedule")]
#[case::staleness(json!({"access": {"maxStaleness": "0s"}}), "spec.access.maxStaleness")]
#[case::no_model(json!({"model": null, "sources": [{"name": "a", "sql": sql(&[("t", &["c"])])}]}), "spec.sources[a].sql needs spec.model")]
#[case::no_tables(json!({"sources": [{"name": "a", "sql": sql(&[])}]}), "spec.sources[a].sql.tables is empty: name the tables")]
#[case::no_columns(json!({"sources": [{"name": "a", "sql": sql(&[("s.t", &[])])}]}), "spec.sources[a].sql.tables[s.t].columns is empty")]
#[case::twice(json!({"sources": [{"name": "a", "sql": sql(&[("t", &["c"]), ("t", &["d"])])}]}), "spec.sources[a].sql.tables[t] is there twice")]
#[case::column_twice(json!({"sources": [{"name": "a", "sql": sql(&[("t", &["c", "c"])])}]}), "spec.sources[a].sql.tables[t].columns has c twice")]
#[case::no_secret(json!({"sources": [{"name": "a", "sql": {"connectionSecretRef": {"name": "", "key": "url"}, "tables": []}}]}), "spec.sources[a].sql.connectionSecretRef is empty")]
fn what_makes_no_sense_is_named(#[case] fields: Value, #[case] named: &str) {
    let trouble = refused(fields);
    assert_eq!(trouble.reason, reasons::INVALID_SPEC);
    assert!(trouble.message.contains(named), "{}", trouble.message);
}

#[test]
fn all_faults_are_told_at_once() {
    let trouble = refused(json!({
        "sources": [{"name": "a", "pvc": {"claimName": "c"}, "schedule": "61 * * * *"}, {"name": "b", "upload": {"maxSize": "0"}}],
        "access": {"maxStaleness": "0s"},
    }));
    for named in ["sources[a]", "sources[b]", "maxStaleness"] {
        assert!(trouble.message.contains(named), "{}", trouble.message);
    }
}

#[test]
fn a_plan_that_no_pod_could_be_given_is_refused() {
    let urls = |count: usize| -> Vec<String> {
        let long = "x".repeat(2000);
        (0..count)
            .map(|number| format!("https://example.com/{number}/{long}"))
            .collect()
    };
    let source = |name: &str, count| json!({"name": name, "http": {"urls": urls(count)}});
    assert!(validate(&room(json!({"sources": [source("a", 40)]})), &settings()).is_ok());
    let trouble = refused(json!({"sources": [source("a", 40), source("b", 40)]}));
    assert!(trouble.message.contains("make a second Room"), "{}", trouble.message);
}

#[test]
fn without_a_way_to_the_gateway_there_are_no_rooms() {
    for spoil in [
        (|settings: &mut Settings| settings.keeps_rooms = false) as fn(&mut Settings),
        |settings| settings.common.data_image = None,
    ] {
        let mut settings = settings();
        spoil(&mut settings);
        let trouble = validate(&room(json!({})), &settings).unwrap_err();
        assert!(trouble.message.contains("keeps no Rooms"), "{}", trouble.message);
    }
}

#[test]
fn what_is_in_the_room_has_a_key_and_nothing_else_changes_it() {
    let key = |fields: Value| validate(&room(fields), &settings()).unwrap().key;
    let source = json!({"name": "a", "pvc": {"claimName": "c"}});
    let with = |extra: Value| {
        let mut source = source.clone();
        source
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        key(json!({"sources": [source]}))
    };
    let plain = with(json!({}));
    assert_eq!(plain, with(json!({"schedule": "@daily"})));
    let members = json!([{"kind": "User", "name": "jane", "role": "Reader"}]);
    assert_eq!(plain, key(json!({"sources": [source], "members": members})));
    let tested = |schedule: &str| key(json!({"sources": [source], "redTeam": {"schedule": schedule}}));
    assert_ne!(plain, tested("@daily"), "what is looked for has to be planted");
    assert_eq!(tested("@daily"), tested("@weekly"));
    assert_ne!(plain, with(json!({"clearance": 1})));
    assert_ne!(plain, with(json!({"ocr": {"languages": ["pol"]}})));
    assert_ne!(plain, key(json!({"sources": [source], "ingestion": {"pii": "Redact"}})));
}

#[test]
fn rooms_do_not_read_all_at_the_same_minute() {
    let minutes: std::collections::BTreeSet<_> = (0..50)
        .map(|uid| format!("{:?}", once_in_an_hour(&uid.to_string())))
        .collect();
    assert!(minutes.len() > 10, "{}", minutes.len());
    assert_eq!(once_in_an_hour("a"), once_in_an_hour("a"));
}

#[test]
fn a_database_is_no_source_of_documents() {
    let of =
        |sources: Value| validate(&room(json!({"model": {"name": "m"}, "sources": sources})), &settings()).unwrap();
    let files = json!({"name": "a", "pvc": {"claimName": "c"}});
    let database = |table: &str| json!({"name": "b", "sql": sql(&[(table, &["c"])])});
    let both = of(json!([files, database("t")]));
    assert_eq!(
        (both.sources.len(), both.databases.as_slice()),
        (1, &["b".to_owned()][..])
    );
    // What may be asked changes nothing of what is read.
    assert_eq!(both.key, of(json!([files, database("other")])).key);
    assert_eq!(both.key, of(json!([files])).key);
    let tested = json!({"model": {"name": "m"}, "sources": [database("t")], "redTeam": {"schedule": "@daily"}});
    let trouble = validate(&room(tested), &settings()).unwrap_err();
    assert!(
        trouble.message.starts_with("spec.redTeam: a Room with databases alone"),
        "{}",
        trouble.message
    );
}
