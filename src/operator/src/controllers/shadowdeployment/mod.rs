//! ShadowDeployments: a verdict with evidence on a candidate, before anyone is exposed to it.
//!
//! ```text
//!  dereference (reads)  the models that the spec names, the pods of the candidate, reports
//!  validate    (pure)   what is asked for, or every fault of it
//!  collect     (reads)  pairs that the gateway has measured since; a run in memory keeps what they say
//!  decide      (pure)   how far the comparison is, and how it ends
//!  report      (pure)   everything that the verdict rests on
//!  route       (pure)   copies that pass Atelier's gateway by, where the spec asks for them
//!  apply       (writes) the report, as an immutable ConfigMap, and the route
//!  status      (pure, then one write if anything changed)
//! ```
//!
//! The gateway copies requests and measures pairs; here they are judged. What is kept in memory follows from the pairs
//! alone: a new leader reads them again and comes to the same. A verdict is given once. What follows from it is done by
//! the controller of the LlmModel, which asks for verdicts on the versions that it rolls out.

mod apply;
mod arms;
mod collect;
mod decide;
mod dereference;
mod evidence;
mod leave;
mod metrics;
mod reconcile;
mod references;
mod report;
mod route;
mod run;
mod status;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod validate;

use std::{future::Future, sync::Arc};

use api::{LlmModel, ShadowDeployment, names::LABEL_SHADOW};
use k8s_openapi::api::{core::v1::ConfigMap, networking::v1::NetworkPolicy};
use kube::{
    api::ObjectMeta,
    runtime::{controller::Action, reflector::ObjectRef, watcher::Event},
};

use super::common::{
    backoff::Backoff,
    passes::{self, Passes},
    reconcile::ReconcileError,
    turns::Turns,
};
use crate::{
    cluster::Cluster,
    events::Events,
    metrics::Metrics,
    shadow_pairs::ShadowPairs,
    watches::{Meta, Watches},
};
use collect::Runs;
use references::References;
pub use validate::{holds, is_paused, rejects};

/// What ShadowDeployments need to know of this installation.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether the operator can show the gateway who it is; without, it is told nothing.
    pub collects: bool,
}

/// What a pass over one ShadowDeployment works with.
pub struct Context {
    cluster: Cluster,
    events: Events,
    pairs: ShadowPairs,
    metrics: Metrics,
    settings: Settings,
    backoff: Backoff<String>,
    references: References,
    runs: Runs,
    turns: Turns,
}

/// Reconciles all ShadowDeployments of the cluster.
pub struct Controller {
    context: Arc<Context>,
}

impl Controller {
    /// A controller that works on `concurrency` ShadowDeployments at a time.
    pub fn new(
        cluster: Cluster,
        events: Events,
        pairs: ShadowPairs,
        metrics: Metrics,
        settings: Settings,
        concurrency: u16,
    ) -> Self {
        let context = Context {
            cluster,
            events,
            pairs,
            metrics,
            settings,
            backoff: Backoff::default(),
            references: References::default(),
            runs: Runs::default(),
            turns: Turns::new(concurrency),
        };
        Self {
            context: Arc::new(context),
        }
    }

    /// Watches and reconciles until `stop`, then finishes the passes under way.
    pub async fn run(&self, stop: impl Future<Output = ()> + Send + 'static) {
        let (mut watches, receiver) = Watches::new(self.context.cluster.client(), self.context.metrics.clone());
        let store = watches.objects(|_| Vec::new());
        let cluster = self.context.cluster.clone();
        watches.children::<ConfigMap>(LABEL_SHADOW, &store, move |event| {
            if let Event::Apply(child) | Event::Delete(child) = event {
                cluster.saw::<ConfigMap>(&child.metadata);
            }
            true
        });
        let cluster = self.context.cluster.clone();
        watches.children::<NetworkPolicy>(LABEL_SHADOW, &store, move |event| {
            if let Event::Apply(child) | Event::Delete(child) = event {
                cluster.saw::<NetworkPolicy>(&child.metadata);
            }
            true
        });
        let context = self.context.clone();
        watches.others(move |event: Event<Meta<LlmModel>>| {
            let (Event::Apply(model) | Event::Delete(model)) = event else {
                return Vec::new();
            };
            let (Some(namespace), Some(name)) = (&model.metadata.namespace, &model.metadata.name) else {
                return Vec::new();
            };
            let shadows = context.references.of(namespace, name);
            let reference = |shadow: &String| ObjectRef::new(shadow).within(namespace);
            shadows.iter().map(reference).collect()
        });
        passes::run(self.context.clone(), store, receiver, stop).await;
        drop(watches);
    }
}

impl Passes for Context {
    type Object = ShadowDeployment;
    const WHAT: &'static str = "a ShadowDeployment";

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
        self.references.forget(namespace, name);
        self.runs.forget_named(namespace, name);
    }
}
