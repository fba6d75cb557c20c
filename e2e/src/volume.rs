//! A volume with files, made of a directory of this machine.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;
use tempfile::TempDir;

use crate::namespace::Namespace;

/// Name of the claim that it is reached by.
pub const CLAIM: &str = "weights";

/// A volume and its claim [`CLAIM`].
pub struct Volume {
    name: String,
    _dir: TempDir,
}

impl Volume {
    /// Makes what lies in `dir` a volume.
    pub async fn create(namespace: &Namespace, dir: TempDir) -> Result<Self> {
        open(dir.path()).context("failed to open a directory to the worker's user")?;
        let name = namespace.name.clone();
        let volume: PersistentVolume = serde_json::from_value(json!({
            "metadata": {"name": name},
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "hostPath": {"path": dir.path()},
                "claimRef": {"namespace": namespace.name, "name": CLAIM},
            },
        }))?;
        let volumes = Api::<PersistentVolume>::all(namespace.client.clone());
        volumes.create(&PostParams::default(), &volume).await?;
        namespace
            .create_object::<PersistentVolumeClaim>(json!({
                "metadata": {"name": CLAIM},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": "",
                    "volumeName": name,
                    "resources": {"requests": {"storage": "1Gi"}},
                },
            }))
            .await?;
        Ok(Self { name, _dir: dir })
    }

    /// Removes it; its directory goes as well.
    pub async fn delete(self, namespace: &Namespace) -> Result<()> {
        let volumes = Api::<PersistentVolume>::all(namespace.client.clone());
        volumes.delete(&self.name, &DeleteParams::default()).await?;
        Ok(())
    }
}

/// The worker's user is nobody's on this machine.
fn open(dir: &Path) -> std::io::Result<()> {
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755))?;
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            open(&path)?;
        }
    }
    Ok(())
}
