//! LlmModels: prepare, serve, roll out.

mod accelerator;
mod adapters;
#[cfg(test)]
mod any_spec;
mod apply;
pub(super) mod backoff;
pub(super) mod build;
pub(super) mod canonical;
mod compression;
mod demand;
mod dereference;
pub(super) mod diagnose;
pub(super) mod drift;
pub(super) mod duration;
mod evaluation;
mod follow;
mod hosted;
mod plan;
pub(super) mod prepare;
pub(super) mod quantity;
mod recollection;
mod reconcile;
mod route;
mod sleepers;
pub(super) mod source;
mod status;
#[cfg(test)]
pub(super) mod testing;
pub(super) mod trouble;
pub(super) mod turns;
pub(super) mod validate;
pub(super) mod version;

use std::{convert::Infallible, future::Future, panic::AssertUnwindSafe, sync::Arc, time::Instant};

use futures::{FutureExt, StreamExt, stream};
use k8s_openapi::api::{
    apps::v1::{ControllerRevision, Deployment},
    autoscaling::v2::HorizontalPodAutoscaler,
    batch::v1::Job,
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Service},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
    resource::v1::ResourceClaimTemplate,
};
use kube::{
    Resource,
    api::PartialObjectMeta,
    runtime::{
        applier,
        controller::{self, Action, Config},
        reflector::{Lookup, ObjectRef, Store},
        watcher::Event,
    },
};

use crate::{
    asker::Asker,
    cluster::{self, Cluster},
    events::Events,
    gateways::Gateways,
    metrics::Metrics,
    watches::{ModelMeta, Watches, is_no_status},
};
use backoff::Backoff;
use follow::Followers;
pub use quantity::nanos;
use recollection::Recollection;
use reconcile::{ReconcileError, reconcile};
use sleepers::Sleepers;
use turns::Turns;
pub use validate::{NodeCache, Settings, Storage};

/// What a pass over one LlmModel works with.
struct Context {
    cluster: Cluster,
    events: Events,
    gateways: Arc<Gateways>,
    asker: Asker,
    metrics: Metrics,
    settings: Settings,
    backoff: Backoff<String>,
    sleepers: Sleepers,
    followers: Arc<Followers>,
    recollection: Recollection,
    turns: Turns,
}

/// Reconciles all LlmModels of the cluster.
pub struct Controller {
    context: Arc<Context>,
}

impl Controller {
    /// A controller that works on `concurrency` LlmModels at a time.
    pub fn new(
        cluster: Cluster,
        events: Events,
        gateways: Arc<Gateways>,
        metrics: Metrics,
        settings: Settings,
        concurrency: u16,
    ) -> Self {
        let context = Context {
            gateways,
            asker: Asker::default(),
            cluster,
            events,
            metrics,
            settings,
            backoff: Backoff::default(),
            sleepers: Sleepers::default(),
            followers: Arc::default(),
            recollection: Recollection::default(),
            turns: Turns::new(concurrency),
        };
        Self {
            context: Arc::new(context),
        }
    }

    fn watch<K: cluster::Kind + 'static>(&self, watches: &mut Watches, models: &Store<ModelMeta>) {
        let context = self.context.clone();
        watches.children::<K>(models, move |event| heard(&context, event));
    }

    /// Follows a kind whose status changes often and is looked at now and then, if at all.
    fn watch_but_status<K: cluster::Kind + 'static>(&self, watches: &mut Watches, models: &Store<ModelMeta>) {
        let (context, mut matters) = (self.context.clone(), is_no_status());
        watches.children::<K>(models, move |event| matters(event) && heard(&context, event));
    }

    /// Watches and reconciles until `stop`, then finishes the passes under way.
    pub async fn run(&self, stop: impl Future<Output = ()> + Send + 'static) {
        let metrics = self.context.metrics.clone();
        let (mut watches, receiver) = Watches::new(self.context.cluster.client(), metrics.clone());
        let store = watches.models();
        self.watch::<ConfigMap>(&mut watches, &store);
        self.watch::<ControllerRevision>(&mut watches, &store);
        self.watch::<Deployment>(&mut watches, &store);
        self.watch::<Job>(&mut watches, &store);
        self.watch::<NetworkPolicy>(&mut watches, &store);
        self.watch::<PersistentVolumeClaim>(&mut watches, &store);
        self.watch::<Pod>(&mut watches, &store);
        self.watch::<ResourceClaimTemplate>(&mut watches, &store);
        self.watch::<Service>(&mut watches, &store);
        self.watch_but_status::<HorizontalPodAutoscaler>(&mut watches, &store);
        self.watch_but_status::<PodDisruptionBudget>(&mut watches, &store);
        watches.others(self.context.followers.clone().touched());
        let (context, known) = (self.context.clone(), store.clone());
        watches.poll(sleepers::POLL, move || {
            let (context, known) = (context.clone(), known.clone());
            async move { context.sleepers.wanted(&known, &context.gateways).await }
        });
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
            |model, context| pass(model, context).boxed(),
            again,
            self.context.clone(),
            store,
            Box::pin(queue),
            // Who goes on is decided by the turns.
            Config::default(),
        )
        .for_each(async |outcome| {
            // It was deleted while it waited for its next attempt.
            if let Err(controller::Error::ObjectNotFound(gone)) = outcome {
                self.context.backoff.forget(&key(&gone));
                let namespace = gone.namespace.as_deref().unwrap_or_default();
                self.context.recollection.remove(namespace, &gone.name);
                self.context.followers.forget(namespace, &gone.name);
            }
        })
        .await;
        drop(watches);
    }
}

/// Notes what a watch told; whether the model is to be looked at.
fn heard<K>(context: &Context, event: &Event<PartialObjectMeta<K>>) -> bool
where
    K: Resource<DynamicType = ()>,
{
    let kind = cluster::kind::<K>();
    let Context {
        cluster, recollection, ..
    } = context;
    match event {
        Event::Init => cluster.watches_anew::<K>(),
        Event::InitApply(child) | Event::Apply(child) | Event::Delete(child) => cluster.saw::<K>(&child.metadata),
        Event::InitDone => {}
    }
    match event {
        Event::Init => false,
        Event::InitApply(child) => recollection.saw(kind, &child.metadata),
        Event::InitDone => {
            recollection.relisted(kind);
            true
        }
        Event::Apply(child) => recollection.saw(kind, &child.metadata),
        Event::Delete(child) => {
            recollection.lost(kind, &child.metadata);
            true
        }
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
async fn pass(model: Arc<ModelMeta>, context: Arc<Context>) -> Result<Action, ReconcileError> {
    let reference = ObjectRef::from_obj(model.as_ref());
    let namespace = reference.namespace.clone().unwrap_or_default();
    let metrics = &context.metrics;
    let is_new = context
        .recollection
        .is_new(&namespace, &reference.name, model.metadata.generation);
    let _turn = context.turns.take(is_new).await;
    let begun = Instant::now();
    metrics.active.inc();
    // In a box of its own, so that those that wait for their turn are small.
    let pass = Box::pin(reconcile(&context, &namespace, &reference.name, &model.metadata));
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
                // An autoscaler was faster, or an API server lags: the next pass sees what is new.
                "conflict" | "behind" => tracing::debug!(namespace, name, %error, "an LlmModel is looked at again"),
                _ => tracing::warn!(namespace, name, %error, "failed to reconcile an LlmModel"),
            }
        }
    }
    result
}

fn again(model: Arc<ModelMeta>, _error: &ReconcileError, context: Arc<Context>) -> Action {
    let reference = ObjectRef::from_obj(model.as_ref());
    Action::requeue(context.backoff.failed(key(&reference), rand::random()))
}
