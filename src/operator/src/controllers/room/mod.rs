//! Rooms: let members in, read the sources, and leave nothing behind.
//!
//! ```text
//!  dereference (reads)  roles, ingestion and its last words, the models that the spec names, uploads that wait
//!  validate    (pure)   what is asked for, or every fault of it
//!  decide      (pure)   who may enter, whether sources are due, what to make and to delete
//!  apply       (writes) whom to let in no more, before whom to let in; then what reads the sources
//!  status      (pure, then one write if anything changed)
//! ```
//!
//! Documents are in a database that the operator does not know: a Job reads sources and brings them to the gateway, and
//! when a Room is deleted the gateway takes them away, before the finalizer goes ([`leave`]).

mod apply;
mod build;
mod decide;
mod dereference;
mod leave;
mod outcome;
mod reconcile;
mod references;
mod settings;
mod status;
#[cfg(test)]
mod testing;
mod validate;

use std::{future::Future, sync::Arc};

use api::{LlmModel, Room, names::LABEL_ROOM};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Pod, ServiceAccount},
    networking::v1::NetworkPolicy,
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    api::ObjectMeta,
    runtime::{
        controller::Action,
        reflector::{ObjectRef, Store},
        watcher::Event,
    },
};

use super::common::{
    backoff::Backoff,
    passes::{self, Passes},
    reconcile::ReconcileError,
    turns::Turns,
};
use crate::{
    cluster::{self, Cluster},
    events::Events,
    metrics::Metrics,
    room_contents::RoomContents,
    watches::{Meta, Watches},
};
use references::References;
pub use settings::Settings;

/// What a pass over one Room works with.
pub struct Context {
    cluster: Cluster,
    events: Events,
    metrics: Metrics,
    settings: Settings,
    contents: RoomContents,
    backoff: Backoff<String>,
    references: References,
    turns: Turns,
}

/// Reconciles all Rooms of the cluster.
pub struct Controller {
    context: Arc<Context>,
}

impl Controller {
    /// A controller that works on `concurrency` Rooms at a time.
    pub fn new(
        cluster: Cluster,
        events: Events,
        contents: RoomContents,
        metrics: Metrics,
        settings: Settings,
        concurrency: u16,
    ) -> Self {
        let context = Context {
            cluster,
            events,
            metrics,
            settings,
            contents,
            backoff: Backoff::default(),
            references: References::default(),
            turns: Turns::new(concurrency),
        };
        Self {
            context: Arc::new(context),
        }
    }

    fn watch<K: cluster::Kind + 'static>(&self, watches: &mut Watches<Room>, rooms: &Store<Meta<Room>>) {
        let cluster = self.context.cluster.clone();
        watches.children::<K>(LABEL_ROOM, rooms, move |event| {
            if let Event::Apply(child) | Event::Delete(child) = event {
                cluster.saw::<K>(&child.metadata);
            }
            true
        });
    }

    /// Watches and reconciles until `stop`, then finishes the passes under way.
    pub async fn run(&self, stop: impl Future<Output = ()> + Send + 'static) {
        let (mut watches, receiver) = Watches::new(self.context.cluster.client(), self.context.metrics.clone());
        let store = watches.objects(|_| Vec::new());
        self.watch::<Role>(&mut watches, &store);
        self.watch::<RoleBinding>(&mut watches, &store);
        self.watch::<ServiceAccount>(&mut watches, &store);
        self.watch::<NetworkPolicy>(&mut watches, &store);
        self.watch::<Job>(&mut watches, &store);
        self.watch::<Pod>(&mut watches, &store);
        let context = self.context.clone();
        watches.others(move |event: Event<Meta<LlmModel>>| {
            let (Event::Apply(model) | Event::Delete(model)) = event else {
                return Vec::new();
            };
            let (Some(namespace), Some(name)) = (&model.metadata.namespace, &model.metadata.name) else {
                return Vec::new();
            };
            let rooms = context.references.of(namespace, name);
            let reference = |room: &String| ObjectRef::new(room).within(namespace);
            rooms.iter().map(reference).collect()
        });
        passes::run(self.context.clone(), store, receiver, stop).await;
        drop(watches);
    }
}

impl Passes for Context {
    type Object = Room;
    const WHAT: &'static str = "a Room";

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
    }
}
