//! Changes that come faster than anybody types them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use api::{LlmModel, names::LABEL_MODEL};
use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, Client, ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use super::world::{NAMESPACE, PATIENCE, name};

const CHANGES_PER_SECOND: u32 = 100;
/// What models are changed to; they have 1 before.
const REPLICAS: i32 = 2;

/// Changes `spec.replicas` of one model after the other, each once; returns how long each change took to reach
/// its Deployment, in seconds, the shortest first.
pub async fn run(client: &Client, models: usize, length: Duration) -> Result<Vec<f64>> {
    let planned = usize::try_from(u64::from(CHANGES_PER_SECOND) * length.as_secs()).context("it is too long")?;
    let count = planned.min(models);
    let begun = Arc::new(Mutex::new(HashMap::new()));
    let watched = tokio::spawn(watch(client.clone(), begun.clone(), count));

    let models = Api::<LlmModel>::namespaced(client.clone(), NAMESPACE);
    let mut ticks = interval(Duration::from_secs(1) / CHANGES_PER_SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut changes = JoinSet::new();
    for index in 0..count {
        ticks.tick().await;
        let (models, begun) = (models.clone(), begun.clone());
        changes.spawn(async move {
            let name = name(index);
            let patch = Patch::Merge(json!({"spec": {"replicas": REPLICAS}}));
            begun
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(name.clone(), Instant::now());
            models.patch(&name, &PatchParams::default(), &patch).await
        });
    }
    while let Some(change) = changes.join_next().await {
        change
            .context("a change panicked")?
            .context("failed to change a model")?;
    }
    let delays = timeout(PATIENCE, watched).await.context("changes did not arrive")?;
    let mut delays = delays.context("the watch panicked")??;
    delays.sort_by(f64::total_cmp);
    Ok(delays)
}

/// Waits for `count` changes to arrive.
async fn watch(client: Client, begun: Arc<Mutex<HashMap<String, Instant>>>, count: usize) -> Result<Vec<f64>> {
    let deployments = Api::<Deployment>::namespaced(client, NAMESPACE);
    let mut objects = watcher(deployments, watcher::Config::default())
        .default_backoff()
        .applied_objects()
        .boxed();
    let mut delays = Vec::new();
    while delays.len() < count {
        let Some(Ok(deployment)) = objects.next().await else {
            continue;
        };
        let arrived = deployment.spec.as_ref().and_then(|spec| spec.replicas) == Some(REPLICAS);
        let model = deployment.labels().get(LABEL_MODEL).filter(|_| arrived);
        let mut begun = begun.lock().unwrap_or_else(PoisonError::into_inner);
        delays.extend(
            model
                .and_then(|model| begun.remove(model))
                .map(|since| since.elapsed().as_secs_f64()),
        );
    }
    Ok(delays)
}

/// The value below which `share` of sorted samples are; the largest of few.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    let index = rank.clamp(1, sorted.len().max(1)) - 1;
    sorted.get(index).copied().unwrap_or(f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples() {
        let samples: Vec<f64> = (1..=200).map(f64::from).collect();
        assert!((quantile(&samples, 0.99) - 198.0).abs() < f64::EPSILON);
        assert!((quantile(&samples, 0.5) - 100.0).abs() < f64::EPSILON);
        assert!(quantile(&[], 0.5).is_infinite());
    }
}
