//! What has not begun, and never may. Pure.
//!
//! A pod whose image or Secret is not there, or that no node has room for, waits for ever, and its Job with it: a spec
//! that mends this must not wait for the end of that Job. Nothing is lost with what has not begun, so that it is made
//! anew when its spec changes.

use api::{
    FineTuneJob, FineTuneJobStatus,
    conditions::{self, types},
    finetunejob::Phase,
    names::{self, ANNOTATION_SHAPE},
};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{ContainerState, Pod},
};
use kube::ResourceExt;

use super::{identity, is_over, key_of};
use crate::controllers::finetunejob::{build::Builder, decide::Plan, dereference::Observed, sweep::phase_of};

/// Deletes Jobs that have not begun and would be made otherwise now; whether there were any.
pub fn forget_idle(builder: &Builder<'_>, observed: &Observed, status: &FineTuneJobStatus, plan: &mut Plan) -> bool {
    let is_idle = |job: &&Job| {
        let has_run = observed.pods_of(job).into_iter().any(has_run);
        let is_of_key = key_of(*job) == Some(&builder.wanted.key);
        // Its pod may be the second one, after a node was lost: a training waits for the end of the one under way, and
        // goes on from a saved state where only its pods change.
        let has_learned = job.name_any() == names::train_job(&builder.owner.name)
            && status.step.is_some()
            && status.plan.as_ref() == key_of(*job);
        let is_outdated = match is_of_key {
            true => !is_of_shape(builder, *job),
            false => !has_learned,
        };
        !is_over(job) && !has_run && is_outdated
    };
    let idle: Vec<_> = observed.jobs.iter().filter(is_idle).map(identity).collect();
    let is_any = !idle.is_empty();
    plan.delete.extend(idle);
    is_any
}

/// Whether the main container of a pod has run, or runs.
fn has_run(pod: &Pod) -> bool {
    let ran = |state: &Option<ContainerState>| {
        state
            .as_ref()
            .is_some_and(|state| state.running.is_some() || state.terminated.is_some())
    };
    let containers = pod
        .status
        .iter()
        .flat_map(|status| &status.container_statuses)
        .flatten();
    containers.into_iter().any(|it| ran(&it.state) || ran(&it.last_state))
}

/// Whether a trial or a run has not begun, as far as its status tells.
pub fn is_idle(child: &FineTuneJob) -> bool {
    let status = child.status.as_ref();
    let is_degraded = || status.is_some_and(|it| conditions::is_true(&it.conditions, types::DEGRADED));
    let has_learned = status.is_some_and(|it| it.step.is_some());
    match phase_of(child) {
        Phase::Pending | Phase::Suspended => !has_learned,
        Phase::Preparing => is_degraded(),
        _ => false,
    }
}

/// Whether an object was made for pods as they are to run now.
pub fn is_of_shape<K: ResourceExt>(builder: &Builder<'_>, object: &K) -> bool {
    object.annotations().get(ANNOTATION_SHAPE) == Some(&builder.wanted.shape)
}

#[cfg(test)]
mod tests {
    use api::reasons;
    use serde_json::{Value, json};

    use super::*;
    use crate::controllers::finetunejob::decide::{Stage, world::World};

    /// A pod of a Job whose main container is in this state.
    fn pod(job: &str, state: Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": format!("{job}-x"), "ownerReferences": [
                {"apiVersion": "batch/v1", "kind": "Job", "name": job, "uid": format!("uid-{job}")},
            ]},
            "status": {"phase": "Pending", "containerStatuses": [
                {"name": "c", "ready": false, "restartCount": 0, "image": "w", "imageID": "", "state": state},
            ]},
        }))
        .unwrap()
    }

    fn hanging(job: &str) -> Pod {
        pod(job, json!({"waiting": {"reason": "ImagePullBackOff"}}))
    }

    fn deleted(world: &mut World) -> Vec<String> {
        let names = world.pass().delete.into_iter().map(|(name, _)| name).collect();
        world.forget_pods();
        names
    }

    #[test]
    fn a_corrected_image_reaches_data_that_never_began() {
        let mut world = World::new(json!({}));
        world.pass();
        world.observed.pods.push(hanging("tune-data"));
        assert!(world.pass().delete.is_empty());
        world.job.spec.dataset.sources[0].oci.as_mut().unwrap().image = "data/chats:2".into();
        assert_eq!(deleted(&mut world), ["tune-data"]);
        let plan = world.pass();
        assert!(json!(plan.jobs[0]).to_string().contains("data/chats:2"));
        // What is at work is waited for, and the condition says so.
        world.observed.pods.push(pod("tune-data", json!({"running": {}})));
        world.job.spec.dataset.sources[0].oci.as_mut().unwrap().image = "data/chats:3".into();
        assert!(world.pass().delete.is_empty());
        let progressing = conditions::find(&world.status().conditions, "Progressing")
            .cloned()
            .unwrap();
        assert_eq!(progressing.reason, reasons::PREPARING);
        assert!(
            progressing.message.contains("`kubectl delete job tune-data`"),
            "{}",
            progressing.message
        );
    }

    #[test]
    fn smaller_pods_take_the_place_of_those_without_a_node() {
        let mut world = World::new(json!({"resources": {"memory": "900Gi"}}));
        world.pass();
        world.data_ready();
        world.pass();
        world.observed.pods.push(hanging("tune-train"));
        assert!(world.pass().delete.is_empty());
        world.job.spec.resources.as_mut().unwrap().memory = Some("3Gi".into());
        assert_eq!(deleted(&mut world), ["tune-train"]);
        let plan = world.pass();
        assert_eq!(plan.jobs[0].name_any(), "tune-train");
        assert!(json!(plan.jobs[0]).to_string().contains("3Gi"));
        // One that runs goes on as it is.
        world.observed.pods.push(pod("tune-train", json!({"running": {}})));
        world.job.spec.resources.as_mut().unwrap().memory = Some("4Gi".into());
        assert!(world.pass().delete.is_empty());
    }

    #[test]
    fn what_has_been_learned_is_not_given_up_for_a_node_that_was_lost() {
        let mut world = World::new(json!({}));
        world.pass();
        world.data_ready();
        world.pass();
        world.job.status.as_mut().unwrap().step = Some(20);
        world.observed.pods.push(hanging("tune-train"));
        world.job.spec.hyperparameters = serde_json::from_value(json!({"epochs": 9})).unwrap();
        assert!(world.pass().delete.is_empty());
    }

    #[test]
    fn without_its_queue_a_job_that_waits_for_it_begins() {
        let mut world = World::new(json!({"queueName": "night"}));
        world.pass();
        world.data_ready();
        assert_eq!(world.pass().stage, Stage::Queued);
        world.job.spec.queue_name = None;
        let plan = world.pass();
        assert_eq!((plan.delete.len(), plan.suspend.len()), (1, 0));
        let plan = world.pass();
        assert_eq!(plan.jobs[0].spec.as_ref().unwrap().suspend, None);
    }

    #[test]
    fn the_queue_of_a_job_stays_in_charge_of_it() {
        let mut world = World::new(json!({"queueName": "night"}));
        world.pass();
        world.data_ready();
        world.pass();
        // It was admitted, and is preempted later: nobody but the queue lets it go on.
        world.observed.pods.push(pod("tune-train", json!({"running": {}})));
        world.job.spec.queue_name = None;
        assert_eq!(world.pass().suspend, []);
    }
}
