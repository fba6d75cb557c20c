//! Writes children, and takes over nobody's objects.

use api::reasons;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;

use super::{
    drift,
    ownership::{Claim, claim},
    trouble::Trouble,
};
use crate::cluster::{self, Cluster, ClusterError};

/// Why a child is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The API server refused or did not answer.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A child of a deleted owner of the same name is in the way, and about to be collected.
    #[error("{kind} {name} of the {owner} that had this name before is still being deleted")]
    Leftover {
        /// Kind of the object.
        kind: String,
        /// Its name.
        name: String,
        /// Kind of the owner.
        owner: String,
    },
    /// The name of a child is taken.
    #[error("{kind} {name} exists and does not belong to this {owner}: delete or rename it")]
    NameConflict {
        /// Kind of the object.
        kind: String,
        /// Its name.
        name: String,
        /// Kind of the owner.
        owner: String,
    },
}

impl ApplyError {
    /// What it tells the person who wrote the spec; lost connections pass by themselves.
    pub fn refusal(&self) -> Option<Trouble> {
        match self {
            Self::NameConflict { .. } => Some(Trouble::new(reasons::NAME_CONFLICT, self.to_string())),
            Self::Cluster(cause) if cause.is_refusal() => Some(Trouble::new(reasons::API_ERROR, self.to_string())),
            Self::Cluster(_) | Self::Leftover { .. } => None,
        }
    }
}

/// Writes the children of one object.
#[derive(Clone, Copy)]
pub struct Writer<'a> {
    /// Where to.
    pub cluster: &'a Cluster,
    /// In whose name.
    pub manager: &'static str,
    /// Namespace of the owner and of its children.
    pub namespace: &'a str,
    /// Whose children they are.
    pub owner: &'a OwnerReference,
}

impl Writer<'_> {
    /// Writes `desired` unless it is there already.
    ///
    /// # Errors
    /// Also when its name is taken.
    pub async fn ensure<K: cluster::Kind>(&self, existing: &[K], desired: &K) -> Result<(), ApplyError> {
        self.ensure_as(existing, desired, drift::is_applied).await
    }

    /// As [`Self::ensure`], where `is_applied` says whether what is there, the second one, is what is desired.
    ///
    /// # Errors
    /// Also when its name is taken.
    pub async fn ensure_as<K: cluster::Kind>(
        &self,
        existing: &[K],
        desired: &K,
        is_applied: impl Fn(&K, &K) -> bool,
    ) -> Result<(), ApplyError> {
        let desired = drift::stamped(desired.clone());
        let name = desired.name_any();
        match existing.iter().find(|object| object.name_any() == name) {
            // It comes back when it is gone.
            Some(live) if live.meta().deletion_timestamp.is_some() => return Ok(()),
            Some(live) if is_applied(&desired, live) => return Ok(()),
            Some(_) => {}
            None => self.refuse_foreign::<K>(&name).await?,
        }
        self.cluster.apply(self.manager, &desired).await?;
        Ok(())
    }

    /// A forced apply would take over whatever has this name.
    ///
    /// # Errors
    /// When it belongs to somebody else.
    pub async fn refuse_foreign<K: cluster::Kind>(&self, name: &str) -> Result<(), ApplyError> {
        match self.cluster.get::<K>(self.namespace, name).await? {
            Some(found) => self.refuse(&found),
            None => Ok(()),
        }
    }

    /// Refuses an object that is nobody's child here.
    ///
    /// # Errors
    /// When it belongs to somebody else.
    pub fn refuse<K: cluster::Kind>(&self, found: &K) -> Result<(), ApplyError> {
        let (kind, name, owner) = (K::kind(&()).into_owned(), found.name_any(), self.owner.kind.clone());
        match claim(found.owner_references(), self.owner) {
            Claim::Ours => Ok(()),
            Claim::Predecessor => Err(ApplyError::Leftover { kind, name, owner }),
            Claim::Foreign => Err(ApplyError::NameConflict { kind, name, owner }),
        }
    }
}
