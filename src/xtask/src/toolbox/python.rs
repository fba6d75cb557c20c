//! Python packages that tests import, each in a directory of its own beside nothing else.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::home::{self, Home};
use crate::process;
use crate::ui::Stage;

/// A package that `pip install --target` fetches with all it needs.
#[derive(Clone, Copy, Debug)]
pub struct PythonPackage {
    /// Its name on PyPI.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// What we use it for.
    pub why: &'static str,
}

impl PythonPackage {
    /// What goes into `PYTHONPATH`. Compiled parts fit one version of Python only.
    pub fn dir(&self, home: &Home) -> Result<PathBuf> {
        let version = "import sys; print('%d.%d' % sys.version_info[:2])";
        let python = process::read(process::command("python3").args(["-c", version]))
            .context("failed to find Python: install python3 and put it on PATH")?;
        Ok(home.tool(&format!("python{}-{}", python.trim(), self.name), self.version))
    }

    /// Installs it unless it is there.
    pub fn ensure(&self, home: &Home, stage: &Stage) -> Result<()> {
        let dir = self.dir(home)?;
        if dir.is_dir() {
            return Ok(());
        }
        stage.note(&format!("{} {}: {} (pip install)", self.name, self.version, self.why));
        let work = home.fresh_work_dir(self.name)?;
        let mut install = process::command("python3");
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        install.args(["--root-user-action=ignore", "--target"]).arg(&work);
        install.arg(format!("{}=={}", self.name, self.version));
        process::run(stage, &mut install)?;
        home::publish_dir(&work, &dir)
    }
}
