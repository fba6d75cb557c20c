//! `cargo xtask fault`: the operator against an API server that misbehaves.
//!
//! Each run has a namespace, a proxy and an operator of its own on one control plane. What it leads to is compared
//! with a run of the same scenario without faults, and that one with a fresh model of the final spec.

mod oracle;
mod ready;
mod run;
mod scenario;
mod state;
mod world;

use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
    str::FromStr,
    time::Instant,
};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum as _};
use fault_proxy::Plan;
use futures::{StreamExt as _, stream};

use crate::{control_plane::ControlPlane, kubelet::Kubelet};
use run::{Outcome, Run};
pub use scenario::Scenario;

/// What to try. Without any of these: a crash after each write of every scenario, and a hundred seeds.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Only these scenarios.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub scenario: Vec<Scenario>,
    /// The faults of this seed.
    #[arg(long)]
    pub seed: Option<u64>,
    /// The faults of these seeds, e.g. `0..100`; each goes with one of the scenarios.
    #[arg(long)]
    pub seeds: Option<Seeds>,
    /// A crash after each write.
    #[arg(long)]
    pub kills: bool,
    /// These very faults: `write 3: kill, read 7: stale`.
    #[arg(long)]
    pub plan: Option<Plan>,
    /// What CI does: crashes in create and update, and ten seeds.
    #[arg(long)]
    pub short: bool,
    /// Runs side by side: they wait more than they compute.
    #[arg(long, default_value_t = 10)]
    pub jobs: usize,
}

/// A range of seeds.
#[derive(Clone, Debug)]
pub struct Seeds(Range<u64>);

impl FromStr for Seeds {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (from, to) = text.split_once("..").context("write seeds like 0..100")?;
        let number = |text: &str| text.parse::<u64>().context("write seeds like 0..100");
        Ok(Self(number(from)?..number(to)?))
    }
}

/// What a campaign works with.
struct Campaign {
    plane: ControlPlane,
    operator: PathBuf,
    jobs: usize,
}

/// Tries what the options say.
///
/// # Errors
/// When an oracle does not hold, or something beside the operator fails.
pub async fn run(program: &Path, crds: &Path, operator: &Path, options: &Options) -> Result<()> {
    let begun = Instant::now();
    let plane = ControlPlane::start(program, crds).await?;
    let _kubelet = Kubelet::start(plane.admin.clone());
    let mut campaign = Campaign {
        plane,
        operator: operator.to_owned(),
        jobs: options.jobs,
    };
    let scenarios = options.scenarios();
    let (calm, mut failures) = campaign.without_faults(&scenarios).await?;
    let runs = options.runs(&scenarios, &calm);
    let count = runs.len();
    failures.extend(campaign.with_faults(runs, &calm).await);
    let seconds = begun.elapsed().as_secs();
    if failures.is_empty() {
        println!(
            "all oracles hold: {count} runs with faults in {} scenarios, {seconds} s",
            scenarios.len()
        );
        return Ok(());
    }
    let logs = campaign.plane.keep_logs().display().to_string();
    for failure in &failures {
        println!("\n{failure}");
    }
    bail!(
        "{} of {count} runs with faults failed ({seconds} s); logs are in {logs}",
        failures.len()
    )
}

impl Options {
    fn scenarios(&self) -> Vec<Scenario> {
        if self.short && self.scenario.is_empty() {
            return vec![Scenario::Create, Scenario::Update, Scenario::Recreate];
        }
        if self.scenario.is_empty() {
            return Scenario::value_variants().to_vec();
        }
        self.scenario.clone()
    }

    fn runs(&self, scenarios: &[Scenario], calm: &BTreeMap<Scenario, Outcome>) -> Vec<Run> {
        let everything = !self.kills && self.seed.is_none() && self.seeds.is_none() && self.plan.is_none();
        let mut runs = Vec::new();
        if let Some(plan) = &self.plan {
            runs.extend(scenarios.iter().map(|scenario| Run {
                scenario: *scenario,
                plan: plan.clone(),
                seed: None,
            }));
        }
        if self.kills || everything {
            let crashed = scenarios
                .iter()
                .filter(|scenario| !self.short || matches!(scenario, Scenario::Create | Scenario::Update));
            for scenario in crashed {
                let writes = calm.get(scenario).map_or(0, |outcome| outcome.writes.len());
                runs.extend((1..=writes).filter_map(|k| {
                    Some(Run {
                        scenario: *scenario,
                        plan: Plan::kill(u32::try_from(k).ok()?),
                        seed: None,
                    })
                }));
            }
        }
        let seeds = match (&self.seed, &self.seeds) {
            (Some(seed), _) => *seed..seed + 1,
            (None, Some(Seeds(range))) => range.clone(),
            (None, None) if everything && self.short => 0..10,
            (None, None) if everything => 0..100,
            (None, None) => 0..0,
        };
        runs.extend(seeds.map(|seed| {
            let index = usize::try_from(seed).unwrap_or_default() % scenarios.len();
            Run {
                scenario: scenarios[index],
                plan: Plan::of_seed(seed),
                seed: Some(seed),
            }
        }));
        runs
    }
}

impl Campaign {
    /// What scenarios lead to when nothing goes wrong; and where that differs from a fresh model.
    async fn without_faults(&self, scenarios: &[Scenario]) -> Result<(BTreeMap<Scenario, Outcome>, Vec<String>)> {
        let outcomes: Vec<_> = stream::iter(scenarios)
            .map(|scenario| async move {
                let run = Run {
                    scenario: *scenario,
                    plan: Plan::default(),
                    seed: None,
                };
                let namespace = format!("calm-{}", scenario.name());
                let outcome = run.play(&self.plane, &self.operator, &namespace).await;
                let outcome = outcome.with_context(|| format!("failed to play {} without faults", scenario.name()))?;
                let mut wrong = oracle::of_itself(&outcome);
                if let Some(spec) = scenario.equals() {
                    let namespace = format!("fresh-{}", scenario.name());
                    let fresh = run::fresh(&self.plane, &self.operator, &namespace, spec).await?;
                    wrong.extend(oracle::another_way(&fresh, &outcome));
                }
                println!("{}: {} writes", scenario.name(), outcome.writes.len());
                anyhow::Ok((*scenario, outcome, wrong))
            })
            .buffer_unordered(self.jobs)
            .collect()
            .await;
        let (mut calm, mut failures) = (BTreeMap::new(), Vec::new());
        for outcome in outcomes {
            let (scenario, outcome, wrong) = outcome?;
            if !wrong.is_empty() {
                failures.push(format!("{} without faults:\n  {}", scenario.name(), wrong.join("\n  ")));
            }
            calm.insert(scenario, outcome);
        }
        Ok((calm, failures))
    }

    async fn with_faults(&self, runs: Vec<Run>, calm: &BTreeMap<Scenario, Outcome>) -> Vec<String> {
        let failures = stream::iter(runs.into_iter().enumerate())
            .map(|(index, run)| async move {
                let begun = Instant::now();
                let namespace = format!("run-{index}");
                let outcome = run.play(&self.plane, &self.operator, &namespace).await;
                let wrong = match (&outcome, calm.get(&run.scenario)) {
                    (Ok(outcome), Some(expected)) => oracle::faults(run.scenario, expected, outcome),
                    (Ok(_), None) => vec!["there is nothing to compare it with".to_owned()],
                    (Err(error), _) => vec![format!("{error:#}")],
                };
                let verdict = if wrong.is_empty() { "ok" } else { "FAILED" };
                let seed = run.seed.map(|seed| format!("seed {seed}, ")).unwrap_or_default();
                let seconds = begun.elapsed().as_secs_f64();
                println!(
                    "{}: {seed}{}: {verdict} ({seconds:.1} s{})",
                    run.scenario.name(),
                    run.plan,
                    told(&outcome)
                );
                (!wrong.is_empty()).then(|| describe(&run, &outcome, &wrong))
            })
            .buffer_unordered(self.jobs)
            .collect::<Vec<_>>()
            .await;
        failures.into_iter().flatten().collect()
    }
}

/// What of the plan happened, for the line of a run.
fn told(outcome: &Result<Outcome>) -> String {
    match outcome {
        Ok(outcome) => format!(
            ", {} faults, {} restarts, {} idempotent applies",
            outcome.fired.len(),
            outcome.restarts,
            outcome.updates
        ),
        Err(_) => String::new(),
    }
}

fn describe(run: &Run, outcome: &Result<Outcome>, wrong: &[String]) -> String {
    let mut text = format!("{}\nplan: {}\n  {}", run.command(), run.plan, wrong.join("\n  "));
    if let Ok(outcome) = outcome {
        let writes = outcome.writes.join("\n    ");
        text.push_str(&format!("\n  writes:\n    {writes}\n  log: {}", outcome.log.display()));
    }
    text
}
