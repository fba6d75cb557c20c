//! A cluster that does what plans say.

use api::{
    LlmModelStatus,
    llmmodel::CanaryStatus,
    names::{ANNOTATION_EVALUATION, ANNOTATION_RETIRED},
};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Condition, jiff::Timestamp};
use kube::ResourceExt;
use protocol::PrepareOutcome;
use serde_json::{Value, json};

use crate::controllers::llmmodel::{
    build::Builder,
    dereference::{Observed, version_of},
    plan::{Kind, Plan, decide},
    testing::{report, settings, the_owner, wanted},
    validate::Wanted,
};

/// Second 0.
pub const NOW: i64 = 1_800_000_000;

/// A cluster that does what a plan says, without pods.
#[derive(Default)]
pub struct World {
    pub observed: Observed,
    pub current: Option<String>,
    pub canary: Option<CanaryStatus>,
    pub promoted: Option<String>,
    /// What the status says already.
    pub conditions: Vec<Condition>,
}

impl World {
    pub fn plan(&self, wanted: &Wanted, second: i64) -> Plan {
        let (mut owner, settings) = (the_owner(), settings());
        owner.promoted.clone_from(&self.promoted);
        let builder = Builder {
            owner: &owner,
            wanted,
            settings: &settings,
        };
        let now = Timestamp::from_second(NOW + second).unwrap();
        let status = LlmModelStatus {
            current_version: self.current.clone(),
            canary: self.canary.clone(),
            conditions: self.conditions.clone(),
            ..LlmModelStatus::default()
        };
        decide(&builder, &self.observed, Some(&status), now)
    }

    /// Carries out a plan, as the API server would.
    pub fn carry_out(&mut self, plan: &Plan, second: i64) {
        for children in &plan.children {
            put(&mut self.observed.revisions, &children.revision);
            put(&mut self.observed.services, &children.service);
            put(&mut self.observed.pdbs, &children.pdb);
            put(&mut self.observed.network_policies, &children.network_policy);
            put(&mut self.observed.deployments, &children.deployment);
            for deployment in &mut self.observed.deployments {
                if deployment.name_any() == children.deployment.name_any() {
                    deployment.spec.clone_from(&children.deployment.spec);
                }
            }
            children.hpa.iter().for_each(|hpa| put(&mut self.observed.hpas, hpa));
        }
        for job in &plan.jobs {
            put(&mut self.observed.jobs, job);
        }
        for claim in &plan.claims {
            put(&mut self.observed.claims, claim);
        }
        if let Some(claims) = &plan.device_claims {
            put(&mut self.observed.device_claims, claims);
        }
        if let Some(adapters) = &plan.adapters {
            self.observed.config_maps = vec![adapters.clone()];
        }
        if let Some(route) = &plan.route {
            self.observed.routes.found = vec![route.clone()];
        }
        if let Some(snapshot) = &plan.snapshot {
            put(&mut self.observed.revisions, snapshot);
        }
        for scores in &plan.scores {
            let text = serde_json::to_string(&scores.evaluation).unwrap();
            let mut revisions = self.observed.revisions.iter_mut();
            let of = revisions.find(|it| version_of(&**it) == Some(&scores.version));
            of.unwrap().annotations_mut().insert(ANNOTATION_EVALUATION.into(), text);
        }
        let time = Timestamp::from_second(NOW + second).unwrap().to_string();
        for deployment in &mut self.observed.deployments {
            let name = deployment.name_any();
            if plan.retire.contains(&name) {
                deployment
                    .annotations_mut()
                    .insert(ANNOTATION_RETIRED.into(), time.clone());
            }
            if plan.revive.contains(&name) {
                deployment.annotations_mut().remove(ANNOTATION_RETIRED);
            }
        }
        let is_left = |kind: Kind, name: &str| !plan.delete.iter().any(|it| it.kind == kind && it.name == name);
        self.observed
            .revisions
            .retain(|it| is_left(Kind::ControllerRevision, &it.name_any()));
        self.observed
            .deployments
            .retain(|it| is_left(Kind::Deployment, &it.name_any()));
        self.observed
            .services
            .retain(|it| is_left(Kind::Service, &it.name_any()));
        self.observed
            .pdbs
            .retain(|it| is_left(Kind::PodDisruptionBudget, &it.name_any()));
        self.observed
            .network_policies
            .retain(|it| is_left(Kind::NetworkPolicy, &it.name_any()));
        self.observed
            .hpas
            .retain(|it| is_left(Kind::HorizontalPodAutoscaler, &it.name_any()));
        self.observed
            .config_maps
            .retain(|it| is_left(Kind::ConfigMap, &it.name_any()));
        self.observed
            .routes
            .found
            .retain(|it| is_left(Kind::HttpRoute, &it.name_any()));
        self.observed.jobs.retain(|it| is_left(Kind::Job, &it.name_any()));
        self.observed
            .device_claims
            .retain(|it| is_left(Kind::ResourceClaimTemplate, &it.name_any()));
        self.observed
            .claims
            .retain(|it| is_left(Kind::PersistentVolumeClaim, &it.name_any()));
    }

    pub fn step(&mut self, wanted: &Wanted, second: i64) -> Plan {
        let plan = self.plan(wanted, second);
        self.carry_out(&plan, second);
        plan
    }

    /// The pod of the newest prepare Job ends with this outcome.
    pub fn prepared(&mut self, outcome: &PrepareOutcome) {
        let exit_code = if matches!(outcome, PrepareOutcome::Ready(_)) {
            0
        } else {
            65
        };
        self.ends(serde_json::to_string(outcome).unwrap(), exit_code);
    }

    /// The pod of the newest Job ends with these words.
    pub fn ends(&mut self, message: String, exit_code: i32) {
        let job = self.observed.jobs.last_mut().unwrap();
        let uid = job.uid().unwrap();
        if exit_code != 0 {
            job.status = serde_json::from_value(json!({"conditions": [{"type": "Failed", "status": "True"}]})).unwrap();
        }
        let pod = json!({
            "metadata": {"name": "p", "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": uid}]},
            "status": {"containerStatuses": [{
                "name": "prepare", "ready": false, "restartCount": 0, "image": "w", "imageID": "",
                "state": {"terminated": {"exitCode": exit_code, "message": message}},
            }]},
        });
        self.observed.pods.push(serde_json::from_value::<Pod>(pod).unwrap());
    }

    /// All replicas of a version are ready, and the status says that it serves.
    pub fn serves(&mut self, version: &str) {
        for deployment in &mut self.observed.deployments {
            if version_of(&*deployment) == Some(version) {
                deployment.status = serde_json::from_value(json!({"readyReplicas": 1})).unwrap();
            }
        }
        self.current = Some(version.into());
    }

    pub fn rolled_out(spec: Value) -> (Self, String) {
        let mut world = Self::default();
        let wanted = wanted(spec);
        world.step(&wanted, 0);
        world.prepared(&PrepareOutcome::Ready(report()));
        let plan = world.step(&wanted, 0);
        let version = plan.target.version().unwrap().name.clone();
        world.serves(&version);
        world.step(&wanted, 0);
        (world, version)
    }

    pub fn versions_of<K: kube::Resource>(objects: &[K]) -> Vec<&str> {
        objects.iter().filter_map(version_of).collect()
    }
}

fn put<K: kube::Resource + Clone>(objects: &mut Vec<K>, object: &K) {
    match objects.iter_mut().find(|old| old.name_any() == object.name_any()) {
        Some(old) => {
            // Somebody else's annotations stay.
            let mut annotations = old.annotations().clone();
            annotations.extend(object.annotations().clone());
            *old.annotations_mut() = annotations;
        }
        None => {
            let mut object = object.clone();
            object.meta_mut().uid = Some(format!("uid-of-{}", object.name_any()));
            objects.push(object);
        }
    }
}
