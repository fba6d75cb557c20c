//! The chart: linted, rendered for every file of values and compared with golden renders, refused
//! values, and schemas of Kubernetes.
//!
//! A file of values may begin with `# helm: OPTIONS` for helm, a file of bad values begins with
//! `# error: TEXT` that helm's error must contain.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::schemas;
use crate::home::{self, Home};
use crate::target::NAMESPACE;
use crate::toolbox::table;
use crate::{hash, process};

const CHART: &str = "charts/atelier";
const GOLDENS: &str = "charts/atelier/tests/goldens";
const VALUES: &str = "charts/atelier/tests/values";
const BAD_VALUES: &str = "charts/atelier/tests/bad-values";

/// Runs all checks of the chart but the golden renders, which are generated files.
pub fn check(home: &Home) -> Result<()> {
    has_our_version(home)?;
    for values in files(home, VALUES)? {
        let mut lint = helm(home, "lint");
        lint.arg("--strict")
            .arg(home.repo.join(CHART))
            .arg("--values")
            .arg(&values);
        process::read(&mut lint).with_context(|| format!("failed to lint the chart with {}", values.display()))?;
    }
    for values in files(home, BAD_VALUES)? {
        refuses(home, &values)?;
    }
    conforms(home)
}

/// The chart's version and the images' default tag are the workspace's version.
fn has_our_version(home: &Home) -> Result<()> {
    let path = home.repo.join(CHART).join("Chart.yaml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let ours = env!("CARGO_PKG_VERSION");
    for field in ["version", "appVersion"] {
        let found = yaml_field(&text, field);
        if found != Some(ours) {
            bail!(
                "{}: {field} is {found:?} and the workspace's version is {ours:?}",
                path.display()
            );
        }
    }
    Ok(())
}

/// A plain string at the top level of a YAML file.
fn yaml_field<'a>(text: &'a str, field: &str) -> Option<&'a str> {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(value.trim().trim_matches('"'))
}

/// Brings the golden renders up to date, or says which are not.
pub fn goldens(home: &Home, check: bool) -> Result<Vec<PathBuf>> {
    let mut stale = Vec::new();
    let mut known = Vec::new();
    for values in files(home, VALUES)? {
        let golden = home
            .repo
            .join(GOLDENS)
            .join(values.file_name().expect("a file has a name"));
        let rendered = render(home, &values)?;
        if std::fs::read_to_string(&golden).ok().as_deref() != Some(&rendered) {
            if !check {
                std::fs::write(&golden, rendered).with_context(|| format!("failed to write {}", golden.display()))?;
            }
            stale.push(golden.clone());
        }
        known.push(golden);
    }
    for orphan in files(home, GOLDENS)?.into_iter().filter(|file| !known.contains(file)) {
        if !check {
            std::fs::remove_file(&orphan).with_context(|| format!("failed to remove {}", orphan.display()))?;
        }
        stale.push(orphan);
    }
    Ok(stale)
}

fn helm(home: &Home, verb: &str) -> Command {
    let mut helm = process::command(table::HELM.program(home));
    helm.arg(verb);
    helm
}

fn files(home: &Home, dir: &str) -> Result<Vec<PathBuf>> {
    let files = hash::files(&home.repo.join(dir))?;
    if files.is_empty() {
        bail!("failed to check the chart: {dir} is empty");
    }
    Ok(files)
}

/// What follows `# <mark>:` on the first line.
fn first_line_note<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.lines()
        .next()?
        .strip_prefix("# ")?
        .strip_prefix(mark)?
        .strip_prefix(':')
        .map(str::trim)
}

/// The chart with its default values, rendered for the local cluster's version of Kubernetes.
fn defaults(home: &Home) -> Command {
    let mut template = helm(home, "template");
    template.arg("atelier").arg(home.repo.join(CHART));
    template.args(["--namespace", NAMESPACE, "--kube-version", table::KUBERNETES_VERSION]);
    template
}

fn template(home: &Home, values: &Path) -> Command {
    let mut template = defaults(home);
    template.arg("--values").arg(values);
    template
}

fn render(home: &Home, values: &Path) -> Result<String> {
    let text = std::fs::read_to_string(values).with_context(|| format!("failed to read {}", values.display()))?;
    let mut template = template(home, values);
    template.args(first_line_note(&text, "helm").unwrap_or_default().split_whitespace());
    process::read(&mut template).with_context(|| format!("failed to render the chart with {}", values.display()))
}

fn refuses(home: &Home, values: &Path) -> Result<()> {
    let shown = values.display();
    let text = std::fs::read_to_string(values).with_context(|| format!("failed to read {shown}"))?;
    let expected =
        first_line_note(&text, "error").with_context(|| format!("{shown} must begin with `# error: TEXT`"))?;
    let output = template(home, values).output().context("failed to start helm")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        bail!("the chart accepts {shown}, which it should refuse with {expected:?}");
    }
    if !said.contains(expected) {
        bail!("the chart refuses {shown} with\n{said}\nwhich does not contain {expected:?}");
    }
    Ok(())
}

/// Every object of every render fits the schemas of Kubernetes; so do the CRDs as the chart installs them.
fn conforms(home: &Home) -> Result<()> {
    let work = home.fresh_work_dir("chart")?;
    let with_crds = work.join("default.yaml");
    std::fs::write(&with_crds, process::read(&mut defaults(home))?)
        .with_context(|| format!("failed to write {}", with_crds.display()))?;
    let mut kubeconform = process::command(table::KUBECONFORM.program(home));
    kubeconform.args(["-strict", "-summary", "-schema-location", &schemas::ensure(home)?]);
    // Not a kind of Kubernetes: it belongs to the Prometheus operator.
    kubeconform.args(["-skip", "PodMonitor"]);
    kubeconform.arg(&with_crds).args(files(home, GOLDENS)?);
    let output = kubeconform.output().context("failed to start kubeconform")?;
    if !output.status.success() {
        bail!(
            "the rendered chart does not fit the schemas of Kubernetes:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    home::remove_dir(&work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_top_level_fields_are_read() {
        let text = "name: a\nversion: 0.1.0\nappVersion: \"0.2.0\"\ndependencies:\n  - version: 9\n";
        assert_eq!(yaml_field(text, "version"), Some("0.1.0"));
        assert_eq!(yaml_field(text, "appVersion"), Some("0.2.0"));
        assert_eq!(yaml_field(text, "kubeVersion"), None);
    }

    #[test]
    fn notes_stand_on_the_first_line() {
        assert_eq!(first_line_note("# helm: --a=b\nx: 1\n", "helm"), Some("--a=b"));
        assert_eq!(first_line_note("x: 1\n# helm: --a=b\n", "helm"), None);
        assert_eq!(first_line_note("# A comment: more\n", "error"), None);
        assert_eq!(first_line_note("", "error"), None);
    }
}
