//! buildah with storage of its own in the cache: no daemon, no root file system of the host touched.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::home::Home;
use crate::process;
use crate::ui::Stage;

/// buildah's own settings, in its directory.
const SETTINGS: &str = "containers.conf";

/// The image builder.
#[derive(Debug)]
pub struct Buildah {
    root: PathBuf,
}

#[derive(Deserialize)]
struct Inspected {
    #[serde(rename = "FromImageID")]
    image_id: String,
}

impl Buildah {
    /// Storage in the cache.
    pub fn new(home: &Home) -> Result<Self> {
        let root = home.cache.join("buildah");
        std::fs::create_dir_all(&root).with_context(|| format!("failed to create {}", root.display()))?;
        // Builds use this machine's network, but buildah creates this directory with a lock in it, by default in /etc.
        let settings = format!("[network]\nnetwork_config_dir = {:?}\n", root.join("cni"));
        let file = root.join(SETTINGS);
        std::fs::write(&file, settings).with_context(|| format!("failed to write {}", file.display()))?;
        Ok(Self { root })
    }

    fn command(&self) -> Command {
        let mut command = process::command("buildah");
        // vfs works on every file system and needs no privileges; its price is a full copy of each layer.
        command
            .args(["--storage-driver", "vfs", "--root"])
            .arg(self.root.join("storage"));
        command.arg("--runroot").arg(self.root.join("run"));
        command.env("CONTAINERS_CONF", self.root.join(SETTINGS));
        command
    }

    /// The id of an image, when it is in our storage.
    pub fn image_id(&self, reference: &str) -> Option<String> {
        let text = process::read(self.command().args(["inspect", "--type", "image", reference])).ok()?;
        serde_json::from_str::<Inspected>(&text)
            .ok()
            .map(|inspected| inspected.image_id)
    }

    /// Removes what a build that was cut off left behind.
    fn clear(&self) -> Result<()> {
        process::read(self.command().args(["rm", "--all"]))?;
        process::read(self.command().args(["rmi", "--prune"])).map(drop)
    }

    /// Builds one image, with `base` for the argument `BASE`. Nothing is pulled: the base has been made before.
    /// All times are set to zero, so that equal content gives an equal image.
    pub fn build(
        &self,
        stage: &Stage,
        containerfile: &Path,
        context: &Path,
        reference: &str,
        base: Option<&str>,
    ) -> Result<()> {
        self.clear()?;
        let mut build = self.command();
        build.args([
            "bud",
            "--isolation",
            "chroot",
            "--pull-never",
            "--timestamp",
            "0",
            "--tag",
            reference,
        ]);
        if let Some(base) = base {
            build.args(["--build-arg", &format!("BASE={base}")]);
        }
        build.arg("--file").arg(containerfile).arg(context);
        process::run(stage, &mut build)
    }

    /// Writes an image to a docker archive.
    pub fn save(&self, stage: &Stage, reference: &str, archive: &Path) -> Result<()> {
        if archive.exists() {
            std::fs::remove_file(archive).with_context(|| format!("failed to remove {}", archive.display()))?;
        }
        let target = format!("docker-archive:{}:{reference}", archive.display());
        process::run(stage, self.command().args(["push", reference, &target]))
    }

    /// Bytes of the layers that an image adds to its base: buildah makes one of all that a Containerfile does.
    pub fn added_bytes(&self, reference: &str) -> Result<u64> {
        let text = process::read(self.command().args(["inspect", "--type", "image", reference]))?;
        added_bytes(&text).with_context(|| format!("failed to find the size of {reference}"))
    }

    /// Removes an image from our storage; layers that others use stay.
    pub fn remove(&self, reference: &str) -> Result<()> {
        process::read(self.command().args(["rmi", reference])).map(drop)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stored {
    manifest: String,
}

#[derive(Deserialize)]
struct Manifest {
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
struct Layer {
    size: u64,
}

/// The size of the last layer in what `buildah inspect` prints: the manifest is JSON inside JSON.
fn added_bytes(inspected: &str) -> Result<u64> {
    let stored: Stored = serde_json::from_str(inspected)?;
    let manifest: Manifest = serde_json::from_str(&stored.manifest)?;
    Ok(manifest.layers.last().context("the image has no layer")?.size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_layer_is_ours() {
        let manifest = r#"{\"schemaVersion\":2,\"layers\":[{\"size\":80000},{\"size\":21}]}"#;
        let text = format!(r#"{{"FromImageID":"abc","Manifest":"{manifest}"}}"#);
        assert_eq!(added_bytes(&text).unwrap(), 21);
        assert!(added_bytes(r#"{"Manifest":"{\"layers\":[]}"}"#).is_err());
    }
}
