//! System packages: installed with apt where we may, named clearly where we may not.

use std::path::Path;

use anyhow::{Result, bail};

use crate::process;
use crate::ui::Stage;

/// One Debian package and the thing we want out of it.
#[derive(Clone, Copy, Debug)]
pub struct Package {
    /// Name in Debian 12 and later.
    pub name: &'static str,
    /// How to see that it is there, whoever installed it.
    pub find: Find,
    /// What we use it for.
    pub why: &'static str,
}

/// A sign that a package is installed.
#[derive(Clone, Copy, Debug)]
pub enum Find {
    /// A program on `PATH` or in a system directory.
    Program(&'static str),
    /// A file at a fixed place.
    File(&'static str),
    /// A module that `python3 -m` runs.
    PythonModule(&'static str),
}

impl Find {
    fn is_there(self) -> bool {
        match self {
            Self::Program(name) => process::find(name).is_some(),
            Self::File(path) => Path::new(path).exists(),
            Self::PythonModule(name) => process::succeeds(process::command("python3").args(["-m", name, "--version"])),
        }
    }
}

/// Installs what is missing.
///
/// # Errors
/// Not root, or no apt: the error lists the packages to install by hand. Otherwise what apt said.
pub fn ensure(stage: &Stage, packages: &[Package]) -> Result<()> {
    let missing: Vec<&Package> = packages.iter().filter(|package| !package.find.is_there()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for package in &missing {
        stage.note(&format!("Debian package {}: {}", package.name, package.why));
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    if process::find("apt-get").is_none() {
        bail!(
            "failed to install {}: this system has no apt-get. Install what these Debian packages hold by hand and try again",
            names.join(" ")
        );
    }
    if !is_root() {
        bail!(
            "failed to install system packages without root: run `sudo apt-get install {}` and try again",
            names.join(" ")
        );
    }
    stage.status(&format!("apt-get install {}", names.join(" ")));
    let mut install = process::command("apt-get");
    install
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "--yes", "--no-install-recommends"])
        .args(&names);
    if process::run(stage, &mut install).is_ok() {
        return Ok(());
    }
    // Package lists may be missing or old (container images are shipped without): fetch them and try once more.
    process::run(stage, process::command("apt-get").arg("update"))?;
    process::run(stage, &mut install)
}

/// Whether this process may change the system.
pub fn is_root() -> bool {
    process::read(process::command("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
