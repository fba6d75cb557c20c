//! LlmModels: prepare, serve, roll out.

mod accelerator;
mod adapters;
#[cfg(test)]
mod any_spec;
mod apply;
pub(super) mod build;
mod compression;
mod demand;
mod dereference;
pub(super) mod diagnose;
mod evaluation;
mod follow;
mod hosted;
mod plan;
pub(super) mod prepare;
mod recollection;
mod reconcile;
mod route;
mod shadows;
mod sleepers;
pub(super) mod source;
mod status;
#[cfg(test)]
pub(super) mod testing;
pub(super) mod validate;
pub(super) mod version;

use std::{future::Future, sync::Arc};

use api::{LlmModel, names::LABEL_MODEL};
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
    api::{ObjectMeta, PartialObjectMeta},
    runtime::{controller::Action, reflector::Store, watcher::Event},
};

use super::common::{
    backoff::Backoff,
    canonical, drift, duration, jobs,
    passes::{self, Passes},
    quantity,
    reconcile::ReconcileError,
    trouble,
    turns::Turns,
};
use crate::{
    asker::Asker,
    cluster::{self, Cluster},
    events::Events,
    gateways::Gateways,
    metrics::Metrics,
    watches::{ModelMeta, Watches, is_no_status},
};
use follow::Followers;
pub use quantity::nanos;
use recollection::Recollection;
use shadows::Shadows;
use sleepers::Sleepers;
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
    shadows: Arc<Shadows>,
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
            shadows: Arc::default(),
            recollection: Recollection::default(),
            turns: Turns::new(concurrency),
        };
        Self {
            context: Arc::new(context),
        }
    }

    fn watch<K: cluster::Kind + 'static>(&self, watches: &mut Watches<LlmModel>, models: &Store<ModelMeta>) {
        let context = self.context.clone();
        watches.children::<K>(LABEL_MODEL, models, move |event| heard(&context, event));
    }

    /// Follows a kind whose status changes often and is looked at now and then, if at all.
    fn watch_but_status<K: cluster::Kind + 'static>(&self, watches: &mut Watches<LlmModel>, models: &Store<ModelMeta>) {
        let (context, mut matters) = (self.context.clone(), is_no_status());
        watches.children::<K>(LABEL_MODEL, models, move |event| {
            matters(event) && heard(&context, event)
        });
    }

    /// Watches and reconciles until `stop`, then finishes the passes under way.
    pub async fn run(&self, stop: impl Future<Output = ()> + Send + 'static) {
        let (mut watches, receiver) = Watches::new(self.context.cluster.client(), self.context.metrics.clone());
        let store = watches.objects(|_| Vec::new());
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
        watches.others(self.context.shadows.clone().touched());
        let (context, known) = (self.context.clone(), store.clone());
        watches.poll(sleepers::POLL, move || {
            let (context, known) = (context.clone(), known.clone());
            async move { context.sleepers.wanted(&known, &context.gateways).await }
        });
        passes::run(self.context.clone(), store, receiver, stop).await;
        drop(watches);
    }
}

impl Passes for Context {
    type Object = LlmModel;
    const WHAT: &'static str = "an LlmModel";

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn backoff(&self) -> &Backoff<String> {
        &self.backoff
    }

    fn turns(&self) -> &Turns {
        &self.turns
    }

    fn is_new(&self, namespace: &str, name: &str, seen: &ObjectMeta) -> bool {
        self.recollection.is_new(namespace, name, seen.generation)
    }

    async fn reconcile(&self, namespace: &str, name: &str, seen: &ObjectMeta) -> Result<Action, ReconcileError> {
        reconcile::reconcile(self, namespace, name, seen).await
    }

    fn gone(&self, namespace: &str, name: &str) {
        self.recollection.remove(namespace, name);
        self.followers.forget(namespace, name);
    }
}

/// Pods of a version that answer.
pub fn ready_pods(deployment: Option<&Deployment>) -> i32 {
    status::replicas(deployment).ready
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
