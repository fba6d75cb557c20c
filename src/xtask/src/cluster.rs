//! The local cluster: a thin layer over the program that `e2e/cluster` builds.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::home::Home;
use crate::images::Image;
use crate::toolbox::{go, table};
use crate::ui::Stage;
use crate::{process, toolbox};

/// A cluster on this machine, running or not.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The program that runs all of it.
    pub program: PathBuf,
    /// Its state: certificates, etcd, containers, logs.
    pub dir: PathBuf,
    containerd: PathBuf,
}

impl Cluster {
    /// The cluster of this user, whose program may not be built yet.
    pub fn new(home: &Home) -> Result<Self> {
        Ok(Self {
            program: go::cluster_program(home)?,
            dir: home.cluster(),
            containerd: table::CONTAINERD.dir(home),
        })
    }

    /// Whether there is anything to take down or talk to.
    pub fn was_started(&self) -> bool {
        self.dir.exists()
    }

    /// Whether it runs and answers.
    pub fn is_up(&self) -> bool {
        self.program.is_file() && process::succeeds(&mut self.command("status"))
    }

    /// Starts it, or repairs and reuses what runs.
    pub fn up(&self, home: &Home, stage: &Stage) -> Result<()> {
        toolbox::for_cluster(home, stage)?;
        process::run(stage, self.command("up").arg("--containerd-dir").arg(&self.containerd))
    }

    /// Ends every process of it and removes its interfaces, routes, mounts and cgroups.
    pub fn down(&self, home: &Home, stage: &Stage) -> Result<()> {
        go::ensure_cluster_program(home, stage)?;
        process::run(stage, &mut self.command("down"))
    }

    /// Brings images into it; those it has already are skipped.
    pub fn import(&self, stage: &Stage, images: &[Image]) -> Result<()> {
        let missing: Vec<&Image> = images.iter().filter(|image| !self.marker(image).exists()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        for image in &missing {
            stage.note(&format!("importing {}", image.reference));
        }
        process::run(
            stage,
            self.command("import").args(missing.iter().map(|image| &image.archive)),
        )?;
        for image in missing {
            let marker = self.marker(image);
            let parent = marker.parent().expect("a marker lies in the cluster's directory");
            std::fs::create_dir_all(parent).with_context(|| format!("failed to create {}", parent.display()))?;
            std::fs::write(&marker, &image.reference)
                .with_context(|| format!("failed to write {}", marker.display()))?;
        }
        Ok(())
    }

    /// Administrator's credentials.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// Where kubectl and helm remember what the API server offers; the program sees to its own kubectl.
    pub fn kube_cache(&self) -> PathBuf {
        self.dir.join("kube-cache")
    }

    /// kubectl of the cluster's own version.
    pub fn kubectl(&self) -> Command {
        let mut command = process::command(&self.program);
        command.arg("kubectl").env("KUBECONFIG", self.kubeconfig());
        command
    }

    /// Where the components write what they do.
    pub fn log(&self, component: &str) -> PathBuf {
        self.dir.join("logs").join(format!("{component}.log"))
    }

    /// Remembers an import for as long as the cluster keeps its images.
    fn marker(&self, image: &Image) -> PathBuf {
        self.dir
            .join("imported")
            .join(format!("{}-{}", image.component, image.key))
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = process::command(&self.program);
        command.args([Path::new(verb), Path::new("--dir"), &self.dir]);
        command
    }
}
