//! What copies for ShadowDeployments cost the users whose requests are copied, and how fast pairs are scored.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use super::report::Row;
use crate::home::Home;
use crate::ui::Stage;
use crate::{cargo, harness, process};

/// Pairs that are scored.
const PAIRS: &str = "500";

/// What `atelier-harness gateway-shadow` prints; times in seconds.
#[derive(Clone, Debug, Deserialize)]
struct Figures {
    without: Side,
    well: Side,
    dead: Side,
    silent: Side,
    broken: Side,
    pairs: Vec<f64>,
}

#[derive(Clone, Debug, Deserialize)]
struct Side {
    p50: Vec<f64>,
    p99: Vec<f64>,
    spent: Vec<f64>,
}

/// Measures.
pub fn run(home: &Home, stage: &Stage) -> Result<Vec<Row>> {
    let mut command = harness::beside_gateway(home, stage, "gateway-shadow")?;
    stage.status("a few minutes");
    let text = process::read(&mut command)?;
    let mut rows = rows(&serde_json::from_str(&text).context("failed to read the harness's figures")?);
    rows.push(scored(home)?);
    Ok(rows)
}

fn rows(figures: &Figures) -> Vec<Row> {
    let micros = |seconds: &[f64]| seconds.iter().map(|it| it * 1e6).collect::<Vec<_>>();
    let load = "1,000 requests/s of 1 KB, one in ten copied; the gateway on one core, the database on the other";
    let mut rows = vec![
        Row::new("p50_without", "us", &micros(&figures.without.p50), "no copies"),
        Row::new("p99_without", "us", &micros(&figures.without.p99), "no copies"),
        Row::new(
            "spent_without",
            "us",
            &micros(&figures.without.spent),
            "processor time of the gateway for each request",
        ),
        Row::new(
            "pairs",
            "pairs/s",
            &figures.pairs,
            format!("{load}; the candidate is well"),
        ),
    ];
    for ([p50, p99, spent], side) in [
        (["added_p50_well", "added_p99_well", "added_spent_well"], &figures.well),
        (["added_p50_dead", "added_p99_dead", "added_spent_dead"], &figures.dead),
        (
            ["added_p50_silent", "added_p99_silent", "added_spent_silent"],
            &figures.silent,
        ),
        (
            ["added_p50_broken", "added_p99_broken", "added_spent_broken"],
            &figures.broken,
        ),
    ] {
        let added = |with: &[f64], without: &[f64]| -> Vec<f64> {
            with.iter()
                .zip(without)
                .map(|(with, without)| (with - without) * 1e6)
                .collect()
        };
        rows.push(Row::new(p50, "us", &added(&side.p50, &figures.without.p50), load));
        rows.push(Row::new(
            p99,
            "us",
            &added(&side.p99, &figures.without.p99),
            format!("{load}; goal < 50"),
        ));
        rows.push(Row::new(
            spent,
            "us",
            &added(&side.spent, &figures.without.spent),
            "processor time of the gateway for each request of a user, a tenth of a copy with it",
        ));
    }
    rows
}

/// All scorers but the judge, on one core.
fn scored(home: &Home) -> Result<Row> {
    let mut command = cargo::command(home);
    let example = [
        "run",
        "--release",
        "--quiet",
        "--locked",
        "--package",
        "atelier-shadow",
        "--example",
        "speed",
        "--",
        PAIRS,
    ];
    let text = process::read(command.args(example))?;
    let all: Value = text
        .lines()
        .next()
        .and_then(|line| serde_json::from_str(line).ok())
        .context("the example prints no JSON")?;
    let rate = all["pairs_per_second"].as_f64().context("the example prints no rate")?;
    Ok(Row::new(
        "scored",
        "pairs/s",
        &[rate],
        "all metrics but the judge, answers of 150 words; goal >= 100",
    ))
}
