//! Calls to the API server: each under a deadline, counted, and writes only while this process leads.

mod error;
mod freshness;

use std::{fmt::Debug, future::Future, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{
        DeleteParams, ListParams, LogParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions,
        PropagationPolicy,
    },
    core::NamespaceResourceScope,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::timeout;

use crate::{lease::Leadership, metrics::Metrics};
pub use error::ClusterError;
use freshness::Freshness;

/// What is read of a log at most.
const TAIL_BYTES: i64 = 16 << 10;
/// Longest call; kube itself sets no limit.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// A namespaced kind that is known at compile time.
pub trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned + Send + Sync
{
}

impl<K> Kind for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned
        + Send
        + Sync
{
}

/// The name of a kind: `Deployment`.
pub fn kind<K: Resource<DynamicType = ()>>() -> &'static str {
    match K::kind(&()) {
        std::borrow::Cow::Borrowed(name) => name,
        // Kinds that are known at compile time have names that are.
        std::borrow::Cow::Owned(_) => "",
    }
}

/// The cluster as the controllers use it.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    leadership: Leadership,
    metrics: Metrics,
    freshness: Freshness,
}

impl Cluster {
    /// A cluster that is written to only while `leadership` lasts.
    pub fn new(client: Client, leadership: Leadership, metrics: Metrics) -> Self {
        Self {
            client,
            leadership,
            metrics,
            freshness: Freshness::default(),
        }
    }

    /// The client below, for watches.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Notes that a watch, or the answer to a write, has shown an object: lists from before it are refused.
    pub fn saw<K: Resource<DynamicType = ()>>(&self, object: &ObjectMeta) {
        self.freshness.saw(kind::<K>(), object.resource_version.as_deref());
    }

    /// Notes that a watch begins anew, and with it what counts as old.
    pub fn watches_anew<K: Resource<DynamicType = ()>>(&self) {
        self.freshness.forget(kind::<K>());
    }

    /// The object `name`, if there is one.
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub async fn get<K: Kind>(&self, namespace: &str, name: &str) -> Result<Option<K>, ClusterError> {
        let api = self.api::<K>(namespace);
        let object = self.call("get", describe::<K>(name), api.get_opt(name)).await?;
        Ok(object.map(without_managers))
    }

    /// The object `name` as plain JSON, for kinds whose stored form may not fit the type.
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub async fn get_raw<K: Kind>(&self, namespace: &str, name: &str) -> Result<Option<Value>, ClusterError> {
        let resource = kube::api::ApiResource::erase::<K>(&());
        let api = Api::<kube::api::DynamicObject>::namespaced_with(self.client.clone(), namespace, &resource);
        let object = self.call("get", describe::<K>(name), api.get_opt(name)).await?;
        Ok(object.map(|object| serde_json::to_value(object).expect("what was JSON is JSON")))
    }

    /// The objects with these labels.
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub async fn list<K: Kind>(&self, namespace: &str, labels: &str) -> Result<Vec<K>, ClusterError> {
        self.list_by::<K>(namespace, ListParams::default().labels(labels)).await
    }

    /// The objects with these fields.
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub async fn list_fields<K: Kind>(&self, namespace: &str, fields: &str) -> Result<Vec<K>, ClusterError> {
        self.list_by::<K>(namespace, ListParams::default().fields(fields)).await
    }

    async fn list_by<K: Kind>(&self, namespace: &str, params: ListParams) -> Result<Vec<K>, ClusterError> {
        let newest = self.freshness.newest(kind::<K>());
        let list = self
            .call("list", describe::<K>(""), self.api::<K>(namespace).list(&params))
            .await?;
        let version = list.metadata.resource_version.as_deref();
        if newest.is_after(version) {
            return Err(ClusterError::Behind {
                what: describe::<K>(""),
            });
        }
        self.freshness.saw(kind::<K>(), version);
        Ok(list.items.into_iter().map(without_managers).collect())
    }

    /// The last `lines` lines that a container of a pod wrote.
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub async fn tail(&self, namespace: &str, pod: &str, container: &str, lines: i64) -> Result<String, ClusterError> {
        let params = LogParams {
            container: Some(container.into()),
            tail_lines: Some(lines),
            limit_bytes: Some(TAIL_BYTES),
            ..LogParams::default()
        };
        let api = Api::<Pod>::namespaced(self.client.clone(), namespace);
        self.call(
            "read",
            format!("the log of {}", describe::<Pod>(pod)),
            api.logs(pod, &params),
        )
        .await
    }

    /// Creates `object`, which must not exist.
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub async fn create<K: Kind>(&self, object: &K) -> Result<(), ClusterError> {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let (params, api) = (PostParams::default(), self.api::<K>(&namespace));
        self.write("create", describe::<K>(&name), api.create(&params, object))
            .await
            .map(drop)
    }

    /// Makes the fields of `object` hold, as `manager`; fields of others are left alone.
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub async fn apply<K: Kind>(&self, manager: &str, object: &K) -> Result<K, ClusterError> {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let params = PatchParams::apply(manager).force();
        let api = self.api::<K>(&namespace);
        self.write(
            "apply",
            describe::<K>(&name),
            api.patch(&name, &params, &Patch::Apply(object)),
        )
        .await
        .map(|written| self.written(written))
    }

    /// Makes the fields of `status` hold; `status` is a whole object with nothing but a status.
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub async fn apply_status<K: Kind>(
        &self,
        manager: &str,
        namespace: &str,
        name: &str,
        status: &Value,
    ) -> Result<(), ClusterError> {
        let params = PatchParams::apply(manager).force();
        let api = self.api::<K>(namespace);
        let what = format!("the status of {}", describe::<K>(name));
        self.write("apply", what, api.patch_status(name, &params, &Patch::Apply(status)))
            .await
            .map(drop)
    }

    /// Changes single fields of an object, leaving the rest to its other managers; gives what it is then.
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub async fn merge<K: Kind>(
        &self,
        manager: &str,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<K, ClusterError> {
        let params = PatchParams {
            field_manager: Some(manager.into()),
            ..PatchParams::default()
        };
        let api = self.api::<K>(namespace);
        self.write(
            "patch",
            describe::<K>(name),
            api.patch(name, &params, &Patch::Merge(patch)),
        )
        .await
        .map(|written| self.written(written))
    }

    /// Changes what the containers of a pod get, where it runs; gives what it is then.
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub async fn resize(&self, manager: &str, namespace: &str, pod: &str, patch: &Value) -> Result<Pod, ClusterError> {
        let params = PatchParams {
            field_manager: Some(manager.into()),
            ..PatchParams::default()
        };
        let api = Api::<Pod>::namespaced(self.client.clone(), namespace);
        self.write(
            "resize",
            describe::<Pod>(pod),
            api.patch_subresource("resize", pod, &params, &Patch::Strategic(patch)),
        )
        .await
        .map(|written| self.written(written))
    }

    /// Deletes the very object with this `uid`. That it is gone already, or was replaced, is fine.
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub async fn delete<K: Kind>(&self, namespace: &str, name: &str, uid: &str) -> Result<(), ClusterError> {
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: Some(Preconditions {
                uid: Some(uid.into()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        let api = self.api::<K>(namespace);
        match self
            .write("delete", describe::<K>(name), api.delete(name, &params))
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.status(), Some(404 | 409)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn written<K: Kind>(&self, object: K) -> K {
        self.saw::<K>(object.meta());
        without_managers(object)
    }

    fn api<K: Kind>(&self, namespace: &str) -> Api<K> {
        Api::namespaced(self.client.clone(), namespace)
    }

    async fn write<T>(
        &self,
        verb: &'static str,
        what: String,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, ClusterError> {
        if !self.leadership.is_current() {
            self.count(verb, "dropped");
            return Err(ClusterError::NotLeading { verb, what });
        }
        self.call(verb, what, call).await
    }

    async fn call<T>(
        &self,
        verb: &'static str,
        what: String,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, ClusterError> {
        match timeout(CALL_TIMEOUT, call).await {
            Ok(Ok(answer)) => {
                self.count(verb, "ok");
                Ok(answer)
            }
            Ok(Err(source)) => {
                self.count(verb, "error");
                Err(ClusterError::Api {
                    verb,
                    what,
                    source: Box::new(source),
                })
            }
            Err(_) => {
                self.count(verb, "timeout");
                Err(ClusterError::Timeout { verb, what })
            }
        }
    }

    fn count(&self, verb: &str, outcome: &str) {
        self.metrics.requests.with_label_values(&[verb, outcome]).inc();
    }
}

/// The object without who set which field: nobody here asks, and as a tree it is larger than all the rest.
fn without_managers<K: Kind>(mut object: K) -> K {
    object.meta_mut().managed_fields = None;
    object
}

fn describe<K: Resource<DynamicType = ()>>(name: &str) -> String {
    let kind = K::kind(&());
    if name.is_empty() {
        format!("objects of kind {kind}")
    } else {
        format!("{kind} {name}")
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::{
        apps::v1::{ControllerRevision, Deployment},
        resource::v1::ResourceClaimTemplate,
    };

    use super::*;

    #[test]
    fn kinds_have_names() {
        assert_eq!(kind::<Deployment>(), "Deployment");
        assert_eq!(kind::<ControllerRevision>(), "ControllerRevision");
        assert_eq!(kind::<crate::http_route::HttpRoute>(), "HTTPRoute");
        assert_eq!(kind::<ResourceClaimTemplate>(), "ResourceClaimTemplate");
    }
}
