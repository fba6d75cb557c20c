use k8s_openapi::api::core::v1::PodSpec;
use protocol::tune::{DataPlan, PLAN_VARIABLE, TrainPlan};
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::controllers::{
    finetunejob::{
        testing::{base, job, the_owner, wanted},
        validate::validate,
    },
    llmmodel::testing::{model, report, settings},
};

/// A version of a base with this source.
fn version(source: Value) -> Version {
    let model = model(json!({"source": source}));
    let wanted = crate::controllers::llmmodel::validate::validate(&model).unwrap();
    Version::new(&wanted, report())
}

fn built(spec: Value, base: &Version) -> Value {
    let (owner, wanted, settings) = (the_owner(), wanted(spec), settings());
    let builder = Builder {
        owner: &owner,
        wanted: &wanted,
        settings: &settings,
    };
    let start = Start {
        base,
        current: Some("sha256:00ff"),
        kept: None,
        suspend: false,
    };
    json!([
        builder.claim(),
        builder.data_policy(),
        builder.data_job(false),
        builder.train_policy(base),
        builder.service(),
        builder.train_job(start),
    ])
}

#[rstest]
#[case("plain", json!({}), json!({"oci": {"image": "models/small:1", "pullPolicy": "Never", "pullSecrets": [{"name": "registry"}]}}))]
#[case("everything", json!({
    "method": "QLoRA",
    "dataset": {
        "sources": [
            {"name": "web", "http": {"url": "https://example.com:8443/a.jsonl", "headersSecretRef": {"name": "headers"}}},
            {"name": "store", "weight": 3, "objectStore": {"uri": "s3://b/a/", "credentialsSecretRef": {"name": "store"}}},
            {"name": "files", "pvc": {"claimName": "texts", "path": "a/b"}},
            {"name": "db", "sql": {"connectionSecretRef": {"name": "db", "key": "dsn"}, "query": "SELECT $(X)", "descriptions": {"a": "age"}}},
        ],
        "format": "Chat",
        "prepare": {"normalizeUnicode": true, "pii": "Redact", "quality": {"minWords": 3, "maxSymbols": "10%"},
            "dedup": {"exact": true, "minhash": {"threshold": "0.8", "shingle": 5}}},
        "split": {"validation": "10%", "test": "5%", "seed": 1},
        "template": "{{ messages }}",
    },
    "hyperparameters": {"lora": {"r": 8, "targets": ["q_proj"], "rankStabilized": true}, "steps": 20, "warmup": "3", "optimizer": "Lion"},
    "evaluate": {"everySteps": 5, "earlyStopping": {"patience": 2, "minDelta": "0.01"},
        "gate": {"against": "Current", "maxRegression": "2%"},
        "suites": [{"name": "arithmetic", "minScore": "0.5"}, {"name": "ours", "source": {"oci": {"image": "suites:1", "path": "q.jsonl"}}}]},
    "parallelism": {"data": 2},
    "checkpoint": {"everySteps": 10, "keep": 3},
    "storage": {"size": "5Gi", "className": "fast", "accessModes": ["ReadWriteMany"]},
    "placement": {"zones": ["a"], "priorityClassName": "low", "tolerations": [{"operator": "Exists"}]},
    "podOverrides": {"env": [{"name": "A", "value": "b"}], "terminationGracePeriodSeconds": 300},
    "resources": {"cpu": "2", "memory": "3Gi"},
    "queueName": "night", "retries": 1,
}), json!({"http": {"url": "https://example.com/m.gguf", "sha256": "b1".repeat(32), "headersSecretRef": {"name": "h"}}}))]
fn objects(#[case] name: &str, #[case] spec: Value, #[case] source: Value) {
    insta::assert_yaml_snapshot!(format!("objects_{name}"), built(spec, &version(source)));
}

/// The plan of a Job as its program reads it.
fn plan_of(job: &Job) -> String {
    let spec: &PodSpec = job.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
    let env = spec.containers[0].env.as_ref().unwrap();
    let plan = env.iter().find(|it| it.name == PLAN_VARIABLE).unwrap();
    plan.value.clone().unwrap().replace("$$", "$")
}

#[test]
fn plans_arrive_as_they_were_meant() {
    let query = "SELECT '$(HOME) $$ ${x}'";
    let source = json!({"name": "db", "sql": {"connectionSecretRef": {"name": "db", "key": "url"}, "query": query}});
    let spec = json!({"dataset": {"sources": [source], "format": "Chat"}});
    let (owner, wanted, settings, base) = (the_owner(), wanted(spec), settings(), base());
    let builder = Builder {
        owner: &owner,
        wanted: &wanted,
        settings: &settings,
    };
    let plan: DataPlan = serde_json::from_str(&plan_of(&builder.data_job(false))).unwrap();
    assert!(format!("{plan:?}").contains(query), "{plan:?}");
    assert_eq!(plan.to.to_str(), Some("/tune/data/tune"));
    let start = Start {
        base: &base,
        current: None,
        kept: None,
        suspend: false,
    };
    let plan: TrainPlan = serde_json::from_str(&plan_of(&builder.train_job(start))).unwrap();
    assert_eq!(plan.dataset.to_str(), Some("/tune/data/tune"));
    assert_eq!(plan.model.to_str(), Some("/model/model.gguf"));
    assert_eq!(plan.outputs.to_str(), Some("/tune/outputs"));
    assert_eq!(plan.digest.as_deref(), Some(base.report.digest.as_str()));
    assert!(plan.checkpoints.starts_with("/tune/checkpoints/tune"));
}

#[test]
fn other_data_at_the_same_place_have_another_plan() {
    let (owner, settings) = (the_owner(), settings());
    let plan = |image: &str, suite: &str| {
        let wanted = wanted(json!({
            "dataset": {"sources": [{"name": "chats", "oci": {"image": image}}], "format": "Chat"},
            "evaluate": {"suites": [{"name": "ours", "source": {"oci": {"image": suite, "path": "q.jsonl"}}}]},
        }));
        let builder = Builder {
            owner: &owner,
            wanted: &wanted,
            settings: &settings,
        };
        serde_json::from_str::<DataPlan>(&plan_of(&builder.data_job(false))).unwrap()
    };
    assert_eq!(plan("chats:1", "suites:1"), plan("chats:1", "suites:1"));
    assert_ne!(plan("chats:1", "suites:1"), plan("chats:2", "suites:1"));
    assert_ne!(plan("chats:1", "suites:1"), plan("chats:1", "suites:2"));
}

#[test]
fn stopped_pods_and_those_that_lost_a_member_use_up_no_attempt() {
    let (owner, wanted, settings) = (the_owner(), wanted(json!({"parallelism": {"data": 2}})), settings());
    let builder = Builder {
        owner: &owner,
        wanted: &wanted,
        settings: &settings,
    };
    let start = Start {
        base: &base(),
        current: None,
        kept: None,
        suspend: false,
    };
    let job = json!(builder.train_job(start));
    let rules = job["spec"]["podFailurePolicy"]["rules"].as_array().unwrap();
    let action = |code: i32| {
        let is_of = |rule: &&Value| {
            rule.pointer("/onExitCodes/values")
                .is_some_and(|it| it.as_array().unwrap().contains(&json!(code)))
        };
        rules.iter().find(is_of).map(|rule| rule["action"].as_str().unwrap())
    };
    use protocol::report::{EXIT_INTERRUPTED, EXIT_MEMBER_LOST, EXIT_PERMANENT, EXIT_TEMPORARY};
    assert_eq!(
        (action(EXIT_INTERRUPTED), action(EXIT_MEMBER_LOST)),
        (Some("Ignore"), Some("Ignore"))
    );
    assert_eq!(
        (action(EXIT_PERMANENT), action(EXIT_TEMPORARY)),
        (Some("FailJob"), None)
    );
}

#[test]
fn children_are_whole_finetunejobs_that_use_the_volume_of_their_parent() {
    let (owner, settings) = (the_owner(), settings());
    let sweep = wanted(json!({
        "sweep": {"maxTrials": 2, "space": [{"name": "lora.r", "values": ["4", "8"]}]}, "suspend": true,
    }));
    let builder = Builder {
        owner: &owner,
        wanted: &sweep,
        settings: &settings,
    };
    let mut trial = builder
        .trial(3, &[("lora.r".to_owned(), "4".to_owned())].into())
        .unwrap();
    assert_eq!(trial.metadata.name.as_deref(), Some("tune-t3"));
    assert_eq!((trial.spec.sweep.is_some(), trial.spec.suspend), (false, false));
    trial.metadata.uid = Some("child-uid".into());
    let child = Owner::new(&trial).unwrap();
    assert!(child.is_trial());
    let wanted = validate(&trial, &settings).unwrap();
    let builder = Builder {
        owner: &child,
        wanted: &wanted,
        settings: &settings,
    };
    assert_eq!(builder.volume(), "tune-tune");
    let base = base();
    let start = Start {
        base: &base,
        current: None,
        kept: Some(&["tune-t1".to_owned()]),
        suspend: false,
    };
    let plan: TrainPlan = serde_json::from_str(&plan_of(&builder.train_job(start))).unwrap();
    assert_eq!(plan.dataset.to_str(), Some("/tune/data/tune"));
    assert_eq!(plan.keep_before.as_deref(), Some(&["tune-t1".to_owned()][..]));
    assert_eq!(
        (plan.run.as_str(), plan.hyperparameters.lora.unwrap().r),
        ("tune-t3", 4)
    );
}

#[test]
fn runs_are_named_by_their_time() {
    let (owner, settings) = (the_owner(), settings());
    let wanted = wanted(json!({"schedule": {"cron": "@daily"}}));
    let builder = Builder {
        owner: &owner,
        wanted: &wanted,
        settings: &settings,
    };
    let mut run = builder.run("2026-11-26T03:05:00Z".parse().unwrap());
    assert_eq!(run.metadata.name.as_deref(), Some("tune-202611260305"));
    assert!(run.spec.schedule.is_none());
    run.metadata.uid = Some("child-uid".into());
    let child = Owner::new(&run).unwrap();
    assert!(!child.is_trial() && child.parent.is_some());
    // The same spec has the same key, whoever trains it.
    assert_eq!(validate(&run, &settings).unwrap().key, wanted.key);
    // A label alone makes no child.
    run.metadata.owner_references = None;
    assert_eq!(Owner::new(&run).unwrap().parent, None);
    assert!(Owner::new(&job(json!({}))).unwrap().parent.is_none());
}

#[test]
fn volumes_grow_and_do_not_shrink() {
    let (owner, settings) = (the_owner(), settings());
    let claim = |size: &str| {
        let wanted = wanted(json!({"storage": {"size": size}}));
        let builder = Builder {
            owner: &owner,
            wanted: &wanted,
            settings: &settings,
        };
        builder.claim()
    };
    assert!(is_large_enough(&claim("10Gi"), &claim("5Gi")));
    assert!(is_large_enough(&claim("1024Mi"), &claim("1Gi")));
    assert!(!is_large_enough(&claim("1Gi"), &claim("2Gi")));
}
