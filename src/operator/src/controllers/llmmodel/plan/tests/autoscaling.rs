use std::time::Duration;

use kube::ResourceExt;
use serde_json::{Value, json};

use super::{World, wanted, world::NOW};
use crate::controllers::llmmodel::{
    demand::Demand,
    dereference::version_of,
    drift,
    plan::{Kind, Plan},
    validate::Wanted,
};

const IDLE: Demand = Demand {
    held: 0,
    idle: Some(Duration::from_secs(60)),
};
const HELD: Demand = Demand {
    held: 3,
    idle: Some(Duration::ZERO),
};

/// Between two and five replicas, none after a minute.
fn asked(more: Value) -> Value {
    let mut spec = json!({"autoscaling": {"minReplicas": 2, "maxReplicas": 5, "scaleToZero": {"idleSeconds": 60}}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

/// The number of replicas of each version that a plan says, in its order.
fn replicas(plan: &Plan) -> Vec<i32> {
    let of = |spec: Option<&k8s_openapi::api::apps::v1::DeploymentSpec>| spec.and_then(|spec| spec.replicas);
    let children = plan.children.iter();
    children.filter_map(|it| of(it.deployment.spec.as_ref())).collect()
}

/// Whether the autoscaler of each version may take replicas away.
fn may_shrink(plan: &Plan) -> Vec<bool> {
    let may = |children: &super::Children| {
        let behavior = children.hpa.as_ref().unwrap().spec.behavior.as_ref();
        behavior.and_then(|it| it.scale_down.as_ref()?.select_policy.as_deref()) != Some("Disabled")
    };
    plan.children.iter().map(may).collect()
}

impl World {
    /// The autoscaler, or a person, chooses.
    fn scale(&mut self, version: &str, replicas: i32) {
        for deployment in &mut self.observed.deployments {
            if version_of(&*deployment) == Some(version) {
                deployment.spec.as_mut().unwrap().replicas = Some(replicas);
                deployment.metadata.resource_version = Some(format!("at-{replicas}"));
            }
        }
    }

    /// All replicas have been ready for so many seconds at second 1.
    fn ready_for(&mut self, seconds: i64) {
        let since = k8s_openapi::jiff::Timestamp::from_second(NOW + 1 - seconds).unwrap();
        for deployment in &mut self.observed.deployments {
            let available = json!({"type": "Available", "status": "True", "lastTransitionTime": since.to_string()});
            deployment.status = serde_json::from_value(json!({"readyReplicas": 1, "conditions": [available]})).unwrap();
        }
    }

    fn number(&self, wanted: &Wanted) -> i32 {
        let numbers = replicas(&self.plan(wanted, 1));
        assert_eq!(numbers.len(), 1, "one version is live");
        numbers[0]
    }
}

#[test]
fn the_number_is_the_autoscaler_s() {
    let wanted = wanted(asked(json!({})));
    let (mut world, version) = World::rolled_out(asked(json!({})));
    assert_eq!(world.number(&wanted), 2);
    for chosen in [5, 3, 7] {
        world.scale(&version, chosen);
        let plan = world.plan(&wanted, 1);
        let (desired, live) = (&plan.children[0].deployment, &world.observed.deployments[0]);
        assert_eq!(replicas(&plan), [chosen]);
        // Nothing is written for it, and what is written for another reason holds for this number only.
        assert!(drift::is_applied(desired, live));
        assert_eq!(desired.metadata.resource_version, Some(format!("at-{chosen}")));
    }
    let hpa = plan_of(&world, &wanted).children[0].hpa.clone().unwrap();
    assert_eq!(
        (hpa.name_any(), hpa.spec.min_replicas, hpa.spec.max_replicas),
        (format!("m-{version}"), Some(2), 5)
    );
}

fn plan_of(world: &World, wanted: &Wanted) -> Plan {
    world.plan(wanted, 1)
}

#[test]
fn without_autoscaling_the_number_is_the_spec_s_and_the_autoscaler_goes() {
    let (mut world, version) = World::rolled_out(asked(json!({})));
    world.scale(&version, 4);
    let plan = world.step(&wanted(json!({"replicas": 3})), 1);
    assert_eq!(replicas(&plan), [3]);
    assert_eq!(
        plan.delete.iter().map(|it| it.kind).collect::<Vec<_>>(),
        [Kind::HorizontalPodAutoscaler]
    );
    assert!(plan.children[0].deployment.metadata.resource_version.is_none());
    assert_eq!(plan.look_in, None);
}

#[test]
fn the_last_replicas_stop_when_every_gateway_says_that_nobody_asks() {
    let wanted = wanted(asked(json!({})));
    let (mut world, version) = World::rolled_out(asked(json!({})));
    world.scale(&version, 3);
    world.ready_for(3600);
    let active = json!({"conditions": [{"type": "ScalingActive", "status": "True"}], "desiredReplicas": 3});
    world.observed.hpas[0].status = serde_json::from_value(active).unwrap();
    let idle_for = |seconds| Some(Duration::from_secs(seconds));
    for (idle, held, number, look_in) in [
        (None, 0, 3, 10),
        (idle_for(0), 0, 3, 60),
        (idle_for(50), 0, 3, 11),
        (idle_for(3000), 1, 3, 1),
        (idle_for(60), 0, 0, 1),
    ] {
        world.observed.demand = Demand { held, idle };
        assert_eq!(world.number(&wanted), number, "{idle:?} {held}");
        assert_eq!(
            plan_of(&world, &wanted).look_in,
            Some(Duration::from_secs(look_in)),
            "{idle:?}"
        );
    }
    // That it loaded for hours is no reason to stop it.
    world.ready_for(59);
    assert_eq!(world.number(&wanted), 3);
    world.observed.deployments[0].status = None;
    assert_eq!(world.number(&wanted), 3);
}

#[test]
fn a_held_request_starts_as_many_as_are_asked_at_least() {
    let wanted = wanted(asked(json!({})));
    let (mut world, version) = World::rolled_out(asked(json!({})));
    world.scale(&version, 0);
    world.observed.demand = IDLE;
    assert_eq!(world.number(&wanted), 0);
    // That nobody knows starts nothing either.
    world.observed.demand = Demand::default();
    assert_eq!(world.number(&wanted), 0);
    world.observed.demand = HELD;
    assert_eq!(world.number(&wanted), 2);
}

#[test]
fn zero_without_scale_to_zero_is_a_mistake_unless_the_spec_says_so() {
    let always = json!({"autoscaling": {"maxReplicas": 5}});
    let (mut world, version) = World::rolled_out(always.clone());
    world.scale(&version, 0);
    world.observed.demand = IDLE;
    assert_eq!(world.number(&wanted(always)), 1);
    world.observed.demand = HELD;
    assert_eq!(world.number(&wanted(asked(json!({"replicas": 0})))), 0);
}

#[test]
fn a_new_version_starts_as_large_as_the_one_that_serves() {
    let (mut world, first) = World::rolled_out(asked(json!({})));
    assert_eq!(may_shrink(&world.plan(&wanted(asked(json!({}))), 1)), [true]);
    world.scale(&first, 4);
    let changed = wanted(asked(json!({"prompt": {"system": "x"}})));
    let plan = world.step(&changed, 1);
    let second = plan.target.version().unwrap().name.clone();
    assert_eq!(replicas(&plan), [4, 4]);
    // One that does not start keeps nothing from following the load.
    assert_eq!(may_shrink(&plan), [false, true]);
    world.scale(&first, 5);
    assert_eq!(replicas(&world.plan(&changed, 2)), [5, 5]);
    world.scale(&first, 1);
    assert_eq!(replicas(&world.plan(&changed, 2)), [4, 1]);
    // More than allowed is not taken over.
    world.scale(&first, 9);
    assert_eq!(replicas(&world.plan(&changed, 2)), [5, 9]);
    world.serves(&second);
    let plan = world.step(&changed, 3);
    assert_eq!(may_shrink(&plan), [true]);
    assert_eq!(World::versions_of(&world.observed.hpas), [second.as_str()]);
}

#[test]
fn while_traffic_is_about_to_move_nothing_becomes_smaller() {
    let (mut world, first) = World::rolled_out(asked(json!({})));
    world.scale(&first, 4);
    let changed = wanted(asked(json!({"prompt": {"system": "x"}})));
    world.step(&changed, 1);
    world.ready_for(3600);
    world.observed.demand = IDLE;
    let plan = world.plan(&changed, 1);
    assert_eq!((replicas(&plan), may_shrink(&plan)), (vec![4, 4], vec![false, false]));
}

#[test]
fn a_new_version_of_a_sleeping_model_is_proved_by_running() {
    let (mut world, first) = World::rolled_out(asked(json!({})));
    world.scale(&first, 0);
    world.observed.demand = IDLE;
    let plan = world.plan(&wanted(asked(json!({"prompt": {"system": "x"}}))), 1);
    assert_eq!(replicas(&plan), [2, 0]);
}

#[test]
fn with_recreate_the_number_is_taken_over() {
    let recreate = |prompt: &str| asked(json!({"rollout": {"strategy": "Recreate"}, "prompt": {"system": prompt}}));
    let (mut world, first) = World::rolled_out(recreate("a"));
    world.scale(&first, 4);
    let pod = json!({"metadata": {"name": "old", "labels": {api::names::LABEL_VERSION: first}}});
    world.observed.pods.push(serde_json::from_value(pod).unwrap());
    let changed = wanted(recreate("b"));
    assert_eq!(replicas(&world.step(&changed, 1)), [0, 0]);
    assert_eq!(replicas(&world.step(&changed, 2)), [0, 0]);
    world.observed.pods.clear();
    let plan = world.step(&changed, 3);
    assert_eq!(replicas(&plan), [4, 0]);
    let second = plan.target.version().unwrap().name.clone();
    world.serves(&second);
    assert_eq!(replicas(&world.step(&changed, 4)), [4]);
}
