//! Adapters beside a model.

use kube::ResourceExt;
use protocol::{AdapterReport, AdapterState, AdaptersReport, WantedAdapters};
use serde_json::{Value, json};

use super::world::World;
use crate::controllers::llmmodel::{build, testing::wanted};

fn hub(name: &str, repo: &str) -> Value {
    json!({"name": name, "source": {"huggingFace": {"repo": repo}}})
}

fn list(world: &World) -> Option<WantedAdapters> {
    world.observed.config_maps.first().and_then(build::adapters_of)
}

/// A pod has loaded an adapter of the list.
fn loads(world: &mut World, pod: &str, name: &str, digest: &str, commit: &str) {
    let list = list(world).unwrap();
    let wanted = list.adapters.iter().find(|it| it.name == name).unwrap();
    let report = AdapterReport {
        name: name.into(),
        key: wanted.key.clone(),
        state: AdapterState::Ready,
        digest: Some(digest.into()),
        revision: Some(commit.into()),
        message: None,
    };
    let seen = world
        .observed
        .adapters
        .entry(pod.into())
        .or_insert_with(|| AdaptersReport {
            id: list.id,
            adapters: Vec::new(),
        });
    seen.adapters.push(report);
}

#[test]
fn adapters_change_no_version_and_no_pod() {
    let (mut world, version) = World::rolled_out(json!({}));
    assert!(world.observed.config_maps.is_empty());
    let template = |world: &World| world.observed.deployments[0].spec.clone().unwrap().template;
    let before = template(&world);
    let spec = wanted(json!({"adapters": [hub("a", "team/a"), hub("b", "team/b")]}));
    let plan = world.step(&spec, 10);
    assert_eq!(plan.target.version().unwrap().name, version);
    assert_eq!(template(&world), before);
    let names: Vec<_> = list(&world).unwrap().adapters.into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(world.observed.config_maps[0].name_any(), "m-adapters");

    // On a volume: the pods that are to mount it are replaced, at the same version.
    let claim = json!({"name": "c", "source": {"persistentVolumeClaim": {"claimName": "adapters"}}});
    let plan = world.step(&wanted(json!({"adapters": [claim]})), 20);
    assert_eq!(plan.target.version().unwrap().name, version);
    assert_ne!(template(&world), before);

    world.step(&wanted(json!({})), 30);
    assert!(world.observed.config_maps.is_empty());
    assert_eq!(template(&world), before);
}

#[test]
fn what_was_found_first_is_what_every_pod_has_to_find() {
    let (mut world, _) = World::rolled_out(json!({}));
    let spec = wanted(json!({"adapters": [hub("a", "team/a")]}));
    world.step(&spec, 10);
    let unpinned = list(&world).unwrap();
    assert_eq!(
        (&unpinned.adapters[0].digest, &unpinned.adapters[0].revision),
        (&None, &None)
    );

    loads(&mut world, "p1", "a", "sha256:1", "c1");
    world.step(&spec, 20);
    let pinned = list(&world).unwrap();
    assert_eq!(pinned.id, unpinned.id, "pods need not hear of it");
    assert_eq!(pinned.adapters[0].digest.as_deref(), Some("sha256:1"));

    // Another pod has found something else, and comes first.
    loads(&mut world, "p0", "a", "sha256:2", "c2");
    world.step(&spec, 30);
    assert_eq!(list(&world).unwrap(), pinned);

    // Another source is found anew; what pods say is of the old one.
    world.step(&wanted(json!({"adapters": [hub("a", "team/other")]})), 40);
    let other = list(&world).unwrap();
    assert_ne!(other.id, pinned.id);
    assert_eq!((&other.adapters[0].digest, &other.adapters[0].revision), (&None, &None));

    let sha256 = "ab".repeat(32);
    let source = json!({"persistentVolumeClaim": {"claimName": "c", "sha256": sha256}});
    world.step(&wanted(json!({"adapters": [{"name": "a", "source": source}]})), 50);
    let given = list(&world).unwrap().adapters[0].digest.clone();
    assert_eq!(given, Some(format!("sha256:{sha256}")));
}
