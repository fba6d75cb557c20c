//! Brings the children to what the plan says. Each write stands alone: a crash between any two is
//! repaired by the next pass.

use api::{
    ShadowDeployment,
    names::{
        self, ANNOTATION_ADAPTERS, ANNOTATION_EVALUATION, ANNOTATION_MEMORY, ANNOTATION_RETIRED, ANNOTATION_STOPPED,
        FIELD_MANAGER_LLMMODEL,
    },
};
use k8s_openapi::{
    api::{
        apps::v1::{ControllerRevision, Deployment},
        autoscaling::v2::HorizontalPodAutoscaler,
        batch::v1::Job,
        core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Service},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
        resource::v1::ResourceClaimTemplate,
    },
    jiff::Timestamp,
};
use kube::ResourceExt;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    adapters::Nudge,
    build::Children,
    dereference::Observed,
    drift,
    plan::{Course, Deletion, Kind, Plan, Resize, Scores},
    recollection::{Kinds, Recollection},
    validate::Owner,
};
use crate::{
    cluster::{self, Cluster, ClusterError},
    controllers::common::{
        apply::{self as common, ApplyError},
        gateway_api::Routes,
    },
    http_route::HttpRoute,
};

/// Applies, marks and deletes; `observed` then holds what the API server returned.
///
/// # Errors
/// The first failure; what comes after it is left to the next pass.
pub async fn apply(
    cluster: &Cluster,
    recollection: &Recollection,
    owner: &Owner,
    plan: &Plan,
    observed: &mut Observed,
) -> Result<(), ApplyError> {
    let writer = Writer {
        cluster,
        owner,
        recollection,
    };
    for claim in &plan.claims {
        writer.ensure(&mut observed.claims, claim).await?;
    }
    if let Some(claims) = &plan.device_claims {
        writer.ensure(&mut observed.device_claims, claims).await?;
    }
    if let Some(adapters) = &plan.adapters {
        writer.ensure(&mut observed.config_maps, adapters).await?;
    }
    for job in &plan.jobs {
        writer.ensure(&mut observed.jobs, job).await?;
    }
    if let Some(snapshot) = &plan.snapshot {
        writer.ensure(&mut observed.revisions, snapshot).await?;
    }
    for scores in &plan.scores {
        let Scores { version, evaluation } = scores;
        writer
            .note(&mut observed.revisions, version, ANNOTATION_EVALUATION, evaluation)
            .await?;
    }
    for children in &plan.children {
        let Children {
            revision,
            network_policy,
            service,
            pdb,
            deployment,
            hpa,
        } = children;
        writer.ensure(&mut observed.revisions, revision).await?;
        writer.ensure(&mut observed.network_policies, network_policy).await?;
        writer.ensure(&mut observed.services, service).await?;
        writer.ensure(&mut observed.pdbs, pdb).await?;
        writer.ensure(&mut observed.deployments, deployment).await?;
        if let Some(hpa) = hpa {
            writer.ensure(&mut observed.hpas, hpa).await?;
        }
    }
    if let Some(comparison) = &plan.comparison {
        writer.compare(comparison).await?;
    }
    for (version, growth) in &plan.growths {
        writer
            .note(&mut observed.revisions, version, ANNOTATION_MEMORY, growth)
            .await?;
    }
    for resize in &plan.resizes {
        writer.resize(&mut observed.pods, resize).await?;
    }
    if let (Some(Course::Stopped(trouble)), Some(version)) = (&plan.trial, plan.target.version()) {
        writer
            .note(&mut observed.revisions, &version.name, ANNOTATION_STOPPED, trouble)
            .await?;
    }
    // Before a version retires: Gateways need a while to hear of it.
    if let Some(route) = &plan.route {
        writer.route(&mut observed.routes, route).await?;
    }
    for name in &plan.retire {
        let now = json!(Timestamp::now().to_string());
        writer.mark(&mut observed.deployments, name, &now).await?;
    }
    for name in &plan.revive {
        writer.mark(&mut observed.deployments, name, &Value::Null).await?;
    }
    for deletion in &plan.delete {
        writer.delete(deletion).await?;
    }
    for nudge in &plan.nudges {
        writer.nudge(&mut observed.pods, nudge).await?;
    }
    let is_left = |name: &str| {
        !plan
            .delete
            .iter()
            .any(|it| it.kind == Kind::ControllerRevision && it.name == name)
    };
    observed.revisions.retain(|revision| is_left(&revision.name_any()));
    Ok(())
}

/// Kinds that a plan changes without hearing what becomes of them.
pub fn unheard(plan: &Plan) -> Kinds {
    plan.delete.iter().map(|deletion| deletion.kind.name()).collect()
}

struct Writer<'a> {
    cluster: &'a Cluster,
    owner: &'a Owner,
    recollection: &'a Recollection,
}

impl Writer<'_> {
    fn common(&self) -> common::Writer<'_> {
        common::Writer {
            cluster: self.cluster,
            manager: FIELD_MANAGER_LLMMODEL,
            namespace: &self.owner.namespace,
            owner: &self.owner.reference,
        }
    }

    /// Writes `desired` unless it is there already, and puts the answer in its place among `existing`.
    async fn ensure<K: cluster::Kind>(&self, existing: &mut Vec<K>, desired: &K) -> Result<(), ApplyError> {
        let name = desired.name_any();
        match existing.iter().find(|object| object.name_any() == name) {
            // It comes back when it is gone.
            Some(live) if live.meta().deletion_timestamp.is_some() => return Ok(()),
            Some(live) if drift::is_applied(desired, live) => return Ok(()),
            Some(_) => {}
            None => self.common().refuse_foreign::<K>(&name).await?,
        }
        let applied = self.cluster.apply(FIELD_MANAGER_LLMMODEL, desired).await?;
        self.put(existing, applied);
        Ok(())
    }

    /// Puts what the API server answered to a write in its place.
    fn put<K: cluster::Kind>(&self, existing: &mut Vec<K>, written: K) {
        let Owner { namespace, name, .. } = self.owner;
        self.recollection
            .wrote(namespace, name, cluster::kind::<K>(), written.meta());
        match existing.iter_mut().find(|it| it.meta().name == written.meta().name) {
            Some(place) => *place = written,
            None => existing.push(written),
        }
    }

    /// Writes the way in beside Atelier's gateway.
    async fn route(&self, routes: &mut Routes, route: &HttpRoute) -> Result<(), ApplyError> {
        let outcome = self.ensure(&mut routes.found, route).await;
        routes.written(outcome)
    }

    async fn mark(&self, existing: &mut Vec<Deployment>, name: &str, retired: &Value) -> Result<(), ClusterError> {
        let patch = json!({"metadata": {"annotations": {ANNOTATION_RETIRED: retired}}});
        let namespace = &self.owner.namespace;
        let marked = self
            .cluster
            .merge::<Deployment>(FIELD_MANAGER_LLMMODEL, namespace, name, &patch)
            .await;
        match marked {
            // It was deleted in between.
            Err(error) if error.status() == Some(404) => existing.retain(|it| it.name_any() != name),
            marked => self.put(existing, marked?),
        }
        Ok(())
    }

    /// Makes the comparison that a gate asks for. One of that name that a person made is left alone, and said.
    async fn compare(&self, comparison: &ShadowDeployment) -> Result<(), ApplyError> {
        match self.cluster.create(comparison).await {
            // A list that was older than the last pass did not show it.
            Err(error) if error.status() == Some(409) => {
                let name = comparison.name_any();
                self.common().refuse_foreign::<ShadowDeployment>(&name).await
            }
            other => Ok(other?),
        }
    }

    /// Makes the kubelet look at what the pod mounts.
    async fn nudge(&self, existing: &mut Vec<Pod>, nudge: &Nudge) -> Result<(), ClusterError> {
        let Nudge { pod, id } = nudge;
        let patch = json!({"metadata": {"annotations": {ANNOTATION_ADAPTERS: id}}});
        let namespace = &self.owner.namespace;
        match self
            .cluster
            .merge::<Pod>(FIELD_MANAGER_LLMMODEL, namespace, pod, &patch)
            .await
        {
            // It was deleted in between.
            Err(error) if error.status() == Some(404) => existing.retain(|it| it.name_any() != *pod),
            nudged => self.put(existing, nudged?),
        }
        Ok(())
    }

    /// Keeps what was learned of a version beside its snapshot.
    async fn note(
        &self,
        existing: &mut Vec<ControllerRevision>,
        version: &str,
        annotation: &str,
        what: &impl Serialize,
    ) -> Result<(), ClusterError> {
        let text = serde_json::to_string(what).expect("our own types are representable as JSON");
        let patch = json!({"metadata": {"annotations": {annotation: text}}});
        let Owner { namespace, name, .. } = self.owner;
        let revision = names::version_child(name, version);
        let noted = self
            .cluster
            .merge(FIELD_MANAGER_LLMMODEL, namespace, &revision, &patch)
            .await?;
        self.put(existing, noted);
        Ok(())
    }

    /// Gives a pod more memory where it runs. Where that cannot be, the pod says so when it ends again.
    async fn resize(&self, existing: &mut Vec<Pod>, resize: &Resize) -> Result<(), ClusterError> {
        let Resize { pod, container, memory } = resize;
        let memory = json!({"memory": memory});
        let resources = json!({"limits": memory, "requests": memory});
        let patch = json!({"spec": {"containers": [{"name": container, "resources": resources}]}});
        let namespace = &self.owner.namespace;
        match self
            .cluster
            .resize(FIELD_MANAGER_LLMMODEL, namespace, pod, &patch)
            .await
        {
            Ok(resized) => self.put(existing, resized),
            Err(error) if error.status().is_some_and(|status| (400..500).contains(&status)) => {
                tracing::warn!(namespace, pod, %error, "a pod gets no more memory");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn delete(&self, deletion: &Deletion) -> Result<(), ClusterError> {
        let Deletion { kind, name, uid } = deletion;
        let (cluster, namespace) = (self.cluster, self.owner.namespace.as_str());
        match kind {
            Kind::Deployment => cluster.delete::<Deployment>(namespace, name, uid).await,
            Kind::Service => cluster.delete::<Service>(namespace, name, uid).await,
            Kind::PodDisruptionBudget => cluster.delete::<PodDisruptionBudget>(namespace, name, uid).await,
            Kind::NetworkPolicy => cluster.delete::<NetworkPolicy>(namespace, name, uid).await,
            Kind::Job => cluster.delete::<Job>(namespace, name, uid).await,
            Kind::PersistentVolumeClaim => cluster.delete::<PersistentVolumeClaim>(namespace, name, uid).await,
            Kind::HorizontalPodAutoscaler => cluster.delete::<HorizontalPodAutoscaler>(namespace, name, uid).await,
            Kind::ResourceClaimTemplate => cluster.delete::<ResourceClaimTemplate>(namespace, name, uid).await,
            Kind::ConfigMap => cluster.delete::<ConfigMap>(namespace, name, uid).await,
            Kind::ControllerRevision => cluster.delete::<ControllerRevision>(namespace, name, uid).await,
            Kind::HttpRoute => cluster.delete::<HttpRoute>(namespace, name, uid).await,
            Kind::ShadowDeployment => cluster.delete::<ShadowDeployment>(namespace, name, uid).await,
        }
    }
}
