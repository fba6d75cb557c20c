//! How many objects there are of which something holds, by a watch.

use std::{collections::HashSet, fmt::Debug, time::Instant};

use anyhow::{Context, Result};
use api::LlmModel;
use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    core::PartialObjectMeta,
    runtime::{watcher, watcher::Event},
};
use serde::de::DeserializeOwned;
use tokio::{sync::watch, task::JoinHandle, time::timeout};

use super::world::PATIENCE;
use crate::model;

/// A count that is kept up to date. Dropping it ends its watch.
pub struct Census {
    count: watch::Receiver<(usize, Instant)>,
    task: JoinHandle<()>,
}

/// Deployments in a namespace.
pub fn of_deployments(client: &Client, namespace: &str) -> Census {
    let api = Api::<PartialObjectMeta<Deployment>>::namespaced(client.clone(), namespace);
    Census::of(api, |_| true)
}

/// ReplicaSets in a namespace.
pub fn of_replica_sets(client: &Client, namespace: &str) -> Census {
    let api = Api::<PartialObjectMeta<ReplicaSet>>::namespaced(client.clone(), namespace);
    Census::of(api, |_| true)
}

/// Models that serve what their spec asks for.
pub fn of_ready_models(client: &Client, namespace: &str) -> Census {
    Census::of(Api::<LlmModel>::namespaced(client.clone(), namespace), |it| {
        model::ready_version(it).is_some()
    })
}

impl Census {
    fn of<K>(api: Api<K>, counts: impl Fn(&K) -> bool + Send + 'static) -> Self
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
    {
        let (sender, count) = watch::channel((0, Instant::now()));
        let task = tokio::spawn(async move {
            let mut known = HashSet::new();
            let mut events = watcher(api, watcher::Config::default()).boxed();
            while let Some(event) = events.next().await {
                match event {
                    Ok(Event::Apply(object) | Event::InitApply(object)) if counts(&object) => {
                        known.insert(object.name_any());
                    }
                    Ok(Event::Apply(object) | Event::InitApply(object) | Event::Delete(object)) => {
                        known.remove(&object.name_any());
                    }
                    _ => continue,
                }
                sender.send_replace((known.len(), Instant::now()));
            }
        });
        Self { count, task }
    }

    /// Waits until there are `wanted`, and returns when that was.
    pub async fn reach(&mut self, wanted: usize) -> Result<Instant> {
        let reached = self.count.wait_for(|(count, _)| *count >= wanted);
        let reached = timeout(PATIENCE, reached).await.map(|it| it.map(|it| *it));
        let Ok(reached) = reached else {
            let (count, _) = *self.count.borrow();
            anyhow::bail!("gave up waiting for {wanted} objects: there are {count}");
        };
        let (_, at) = reached.context("the watch ended")?;
        Ok(at)
    }
}

impl Drop for Census {
    fn drop(&mut self) {
        self.task.abort();
    }
}
