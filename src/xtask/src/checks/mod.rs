//! What CI runs: `cargo xtask test`.

mod chart;
mod code;
pub mod e2e;
mod house;
mod report;
mod schemas;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::home::Home;
use crate::lock::CacheLock;
use crate::toolbox::{self, table};
use crate::{cargo, harness, process, ui, up};

use report::Report;

/// One stage of `cargo xtask test`, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Check {
    /// Names at the top level, lengths of files.
    House,
    /// rustfmt.
    Format,
    /// clippy, where warnings are errors.
    Clippy,
    /// CRDs, RBAC and golden renders are up to date.
    Generated,
    /// helm lint, refused values, schemas of Kubernetes.
    Chart,
    /// gofmt, vet and tests of the Go modules.
    Go,
    /// All tests that need no cluster.
    Unit,
    /// A short set of faults between the operator and an API server; not with `--fast`.
    Faults,
    /// The tests on the real cluster; not with `--fast`, and only if all else passed.
    Cluster,
}

impl Check {
    fn name(self) -> &'static str {
        match self {
            Self::House => "house",
            Self::Format => "format",
            Self::Clippy => "clippy",
            Self::Generated => "generated",
            Self::Chart => "chart",
            Self::Go => "go",
            Self::Unit => "unit",
            Self::Faults => "faults",
            Self::Cluster => "cluster",
        }
    }

    fn run(self, home: &Home) -> Result<()> {
        match self {
            Self::House => house::check(home),
            Self::Format => code::format(home),
            Self::Clippy => code::lint(home),
            Self::Generated => generated_now(home, true),
            Self::Chart => chart::check(home),
            Self::Go => code::go_modules(home),
            Self::Unit => code::unit_tests(home),
            Self::Faults => harness::fault_short(home),
            Self::Cluster => e2e::run_all(home),
        }
    }
}

/// Runs the named checks, or every one; with `fast` none that needs the cluster.
pub fn all(home: &Home, fast: bool, only: &[Check]) -> Result<()> {
    let lock = CacheLock::take(home)?;
    up::tools(home, |stage| {
        toolbox::for_build(home, stage)?;
        toolbox::for_tests(home, stage)?;
        toolbox::for_chart(home, stage)?;
        table::KUBECONFORM.ensure(home, stage)
    })?;
    drop(lock);

    let mut report = Report::default();
    for check in Check::value_variants()
        .iter()
        .filter(|check| only.is_empty() || only.contains(check))
    {
        match check {
            Check::Faults | Check::Cluster if fast => {}
            Check::Faults | Check::Cluster => report.stage_if_green(check.name(), || check.run(home)),
            _ => report.stage(check.name(), || check.run(home)),
        }
    }
    report.finish()
}

/// Brings the generated files up to date, or fails when they are not.
pub fn generated(home: &Home, check: bool) -> Result<()> {
    let lock = CacheLock::take(home)?;
    up::tools(home, |stage| toolbox::for_chart(home, stage))?;
    drop(lock);
    generated_now(home, check)
}

fn generated_now(home: &Home, check: bool) -> Result<()> {
    let mut generate = cargo::command(home);
    generate.args([
        "run",
        "--quiet",
        "--locked",
        "--package",
        "atelier-api",
        "--bin",
        "atelier-gen",
        "--",
    ]);
    if check {
        generate.arg("--check");
    }
    process::pass(generate.arg("--root").arg(&home.repo))?;
    let stale = chart::goldens(home, check)?;
    for path in &stale {
        ui::say(&format!(
            "{}{}",
            if check { "out of date: " } else { "wrote " },
            path.display()
        ));
    }
    if check && !stale.is_empty() {
        bail!("generated files are out of date: run `cargo xtask gen` and look at the difference");
    }
    Ok(())
}
