//! A Room and its cluster, for tests that make passes, and that end in the midst of one.

use api::Room;
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Time};
use protocol::{
    PrepareFailure,
    ingest::{IngestOutcome, IngestReport, IngestedSource},
    redteam::RedTeamOutcome,
    rooms::state::{Quarantined, Source, State},
};
use serde_json::{Value, json};

use super::*;
use crate::controllers::room::{
    dereference::Models,
    status::{self, Facts},
    testing::{room, settings},
    validate,
};

/// A Room and the part of the cluster that belongs to it, in which passes are made.
pub struct World {
    pub room: Room,
    pub observed: Observed,
    pub now: Timestamp,
    /// Jobs that were ever made, and objects that were written or deleted.
    pub made: usize,
    pub tested: usize,
    pub writes: usize,
}

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

impl World {
    pub fn new(spec: Value) -> Self {
        let mut world = Self {
            room: room(spec),
            observed: Observed::default(),
            now: at("2026-01-01T00:10:00Z"),
            made: 0,
            tested: 0,
            writes: 0,
        };
        world.embedder("sha256:aa");
        world
    }

    pub fn embedder(&mut self, digest: &str) {
        self.observed.models = Models {
            embedder: Ok(Embedder {
                model: "ns/embedder@v-0123456789".into(),
                digest: digest.into(),
            }),
            others: None,
        };
    }

    pub fn annotate(&mut self, key: &str, value: &str) {
        let annotations = self.room.metadata.annotations.get_or_insert_default();
        annotations.insert(key.into(), value.into());
    }

    pub fn status(&self) -> RoomStatus {
        self.room.status.clone().unwrap_or_default()
    }

    pub fn sync(&self) -> SyncStatus {
        self.status().sync.unwrap_or_default()
    }

    /// Status and reason of a condition.
    pub fn condition(&self, type_: &str) -> (String, String) {
        let status = self.status();
        let found = api::conditions::find(&status.conditions, type_).unwrap();
        (found.status.clone(), found.reason.clone())
    }

    pub fn pass(&mut self) -> Plan {
        self.pass_until(usize::MAX)
    }

    /// A pass that ends after so many writes; the status is the last one.
    pub fn pass_until(&mut self, mut left: usize) -> Plan {
        let owner = Owner::new(&self.room).unwrap();
        let settings = settings();
        let wanted = validate::validate(&self.room, &settings);
        let builder = wanted.as_ref().map(|wanted| Builder {
            owner: &owner,
            wanted,
            settings: &settings,
            ca: None,
        });
        let builder = builder.as_ref().map_err(|trouble| *trouble);
        let plan = decide(
            &owner,
            &self.room.spec,
            builder,
            &self.observed,
            &self.status(),
            self.now,
        );
        if !owner.paused && !self.apply(&plan, &mut left) {
            return plan;
        }
        let facts = Facts {
            room: &self.room,
            owner: &owner,
            wanted: wanted.as_ref().ok(),
            settings: &settings,
            observed: &self.observed,
            plan: &plan,
            failure: None,
        };
        let after = status::compute(&facts, &Time(self.now));
        if left > 0 && self.room.status.as_ref() != Some(&after) {
            self.room.status = Some(after);
            self.writes += 1;
        }
        plan
    }

    /// In the order of [`crate::controllers::room::apply`]; whether all of it was done.
    fn apply(&mut self, plan: &Plan, left: &mut usize) -> bool {
        let mut writes = 0;
        let mut may = || {
            let may = *left > 0;
            *left = left.saturating_sub(1);
            writes += usize::from(may);
            may
        };
        let observed = &mut self.observed;
        for (name, _) in &plan.delete_bindings {
            if !may() {
                return false;
            }
            observed.bindings.retain(|it| it.name_any() != *name);
        }
        for (name, _) in &plan.delete_roles {
            if !may() {
                return false;
            }
            observed.roles.retain(|it| it.name_any() != *name);
        }
        for access in &plan.access {
            if !observed.roles.contains(&access.role) {
                if !may() {
                    return false;
                }
                observed.roles.retain(|it| it.name_any() != access.role.name_any());
                observed.roles.push(access.role.clone());
            }
            if !observed.bindings.contains(&access.binding) {
                if !may() {
                    return false;
                }
                observed
                    .bindings
                    .retain(|it| it.name_any() != access.binding.name_any());
                observed.bindings.push(access.binding.clone());
            }
        }
        for account in &plan.accounts {
            if !observed.accounts.contains(account) {
                if !may() {
                    return false;
                }
                observed.accounts.push(account.clone());
            }
        }
        for policy in &plan.policies {
            if !observed.policies.contains(policy) {
                if !may() {
                    return false;
                }
                observed.policies.retain(|it| it.name_any() != policy.name_any());
                observed.policies.push(policy.clone());
            }
        }
        for (name, _) in &plan.delete_jobs {
            if !may() {
                return false;
            }
            observed.jobs.retain(|it| it.name_any() != *name);
            observed.tests.retain(|it| it.name_any() != *name);
        }
        if let Some(job) = &plan.job {
            if !may() {
                return false;
            }
            let mut job = job.clone();
            job.metadata.uid = Some(format!("uid-{}-{}", job.name_any(), self.made));
            job.metadata.creation_timestamp = Some(Time(self.now));
            self.made += 1;
            observed.jobs.push(job);
        }
        if let Some(test) = &plan.test {
            if !may() {
                return false;
            }
            let mut test = test.clone();
            test.metadata.uid = Some(format!("uid-{}-{}", test.name_any(), self.tested));
            test.metadata.creation_timestamp = Some(Time(self.now));
            self.tested += 1;
            observed.tests.push(test);
        }
        self.writes += writes;
        true
    }

    /// Passes until nothing is written any more; how many Jobs are under way then.
    pub fn settle(&mut self) -> usize {
        for _ in 0..20 {
            let before = self.writes;
            self.pass();
            if self.writes == before {
                return self.under_way();
            }
        }
        panic!("it writes on and on");
    }

    pub fn under_way(&self) -> usize {
        self.observed.jobs.iter().filter(|job| !is_over(job)).count()
    }

    /// The Job that is under way ends with these words.
    pub fn ends(&mut self, words: Option<&IngestOutcome>, condition: &str) {
        self.over(words.map(IngestOutcome::last_words), condition, "ingest");
    }

    /// The attempt that is under way ends with these words.
    pub fn test_ends(&mut self, words: Option<&RedTeamOutcome>, condition: &str) {
        self.over(words.map(RedTeamOutcome::last_words), condition, "redteam");
    }

    /// Tests that are under way.
    pub fn under_test(&self) -> usize {
        self.observed.tests.iter().filter(|job| !is_over(job)).count()
    }

    fn over(&mut self, words: Option<String>, condition: &str, container: &str) {
        let jobs = match container {
            "ingest" => &mut self.observed.jobs,
            _ => &mut self.observed.tests,
        };
        let job = jobs.iter_mut().find(|job| !is_over(job)).unwrap();
        let conditions = json!([{"type": condition, "status": "True", "message": "why"}]);
        job.status = serde_json::from_value(json!({"conditions": conditions})).unwrap();
        let (name, uid) = (job.name_any(), job.uid().unwrap());
        if let Some(words) = words {
            let pod: Pod = serde_json::from_value(json!({
                "metadata": {"name": format!("{name}-x"), "ownerReferences": [{
                    "apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid,
                }]},
                "status": {"phase": "Failed", "containerStatuses": [{
                    "name": container, "ready": false, "restartCount": 0, "image": "d", "imageID": "",
                    "state": {"terminated": {"exitCode": 0, "message": words}},
                }]},
            }))
            .unwrap();
            self.observed.pods.push(pod);
        }
    }

    /// The Job that is under way publishes; these sources could not be read.
    pub fn publishes(&mut self, unread: &[&str]) {
        let reads = reads(self.observed.jobs.iter().find(|job| !is_over(job)).unwrap());
        let source = |name: &String| IngestedSource {
            name: name.clone(),
            read: reads.contains(name) && !unread.contains(&name.as_str()),
            documents: 10,
            chunks: 100,
            error: unread
                .contains(&name.as_str())
                .then(|| "the server answered 503".into()),
            ..IngestedSource::default()
        };
        let names: Vec<_> = self.room.spec.sources.iter().map(|it| it.name.clone()).collect();
        let report = IngestReport {
            generation: u64::try_from(self.sync().run + 1).unwrap(),
            documents: 10,
            chunks: 100,
            quarantined: [("LowConfidence".to_owned(), 2)].into(),
            recall_at_10: Some("1.0".into()),
            sources: names.iter().map(source).collect(),
        };
        self.ends(Some(&IngestOutcome::Published(report)), "Complete");
    }

    pub fn fails(&mut self, retryable: bool) {
        let failure = PrepareFailure::new("DownloadFailed", "the gateway is away", retryable);
        self.ends(Some(&IngestOutcome::Failed(failure)), "Failed");
    }

    /// What the gateway tells, where the last upload came so many seconds ago.
    pub fn uploads(&mut self, seconds: Option<f64>) {
        let source = |source: &api::room::RoomSource| Source {
            name: source.name.clone(),
            documents: 10,
            rights_age_seconds: None,
        };
        self.observed.state = Some(State {
            uid: "room-uid".into(),
            generation: Some(1),
            documents: 10,
            chunks: 100,
            quarantined: vec![Quarantined {
                reason: "LowConfidence".into(),
                documents: 2,
            }],
            sources: self.room.spec.sources.iter().map(source).collect(),
            newest_upload_seconds: seconds,
            ..State::default()
        });
    }

    /// A Room that was read and has nothing to do.
    pub fn idle(spec: Value) -> Self {
        let mut world = Self::new(spec);
        assert_eq!(world.settle(), 1);
        world.publishes(&[]);
        assert_eq!(world.settle(), 0);
        world
    }
}
