//! Accelerators by dynamic resource allocation.

use kube::ResourceExt;
use serde_json::{Value, json};

use super::world::World;
use crate::controllers::llmmodel::testing::wanted;

fn on(class: &str, image: &str) -> Value {
    json!({
        "engine": {"openAICompatible": {"image": image}},
        "resources": {"accelerator": {"deviceClassName": class}},
    })
}

fn templates(world: &World) -> Vec<String> {
    let mut names: Vec<_> = world.observed.device_claims.iter().map(ResourceExt::name_any).collect();
    names.sort();
    names
}

#[test]
fn what_pods_claim_devices_by_lives_as_long_as_pods_are_made_from_it() {
    let (mut world, _) = World::rolled_out(on("gpu.example.com", "a"));
    let first = templates(&world);
    assert_eq!(first.len(), 1);

    // Another version asks for other devices: the one that serves keeps its pods, and what they are made from.
    let spec = wanted(on("large.example.com", "b"));
    let plan = world.step(&spec, 10);
    let both = templates(&world);
    assert!(both.len() == 2 && both.contains(&first[0]), "{both:?}");
    assert!(plan.delete.is_empty(), "{:?}", plan.delete);

    let second = plan.target.version().unwrap().name.clone();
    world.serves(&second);
    world.step(&spec, 20);
    assert_eq!(templates(&world), both);
    // The version before has drained: first its pods go, then what they were made from.
    world.step(&spec, 60);
    world.step(&spec, 61);
    let left = templates(&world);
    assert!(left.len() == 1 && left != first, "{left:?}");

    let spec = wanted(json!({"engine": {"openAICompatible": {"image": "b"}}}));
    world.step(&spec, 70);
    world.step(&spec, 71);
    assert!(templates(&world).is_empty());
}
