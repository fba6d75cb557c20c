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

use std::{convert::Infallible, future::Future, panic::AssertUnwindSafe, sync::Arc, time::Instant};

use futures::{FutureExt, StreamExt, stream};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Pod, Service},
    networking::v1::NetworkPolicy,
};
use kube::runtime::{
    applier,
    controller::{self, Action, Config},
    reflector::{Lookup, ObjectRef},
};
use tokio::sync::Semaphore;

use super::llmmodel::{Settings, backoff::Backoff};
use crate::{cluster::Cluster, events::Events, metrics::Metrics};
use memo::{Waiting, Written};
use reconcile::{ReconcileError, reconcile};
use watch::{JobMeta, Watches};

/// What a pass over one FineTuneJob works with.
pub struct Context {
    cluster: Cluster,
    events: Events,
    metrics: Metrics,
    settings: Settings,
    backoff: Backoff<String>,
    waiting: Waiting,
    written: Written,
    places: Semaphore,
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
            places: Semaphore::new(concurrency.max(1).into()),
        };
        Self {
            context: Arc::new(context),
        }
    }

    /// Watches and reconciles until `stop`, then finishes the passes under way.
    pub async fn run(&self, stop: impl Future<Output = ()> + Send + 'static) {
        let metrics = self.context.metrics.clone();
        let (mut watches, receiver) = Watches::new(self.context.clone());
        let store = watches.jobs();
        watches.children::<Job>(&store);
        watches.children::<Pod>(&store);
        watches.children::<Service>(&store);
        watches.children::<NetworkPolicy>(&store);
        watches.bases();
        let queue = stream::unfold(receiver, async |mut receiver| {
            let reference = receiver.recv().await?;
            Some((reference, receiver))
        });
        let queue = queue
            .map(move |reference| {
                metrics.queue.dec();
                Ok::<_, Infallible>(reference)
            })
            .take_until(Box::pin(stop));
        applier(
            |job, context| pass(job, context).boxed(),
            again,
            self.context.clone(),
            store,
            Box::pin(queue),
            Config::default(),
        )
        .for_each(async |outcome| {
            // It was deleted while it waited for its next attempt.
            if let Err(controller::Error::ObjectNotFound(gone)) = outcome {
                self.context.backoff.forget(&key(&gone));
                let namespace = gone.namespace.as_deref().unwrap_or_default();
                self.context.waiting.note(namespace, &gone.name, None);
            }
        })
        .await;
        drop(watches);
    }
}

/// The name under which failures are remembered.
fn key<K: Lookup>(reference: &ObjectRef<K>) -> String {
    format!(
        "{}/{}",
        reference.namespace.as_deref().unwrap_or_default(),
        reference.name
    )
}

/// One pass, counted.
async fn pass(job: Arc<JobMeta>, context: Arc<Context>) -> Result<Action, ReconcileError> {
    let reference = ObjectRef::from_obj(job.as_ref());
    let namespace = reference.namespace.clone().unwrap_or_default();
    let metrics = &context.metrics;
    // It is never closed.
    let _place = context.places.acquire().await.ok();
    let begun = Instant::now();
    metrics.active.inc();
    // In a box of its own, so that those that wait for their turn are small.
    let pass = Box::pin(reconcile(&context, &namespace, &reference.name, &job.metadata));
    let result = AssertUnwindSafe(pass)
        .catch_unwind()
        .await
        .unwrap_or(Err(ReconcileError::Panicked));
    metrics.active.dec();
    metrics.duration.observe(begun.elapsed().as_secs_f64());
    match &result {
        Ok(_) => {
            metrics.reconciles.with_label_values(&["ok"]).inc();
            context.backoff.forget(&key(&reference));
        }
        Err(error) => {
            metrics.reconciles.with_label_values(&["error"]).inc();
            metrics.errors.with_label_values(&[error.category()]).inc();
            let name = &reference.name;
            match error.category() {
                // An API server lags: the next pass sees what is new.
                "conflict" | "behind" => tracing::debug!(namespace, name, %error, "a FineTuneJob is looked at again"),
                _ => tracing::warn!(namespace, name, %error, "failed to reconcile a FineTuneJob"),
            }
        }
    }
    result
}

fn again(job: Arc<JobMeta>, _error: &ReconcileError, context: Arc<Context>) -> Action {
    let reference = ObjectRef::from_obj(job.as_ref());
    Action::requeue(context.backoff.failed(key(&reference), rand::random()))
}
