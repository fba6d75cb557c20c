//! Programs built from Go modules.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::table::{GO_VERSION, KUBERNETES_VERSION};
use crate::home::{self, Home};
use crate::ui::Stage;
use crate::{hash, process};

/// A tool that `go install` builds.
#[derive(Clone, Copy, Debug)]
pub struct GoTool {
    /// Name of its directory in the cache and of its main program.
    pub name: &'static str,
    /// Module version with the leading `v`.
    pub version: &'static str,
    /// Packages of its programs.
    pub packages: &'static [&'static str],
    /// What we use it for.
    pub why: &'static str,
}

/// The Go module of the local cluster, relative to the checkout.
const CLUSTER_MODULE: &str = "e2e/cluster";
/// Versions of the cluster program that are kept, so that switching branches does not rebuild it.
const CLUSTERS_KEPT: usize = 3;

/// A `go` command for reproducible static programs.
pub fn command() -> Command {
    let mut command = process::command("go");
    command.env("CGO_ENABLED", "0").env("GOFLAGS", "-trimpath");
    command
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Module {
    dir: PathBuf,
}

/// The directory of a module's sources, which Go fetches and verifies unless it has them.
pub fn module(path: &str, version: &str) -> Result<PathBuf> {
    let mut download = command();
    download.args(["mod", "download", "-json", &format!("{path}@{version}")]);
    let module: Module = serde_json::from_str(&process::read(&mut download)?)
        .with_context(|| format!("failed to read what `go mod download` says of {path}"))?;
    Ok(module.dir)
}

/// Checks that Go is there and new enough.
pub fn ensure_go() -> Result<()> {
    let (major, minor) = GO_VERSION;
    let wanted = format!("install Go {major}.{minor} or newer (https://go.dev/doc/install) and put it on PATH");
    let text = process::read(process::command("go").args(["env", "GOVERSION"]))
        .with_context(|| format!("failed to find Go, which builds the Kubernetes of the local cluster: {wanted}"))?;
    match parse_version(&text) {
        Some(found) if found >= GO_VERSION => Ok(()),
        _ => bail!(
            "failed to use Go {}: it is too old to build Kubernetes 1.36; {wanted}",
            text.trim()
        ),
    }
}

/// `go1.26.8` as (1, 26).
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().strip_prefix("go")?.split('.');
    let major = parts.next()?.parse().ok()?;
    let digits: String = parts.next()?.chars().take_while(char::is_ascii_digit).collect();
    Some((major, digits.parse().ok()?))
}

impl GoTool {
    /// Where its programs lie.
    pub fn dir(&self, home: &Home) -> PathBuf {
        home.tool(self.name, self.version)
    }

    /// The program that bears its name.
    pub fn program(&self, home: &Home) -> PathBuf {
        self.dir(home).join(self.name)
    }

    fn programs(&self) -> impl Iterator<Item = &str> {
        self.packages
            .iter()
            .map(|package| package.rsplit('/').next().expect("split yields at least one part"))
    }

    /// Whether all its programs are there.
    pub fn is_there(&self, home: &Home) -> bool {
        let dir = self.dir(home);
        self.programs().all(|name| dir.join(name).is_file())
    }

    /// Builds it unless it is there.
    pub fn ensure(&self, home: &Home, stage: &Stage) -> Result<()> {
        if self.is_there(home) {
            return Ok(());
        }
        ensure_go()?;
        stage.note(&format!(
            "{} {}: {} (go install, a minute or two)",
            self.name, self.version, self.why
        ));
        let work = home.fresh_work_dir(self.name)?;
        let mut install = command();
        install.env("GOBIN", &work).arg("install");
        install.args(
            self.packages
                .iter()
                .map(|package| format!("{package}@{}", self.version)),
        );
        process::run(stage, &mut install)?;
        home::publish_dir(&work, &self.dir(home))
    }
}

/// Compiles a module of this checkout whose program goes into an image. Go would write the commit into it;
/// without that, equal sources give an equal image.
pub fn build_image_program(stage: &Stage, module: &Path, program: &Path) -> Result<()> {
    let mut build = command();
    build
        .current_dir(module)
        .args(["build", "-buildvcs=false", "-ldflags", "-s -w", "-o"])
        .arg(program)
        .arg(".");
    process::run(stage, &mut build)
}

/// Where the cluster program of this checkout lies once built.
pub fn cluster_program(home: &Home) -> Result<PathBuf> {
    let key = hash::tree(&home.repo.join(CLUSTER_MODULE))?;
    Ok(home.tool("cluster", &key).join("atelier-cluster"))
}

/// Builds the cluster program unless these very sources have been built before.
pub fn ensure_cluster_program(home: &Home, stage: &Stage) -> Result<PathBuf> {
    let program = cluster_program(home)?;
    if program.is_file() {
        return Ok(program);
    }
    ensure_go()?;
    stage.note("atelier-cluster: etcd and Kubernetes 1.36 in one program (go build, about 5 minutes the first time)");
    let work = home.fresh_work_dir("cluster")?;
    let module = home.repo.join(CLUSTER_MODULE);
    let mut build = command();
    build
        .current_dir(&module)
        .args(["build", "-ldflags", &link_flags(), "-o"])
        .arg(work.join("atelier-cluster"))
        .arg(".");
    process::run(stage, &mut build)?;
    let dir = program.parent().expect("the program lies in a directory");
    home::publish_dir(&work, dir)?;
    prune_clusters(dir)?;
    Ok(program)
}

/// Strips symbols and stamps the version that clients judge features by.
fn link_flags() -> String {
    let stamp = "-X k8s.io/component-base/version";
    let (major, minor) = KUBERNETES_VERSION
        .trim_start_matches('v')
        .split_once('.')
        .map(|(major, rest)| (major, rest.split('.').next().unwrap_or_default()))
        .expect("the version in the table has dots");
    format!("-s -w {stamp}.gitVersion={KUBERNETES_VERSION} {stamp}.gitMajor={major} {stamp}.gitMinor={minor}")
}

/// Removes all but the newest few cluster programs. One that runs keeps running: its file lives until it ends.
fn prune_clusters(newest: &Path) -> Result<()> {
    let parent = newest.parent().expect("tools lie in a directory");
    let mut dirs = Vec::new();
    for entry in std::fs::read_dir(parent).with_context(|| format!("failed to list {}", parent.display()))? {
        let entry = entry.with_context(|| format!("failed to list {}", parent.display()))?;
        if entry.file_name().to_string_lossy().starts_with("cluster-") {
            let changed = entry.metadata().and_then(|data| data.modified());
            dirs.push((
                changed.with_context(|| format!("failed to look at {}", entry.path().display()))?,
                entry.path(),
            ));
        }
    }
    dirs.sort();
    dirs.iter()
        .rev()
        .skip(CLUSTERS_KEPT)
        .try_for_each(|(_, dir)| home::remove_dir(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_versions_are_understood() {
        for (text, expected) in [
            ("go1.26.8\n", Some((1, 26))),
            ("go1.27", Some((1, 27))),
            ("go1.27rc1", Some((1, 27))),
            ("devel", None),
            ("", None),
        ] {
            assert_eq!(parse_version(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_stamp_has_all_parts_of_the_version() {
        let flags = link_flags();
        for part in ["gitVersion=v1.36.3", "gitMajor=1 ", "gitMinor=36"] {
            assert!(flags.contains(&format!("version.{part}")), "{flags}");
        }
    }

    #[test]
    fn a_program_is_named_by_the_end_of_its_package() {
        let programs: Vec<&str> = super::super::table::CONTAINERD.programs().collect();
        assert_eq!(programs, ["containerd", "containerd-shim-runc-v2", "ctr"]);
    }
}
