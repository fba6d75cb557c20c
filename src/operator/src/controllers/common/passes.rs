//! The loop around the passes of one controller: each is counted, none ends the others, and one that failed is tried
//! again after a pause that grows.

use std::{convert::Infallible, future::Future, panic::AssertUnwindSafe, sync::Arc, time::Instant};

use futures::{FutureExt, StreamExt, stream};
use kube::{
    api::ObjectMeta,
    runtime::{
        applier,
        controller::{self, Action, Config},
        reflector::{Lookup, ObjectRef, Store},
    },
};
use tokio::sync::mpsc::Receiver;

use super::{backoff::Backoff, reconcile::ReconcileError, turns::Turns};
use crate::{cluster, metrics::Metrics, watches::Meta};

/// A controller of one kind, as the loop sees it.
pub trait Passes: Send + Sync + 'static {
    /// The kind.
    type Object: cluster::Kind + 'static;
    /// What it is called in logs: `an LlmModel`.
    const WHAT: &'static str;

    /// Where passes are counted.
    fn metrics(&self) -> &Metrics;
    /// What has failed lately.
    fn backoff(&self) -> &Backoff<String>;
    /// Places for passes.
    fn turns(&self) -> &Turns;
    /// Whether people have asked for something that no pass has seen yet. It goes before the echoes of what is under way.
    fn is_new(&self, _namespace: &str, _name: &str, _seen: &ObjectMeta) -> bool {
        true
    }
    /// One pass; `seen` is what the watch knows of the object.
    fn reconcile(
        &self,
        namespace: &str,
        name: &str,
        seen: &ObjectMeta,
    ) -> impl Future<Output = Result<Action, ReconcileError>> + Send;
    /// The object was deleted while it waited for its next attempt.
    fn gone(&self, namespace: &str, name: &str);
}

/// Reconciles the objects of `store` that `receiver` names until `stop`, then finishes the passes under way.
pub async fn run<P: Passes>(
    passes: Arc<P>,
    store: Store<Meta<P::Object>>,
    receiver: Receiver<ObjectRef<Meta<P::Object>>>,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let metrics = passes.metrics().clone();
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
        |object, passes| pass::<P>(object, passes).boxed(),
        again::<P>,
        passes.clone(),
        store,
        Box::pin(queue),
        // Who goes on is decided by the turns.
        Config::default(),
    )
    .for_each(async |outcome| {
        if let Err(controller::Error::ObjectNotFound(gone)) = outcome {
            passes.backoff().forget(&key(&gone));
            passes.gone(gone.namespace.as_deref().unwrap_or_default(), &gone.name);
        }
    })
    .await;
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
async fn pass<P: Passes>(object: Arc<Meta<P::Object>>, passes: Arc<P>) -> Result<Action, ReconcileError> {
    let reference = ObjectRef::from_obj(object.as_ref());
    let namespace = reference.namespace.clone().unwrap_or_default();
    let metrics = passes.metrics();
    let is_new = passes.is_new(&namespace, &reference.name, &object.metadata);
    let _turn = passes.turns().take(is_new).await;
    let begun = Instant::now();
    metrics.active.inc();
    // In a box of its own, so that those that wait for their turn are small.
    let pass = Box::pin(passes.reconcile(&namespace, &reference.name, &object.metadata));
    let result = AssertUnwindSafe(pass)
        .catch_unwind()
        .await
        .unwrap_or(Err(ReconcileError::Panicked));
    metrics.active.dec();
    metrics.duration.observe(begun.elapsed().as_secs_f64());
    match &result {
        Ok(_) => {
            metrics.reconciles.with_label_values(&["ok"]).inc();
            passes.backoff().forget(&key(&reference));
        }
        Err(error) => {
            metrics.reconciles.with_label_values(&["error"]).inc();
            metrics.errors.with_label_values(&[error.category()]).inc();
            let name = &reference.name;
            match error.category() {
                // Somebody else was faster, or an API server lags: the next pass sees what is new.
                "conflict" | "behind" => tracing::debug!(namespace, name, %error, "{} is looked at again", P::WHAT),
                _ => tracing::warn!(namespace, name, %error, "failed to reconcile {}", P::WHAT),
            }
        }
    }
    result
}

fn again<P: Passes>(object: Arc<Meta<P::Object>>, _error: &ReconcileError, passes: Arc<P>) -> Action {
    let reference = ObjectRef::from_obj(object.as_ref());
    Action::requeue(passes.backoff().failed(key(&reference), rand::random()))
}
