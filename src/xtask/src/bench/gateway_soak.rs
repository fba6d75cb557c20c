//! Gateways under load for long, while they are killed in turns.

use anyhow::{Context, Result};
use serde::Deserialize;

use super::report::Row;
use crate::home::Home;
use crate::ui::Stage;
use crate::{harness, process};

/// What `atelier-harness gateway-soak` prints; times in seconds.
#[derive(Clone, Debug, Deserialize)]
struct Figures {
    rate: f64,
    answered: f64,
    retried: f64,
    failed: f64,
    kills: f64,
    lost_rows: f64,
    without_end: f64,
    p50: f64,
    p99: f64,
    resident: Vec<f64>,
    verdict: String,
}

/// Measures for `minutes`.
pub fn run(home: &Home, stage: &Stage, minutes: u64) -> Result<Vec<Row>> {
    let mut command = harness::beside_gateway(home, stage, "gateway-soak")?;
    command.arg("--minutes").arg(minutes.to_string());
    stage.status(&format!("{minutes} minutes"));
    let text = process::read(&mut command)?;
    rows(&serde_json::from_str(&text).context("failed to read the harness's figures")?)
}

fn rows(figures: &Figures) -> Result<Vec<Row>> {
    let memory = &figures.resident;
    let quarter = (memory.len() / 4).max(1);
    let mean = |samples: &[f64]| samples.iter().sum::<f64>() / samples.len() as f64;
    let first = memory.get(..quarter).context("too short to see memory grow")?;
    let last = &memory[memory.len() - quarter..];
    let count = |id, count, note: &str| Row::new(id, "requests", &[count], note);
    Ok(vec![
        Row::new(
            "rate",
            "requests/s",
            &[figures.rate],
            "70 % of what three gateways on one core can take",
        ),
        count("answered", figures.answered, "strict audit"),
        Row::new("kills", "gateways", &[figures.kills], "kill -9, two of three in turns"),
        count(
            "retried",
            figures.retried,
            "tries that failed, and were followed by another elsewhere",
        ),
        count("failed", figures.failed, "the last of three tries failed; goal 0"),
        Row::new(
            "lost_rows",
            "rows",
            &[figures.lost_rows],
            format!("answers without an audit row; goal 0; {}", figures.verdict),
        ),
        Row::new(
            "without_end",
            "rows",
            &[figures.without_end],
            "answers whose gateway was killed before it had written how they ended",
        ),
        Row::new(
            "p50",
            "us",
            &[figures.p50 * 1e6],
            "from when a request was due, tries included",
        ),
        Row::new(
            "p99",
            "us",
            &[figures.p99 * 1e6],
            "from when a request was due, tries included",
        ),
        Row::new(
            "rss",
            "bytes",
            memory,
            "the gateway that is not killed, after the first minute",
        ),
        Row::new(
            "rss_growth",
            "times",
            &[mean(last) / mean(first)],
            "last quarter over the first; goal <= 1.02",
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_harness_s_figures_are_read() {
        let text = r#"{"rate":1000.0,"answered":5,"retried":1,"failed":0,"kills":2,"lost_rows":0,"without_end":1,
            "p50":0.001,"p99":0.002,"resident":[100.0,100.0,100.0,101.0],"verdict":"sound"}"#;
        let rows = serde_json::to_value(rows(&serde_json::from_str(text).unwrap()).unwrap()).unwrap();
        assert_eq!(rows[7]["ours"]["median"], 1000.0);
        assert_eq!(rows[10]["ours"]["median"], 1.01);
    }
}
