use k8s_openapi::api::core::v1::PodSpec;
use protocol::{
    ingest::{IngestPlan, IngestSourceKind},
    tune::PLAN_VARIABLE,
};
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::controllers::room::testing::{room, settings, the_owner, wanted};

fn embedder() -> Embedder {
    Embedder {
        model: "ns/embedder@v-0123456789".into(),
        digest: "v-0123456789".into(),
    }
}

fn all(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A run that reads these sources.
fn job(spec: Value, ca: Option<&str>, read: &[&str]) -> Job {
    let (owner, wanted, settings) = (the_owner(), wanted(spec), settings());
    let builder = Builder {
        owner: &owner,
        wanted: &wanted,
        settings: &settings,
        ca,
    };
    builder.job(Run {
        number: 7,
        key: "p-0123456789",
        read: &all(read),
        embedder: &embedder(),
    })
}

fn pod(job: &Job) -> PodSpec {
    job.spec.clone().unwrap().template.spec.unwrap()
}

fn plan(job: &Job) -> IngestPlan {
    let env = pod(job).containers[0].env.clone().unwrap();
    let variable = env.iter().find(|it| it.name == PLAN_VARIABLE).unwrap();
    // As the kubelet reads it.
    serde_json::from_str(&variable.value.as_ref().unwrap().replace("$$", "$")).unwrap()
}

#[rstest]
#[case("plain", json!({}), &["handbook"])]
#[case("everything", json!({
    "model": {"name": "m"},
    "members": [
        {"kind": "User", "name": "jane", "role": "Reader"},
        {"kind": "Group", "name": "hr", "role": "Reader", "clearance": 10},
        {"kind": "ServiceAccount", "name": "bot", "role": "Contributor"},
        {"kind": "ServiceAccount", "name": "team-a/bot", "role": "Curator"},
        {"kind": "User", "name": "jane", "role": "Curator"},
        {"kind": "Group", "name": "revision", "role": "Auditor"},
    ],
    "sources": [
        {"name": "files", "pvc": {"claimName": "docs", "path": "a/b"}, "clearance": 3,
            "ocr": {"languages": ["eng", "pol"], "minConfidence": 80}},
        {"name": "web", "http": {"urls": ["https://docs.example.com:8443/", "http://wiki.example.com/$(X)"], "depth": 2,
            "headersSecretRef": {"name": "headers"}}, "schedule": "@daily"},
        {"name": "store", "objectStore": {"uri": "s3://b/a/", "credentialsSecretRef": {"name": "store"}}},
        {"name": "cloud", "objectStore": {"uri": "gs://b/a/"}},
        {"name": "code", "git": {"url": "ssh://git@git.example.com/docs", "revision": "main", "path": "handbook",
            "credentialsSecretRef": {"name": "deploy-key"}}},
        {"name": "db", "sql": {"connectionSecretRef": {"name": "db", "key": "dsn"}, "tables": [
            {"name": "sales.orders", "description": "one order", "columns": [{"name": "total", "description": "in EUR"}, {"name": "day"}]},
        ]}},
        {"name": "desk", "upload": {"maxSize": "1Mi"}},
    ],
    "ingestion": {"clean": false, "dedup": {"exact": true, "minhash": {"threshold": "0.8", "shingle": 5}},
        "chunk": {"tokens": 256, "overlap": 32}, "pii": "Redact"},
}), &["files", "web", "store", "cloud", "code", "desk"])]
fn objects(#[case] name: &str, #[case] spec: Value, #[case] read: &[&str]) {
    let (owner, settings) = (the_owner(), settings());
    let room = room(spec.clone());
    let parsed = wanted(spec.clone());
    let builder = Builder {
        owner: &owner,
        wanted: &parsed,
        settings: &settings,
        ca: None,
    };
    let members = members_access(&owner, &room.spec.members);
    let access = members.into_iter().chain([ingestion_access(&owner, "embedder")]);
    let access: Vec<Value> = access.map(|it| json!([it.role, it.binding])).collect();
    let built = json!([access, builder.account(), builder.policy(), job(spec, None, read)]);
    insta::assert_yaml_snapshot!(format!("objects_{name}"), built);
}

#[test]
fn who_tests_the_room_is_nobody_but_that() {
    let (owner, settings) = (the_owner(), settings());
    let wanted = wanted(json!({"redTeam": {"schedule": "@daily", "suites": ["by-id"]}}));
    let builder = Builder {
        owner: &owner,
        wanted: &wanted,
        settings: &settings,
        ca: None,
    };
    let access = red_team_access(&owner);
    let access = json!([access.role, access.binding]);
    let built = json!([
        access,
        builder.red_team_account(),
        builder.red_team_policy(),
        builder.test(7, "t-0123456789")
    ]);
    insta::assert_yaml_snapshot!("red_team", built);
    let ingestion = builder.job(Run {
        number: 7,
        key: "p-0123456789",
        read: &all(&[]),
        embedder: &embedder(),
    });
    assert_eq!(plan(&ingestion).red_team.as_deref(), Some("room-uid"));
}

#[test]
fn what_is_not_read_now_is_not_mounted_and_still_named() {
    let spec = json!({"sources": [
        {"name": "a", "pvc": {"claimName": "docs"}},
        {"name": "b", "http": {"urls": ["https://example.com/"], "headersSecretRef": {"name": "missing"}}},
    ]});
    let job = job(spec, None, &["a"]);
    let plan = plan(&job);
    let read: Vec<_> = plan
        .sources
        .iter()
        .map(|source| (source.name.as_str(), source.read))
        .collect();
    assert_eq!(read, [("a", true), ("b", false)]);
    let volumes: Vec<_> = pod(&job)
        .volumes
        .unwrap()
        .into_iter()
        .map(|volume| volume.name)
        .collect();
    assert!(
        volumes.contains(&"source-a".to_owned()) && !volumes.contains(&"secret-b".to_owned()),
        "{volumes:?}"
    );
    assert_eq!(reads(&job), all(&["a"]));
}

#[test]
fn texts_of_a_spec_reach_the_pod_as_they_are() {
    let urls = json!(["https://example.com/$(HOME)?a=$$b"]);
    let spec = json!({"sources": [{"name": "a", "http": {"urls": urls}}]});
    let plan = plan(&job(spec, Some("PEM"), &["a"]));
    let IngestSourceKind::Http { urls, .. } = &plan.sources[0].kind else {
        panic!("{:?}", plan.sources)
    };
    assert_eq!(urls, &["https://example.com/$(HOME)?a=$$b"]);
    assert_eq!(plan.gateway.ca.as_deref(), Some("PEM"));
    assert_eq!(plan.embedding.digest, embedder().digest);
}

/// No token but the one for the gateway is in the pod, and no credentials of a database.
#[test]
fn the_pod_is_nobody_but_what_fills_the_room() {
    let pod = pod(&job(json!({}), None, &["handbook"]));
    assert_eq!(pod.automount_service_account_token, Some(false));
    assert_eq!(pod.service_account_name.as_deref(), Some("hr-room-ingest"));
    let tokens: Vec<_> = pod
        .volumes
        .iter()
        .flatten()
        .filter_map(|volume| {
            volume.projected.as_ref()?.sources.as_ref()?[0]
                .service_account_token
                .as_ref()
        })
        .collect();
    assert_eq!(tokens.len(), 1);
    assert_eq!(tokens[0].audience.as_deref(), Some("atelier"));
    let access = ingestion_access(&the_owner(), "embedder");
    for rule in access.role.rules.unwrap() {
        let names = rule.resource_names.unwrap();
        assert!(names == ["hr"] || names == ["embedder"], "{names:?}");
    }
}

#[rstest]
#[case::nobody(json!([]), &[])]
#[case::one(json!([{"kind": "User", "name": "jane", "role": "Reader"}]), &["hr-room-reader"])]
#[case::several(json!([
    {"kind": "User", "name": "jane", "role": "Auditor"},
    {"kind": "User", "name": "joe", "role": "Reader"},
    {"kind": "Group", "name": "g", "role": "Reader"},
]), &["hr-room-reader", "hr-room-auditor"])]
fn each_role_that_somebody_has_is_bound_once(#[case] members: Value, #[case] expected: &[&str]) {
    let room = room(json!({"members": members}));
    let found = members_access(&the_owner(), &room.spec.members);
    let names: Vec<_> = found
        .iter()
        .map(|access| access.binding.metadata.name.clone().unwrap())
        .collect();
    assert_eq!(names, expected);
    for access in &found {
        assert_eq!(access.binding.role_ref.name, access.role.metadata.name.clone().unwrap());
        // One who has only some of the rights of a role is in none.
        let rules = access.role.rules.as_ref().unwrap();
        assert!(
            rules
                .iter()
                .all(|rule| rule.resource_names.as_deref() == Some(&["hr".to_owned()]))
        );
    }
}
