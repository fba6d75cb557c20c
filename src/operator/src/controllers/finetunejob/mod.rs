//! FineTuneJobs: read data, train, publish; once, in trials, or again and again.
//!
//! ```text
//!  dereference (reads)  Jobs, their pods and last words, the base's version, parent and children
//!  validate    (pure)   what is asked for, or every fault of it
//!  decide      (pure)   how far it is, and what to make, change and delete: sweep and schedule decide for theirs
//!  apply       (writes) the claim, then policies and Service before the Jobs that need them
//!  status      (pure, then one write if anything changed)
//! ```
//!
//! Everything is told by Jobs, their pods and the status: a restart loses nothing.

mod apply;
mod build;
mod decide;
mod dereference;
mod memo;
mod outcome;
mod reconcile;
mod retention;
mod schedule;
mod status;
mod sweep;
#[cfg(test)]
mod testing;
mod validate;
mod watch;

use std::{future::Future, sync::Arc};

use api::{FineTuneJob, names::LABEL_JOB};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Pod, Service},
    networking::v1::NetworkPolicy,
};
use kube::{
    api::ObjectMeta,
    runtime::{controller::Action, reflector::Store, watcher::Event},
};

use super::{
    common::{
        backoff::Backoff,
        passes::{self, Passes},
        reconcile::ReconcileError,
        turns::Turns,
    },
    llmmodel::Settings,
};
use crate::{
    cluster::{self, Cluster},
    events::Events,
    metrics::Metrics,
    watches::{Meta, Watches},
};
use memo::{Waiting, Written};

/// What a pass over one FineTuneJob works with.
pub struct Context {
    cluster: Cluster,
    events: Events,
    metrics: Metrics,
    settings: Settings,
    backoff: Backoff<String>,
    waiting: Waiting,
    written: Written,
    turns: Turns,
}

/// Reconciles all FineTuneJobs of the cluster.
pub struct Controller {
    context: Arc<Context>,
}

impl Controller {
    /// A controller that works on `concurrency` FineTuneJobs at a time.
    pub fn new(cluster: Cluster, events: Events, metrics: Metrics, settings: Settings, concurrency: u16) -> Self {
        let context = Context {
            cluster,
            events,
            metrics,
            settings,
            backoff: Backoff::default(),
            waiting: Waiting::default(),
            written: Written::default(),
            turns: Turns::new(concurrency),
        };
        Self {
            context: Arc::new(context),
        }
    }

    fn watch<K: cluster::Kind + 'static>(&self, watches: &mut Watches<FineTuneJob>, jobs: &Store<Meta<FineTuneJob>>) {
        let cluster = self.context.cluster.clone();
        watches.children::<K>(LABEL_JOB, jobs, move |event| {
            if let Event::Apply(child) | Event::Delete(child) = event {
                cluster.saw::<K>(&child.metadata);
            }
            true
        });
    }

    /// Watches and reconciles until `stop`, then finishes the passes under way.
    pub async fn run(&self, stop: impl Future<Output = ()> + Send + 'static) {
        let (mut watches, receiver) = Watches::new(self.context.cluster.client(), self.context.metrics.clone());
        let store = watches.objects(watch::family());
        self.watch::<Job>(&mut watches, &store);
        self.watch::<Pod>(&mut watches, &store);
        self.watch::<Service>(&mut watches, &store);
        self.watch::<NetworkPolicy>(&mut watches, &store);
        watches.others(watch::bases(self.context.clone()));
        passes::run(self.context.clone(), store, receiver, stop).await;
        drop(watches);
    }
}

impl Passes for Context {
    type Object = FineTuneJob;
    const WHAT: &'static str = "a FineTuneJob";

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn backoff(&self) -> &Backoff<String> {
        &self.backoff
    }

    fn turns(&self) -> &Turns {
        &self.turns
    }

    async fn reconcile(&self, namespace: &str, name: &str, seen: &ObjectMeta) -> Result<Action, ReconcileError> {
        reconcile::reconcile(self, namespace, name, seen).await
    }

    fn gone(&self, namespace: &str, name: &str) {
        self.waiting.note(namespace, name, None);
    }
}
