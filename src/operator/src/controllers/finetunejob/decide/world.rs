//! A FineTuneJob and its cluster, for tests that make passes.

use std::collections::BTreeMap;

use api::FineTuneJob;
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Time};
use protocol::tune::{DataOutcome, DataReport, OutputKind, TrainOutcome, TrainReport};
use serde_json::{Value, json};

use super::*;
use crate::controllers::{
    finetunejob::{
        status::{self, Facts},
        testing::{base, job},
        validate::{self, Owner},
    },
    llmmodel::testing::settings,
};

/// A FineTuneJob and the part of the cluster that belongs to it, in which passes are made.
pub struct World {
    pub job: FineTuneJob,
    pub observed: Observed,
    pub now: Timestamp,
}

impl World {
    pub fn new(spec: Value) -> Self {
        let observed = Observed {
            base: Some(Base::Ready(Box::new(base()))),
            created: Some("2026-01-01T00:00:00Z".parse().unwrap()),
            ..Observed::default()
        };
        Self {
            job: job(spec),
            observed,
            now: "2026-01-01T00:10:00Z".parse().unwrap(),
        }
    }

    pub fn status(&self) -> FineTuneJobStatus {
        self.job.status.clone().unwrap_or_default()
    }

    pub fn phase(&self) -> Phase {
        self.status().phase.unwrap()
    }

    pub fn reason(&self, type_: &str) -> String {
        let status = self.status();
        api::conditions::find(&status.conditions, type_).unwrap().reason.clone()
    }

    /// A pass, and what it writes.
    pub fn pass(&mut self) -> Plan {
        let owner = Owner::new(&self.job).unwrap();
        let settings = settings();
        let wanted = validate::validate(&self.job, &settings).unwrap();
        let builder = Builder {
            owner: &owner,
            wanted: &wanted,
            settings: &settings,
        };
        let plan = decide(&builder, &self.observed, &self.status(), self.now);
        let facts = Facts {
            job: &self.job,
            owner: &owner,
            wanted: Some(&wanted),
            observed: &self.observed,
            plan: &plan,
            failure: None,
        };
        let after = status::compute(&facts, &Time(self.now));
        self.job.status = Some(after);
        let is_left = |job: &Job| !plan.delete.iter().any(|(name, _)| *name == job.name_any());
        self.observed.jobs.retain(is_left);
        for job in &plan.jobs {
            let mut job = job.clone();
            job.metadata.uid = Some(format!("uid-{}", job.name_any()));
            self.observed.jobs.push(job);
        }
        for (name, suspend) in &plan.suspend {
            let job = self
                .observed
                .jobs
                .iter_mut()
                .find(|job| job.name_any() == *name)
                .unwrap();
            job.spec.as_mut().unwrap().suspend = Some(*suspend);
        }
        let is_left = |child: &FineTuneJob| !plan.delete_children.iter().any(|(name, _)| *name == child.name_any());
        self.observed.children.retain(is_left);
        for child in &plan.create {
            let mut child = child.clone();
            child.metadata.uid = Some(format!("uid-{}", child.name_any()));
            self.observed.children.push(child);
        }
        plan
    }

    /// A pass over a spec that makes no sense.
    pub fn refused(&mut self) {
        let owner = Owner::new(&self.job).unwrap();
        let trouble = validate::validate(&self.job, &settings()).unwrap_err();
        let plan = Plan {
            stage: Stage::Refused(trouble),
            ..Plan::default()
        };
        let facts = Facts {
            job: &self.job,
            owner: &owner,
            wanted: None,
            observed: &self.observed,
            plan: &plan,
            failure: None,
        };
        self.job.status = Some(status::compute(&facts, &Time(self.now)));
    }

    /// A pod of a Job ends with these words, and the Job with it if it says so.
    pub fn ends(&mut self, name: &str, words: &str, condition: Option<&str>) {
        let phase = if condition == Some("Complete") {
            "Succeeded"
        } else {
            "Failed"
        };
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": format!("{name}-x"), "ownerReferences": [{
                "apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": format!("uid-{name}"),
            }]},
            "status": {"phase": phase, "containerStatuses": [{
                "name": "c", "ready": false, "restartCount": 0, "image": "w", "imageID": "",
                "state": {"terminated": {"exitCode": 0, "message": words}},
            }]},
        }))
        .unwrap();
        self.observed.pods.push(pod);
        let job = self
            .observed
            .jobs
            .iter_mut()
            .find(|job| job.name_any() == name)
            .unwrap();
        let conditions: Vec<_> = condition
            .iter()
            .map(|type_| json!({"type": type_, "status": "True", "message": "why"}))
            .collect();
        job.status = serde_json::from_value(json!({"conditions": conditions})).unwrap();
    }

    pub fn forget_pods(&mut self) {
        self.observed.pods.clear();
    }

    pub fn data_ready(&mut self) {
        let words = serde_json::to_string(&data("sha256:d1")).unwrap();
        self.ends("tune-data", &words, Some("Complete"));
    }

    pub fn trained(&mut self, words: &TrainOutcome) {
        self.ends("tune-train", &serde_json::to_string(words).unwrap(), Some("Complete"));
    }
}

pub fn data(digest: &str) -> DataOutcome {
    DataOutcome::Ready(DataReport {
        digest: digest.into(),
        parts: protocol::tune::SplitCounts {
            train: 90,
            validation: 5,
            test: 0,
        },
        read: 100,
        dropped: BTreeMap::from([("duplicate".into(), 5)]),
        ..DataReport::default()
    })
}

pub fn report(digest: &str, passed: Option<bool>) -> TrainReport {
    TrainReport {
        digest: digest.into(),
        kind: OutputKind::Adapter,
        steps: 40,
        stopped_early: false,
        first_loss: 3.0,
        last_loss: 1.5,
        eval_loss: Some(1.75),
        reference_loss: Some(2.5),
        test_loss: None,
        general_perplexity: Some((10.0, 10.5)),
        tokens: 4000,
        seconds: 60,
        gate: passed.map(|passed| protocol::tune::GateOutcome {
            passed,
            reason: "validation loss 1.75 against 2.50".into(),
        }),
        suites: Vec::new(),
    }
}
