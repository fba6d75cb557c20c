//! The gateway beside Envoy and LiteLLM, one core each, on the same upstream in the same call.

use anyhow::{Context, Result};
use serde::Deserialize;

use super::report::{Peer, Row};
use crate::home::Home;
use crate::toolbox::{postgres, table};
use crate::ui::Stage;
use crate::{cargo, harness, process};

const ENVOY: Peer = Peer {
    name: "envoy",
    version: table::ENVOY.version,
};
const LITELLM: Peer = Peer {
    name: "litellm",
    version: table::LITELLM_PROXY.version,
};

/// What `atelier-harness gateway` prints; times in seconds.
#[derive(Clone, Debug, Deserialize)]
struct Figures {
    ours: Side,
    envoy: Side,
    litellm_rate: Vec<f64>,
    stream_event_seconds: Vec<f64>,
    streams: u32,
    streams_bytes: f64,
    full: Side,
    strict: Side,
}

#[derive(Clone, Debug, Deserialize)]
struct Side {
    added_p50: Vec<f64>,
    added_p99: Vec<f64>,
    rate: Vec<f64>,
}

/// Measures.
pub fn run(home: &Home, stage: &Stage) -> Result<Vec<Row>> {
    table::ENVOY.ensure(home, stage)?;
    table::LITELLM_PROXY.ensure(home, stage)?;
    postgres::ensure(home, stage)?;
    let [gateway] = <[_; 1]>::try_from(cargo::release(home, stage, &["atelier-gateway"])?)
        .ok()
        .context("cargo built another number of programs")?;
    let harness = harness::command(home, stage, "gateway")?;
    // Thousands of streams are as many open files, and load must not run where the gateways do.
    let mut command = process::command("sh");
    command.args([
        "-c",
        "ulimit -n \"$(ulimit -Hn)\" && exec taskset --cpu-list 1 \"$@\"",
        "sh",
    ]);
    command.arg(harness.get_program()).args(harness.get_args());
    command.env(postgres::VARIABLE, postgres::bin(home));
    command.arg("--gateway").arg(gateway);
    command
        .arg("--envoy")
        .arg(table::ENVOY.dir(home)?.join(table::ENVOY_PROGRAM));
    command.arg("--litellm").arg(table::LITELLM_PROXY.dir(home)?);
    stage.status("a few minutes");
    let text = process::read(&mut command)?;
    Ok(rows(
        serde_json::from_str(&text).context("failed to read the harness's figures")?,
    ))
}

fn rows(figures: Figures) -> Vec<Row> {
    let Figures { ours, envoy, .. } = figures;
    let micros = |seconds: &[f64]| seconds.iter().map(|it| it * 1e6).collect::<Vec<_>>();
    let load = "1,000 requests/s of 1 KB, over 32 connections, from when each was due";
    let flat_out = "32 connections, each with one request after the other; the gateway on one core";
    vec![
        Row::new(
            "added_p50_1krps",
            "us",
            &micros(&ours.added_p50),
            format!("{load}; goal <= 1.5 x Envoy"),
        )
        .against(ENVOY, &micros(&envoy.added_p50)),
        Row::new(
            "added_p99_1krps",
            "us",
            &micros(&ours.added_p99),
            format!("{load}; goal <= 1.5 x Envoy"),
        )
        .against(ENVOY, &micros(&envoy.added_p99)),
        Row::new(
            "saturation_core",
            "requests/s",
            &ours.rate,
            format!("{flat_out}; goal >= 0.5 x Envoy"),
        )
        .against(ENVOY, &envoy.rate),
        Row::new(
            "saturation_core_litellm",
            "requests/s",
            &ours.rate,
            format!("{flat_out}; goal >= 100 x LiteLLM"),
        )
        .against(LITELLM, &figures.litellm_rate),
        Row::new(
            "stream_token_us",
            "us",
            &micros(&figures.stream_event_seconds),
            "processor time for each event of 20 streams; goal < 20",
        ),
        Row::new(
            "open_streams",
            "bytes",
            &[figures.streams_bytes],
            format!("memory that {} open streams take; goal < 50 KB each", figures.streams),
        ),
        Row::new(
            "full_rate",
            "requests/s",
            &figures.full.rate,
            format!("{flat_out}, guardrails on, audit buffered; goal >= 5,000"),
        ),
        Row::new(
            "full_added_p99_1krps",
            "us",
            &micros(&figures.full.added_p99),
            format!("{load}, guardrails on, audit buffered; goal < 2,000"),
        ),
        Row::new(
            "strict_rate",
            "requests/s",
            &figures.strict.rate,
            "32 connections, audit strict, the database on the other core; goal >= 2,000",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_harness_s_figures_are_read() {
        let side = r#"{"added_p50":[0.0002],"added_p99":[0.001],"rate":[10000.0]}"#;
        let text = format!(
            r#"{{"ours":{side},"envoy":{side},"litellm_rate":[100.0],"stream_event_seconds":[0.00001],
                "streams":10000,"streams_bytes":1e8,"full":{side},"strict":{side}}}"#
        );
        let rows = serde_json::to_value(rows(serde_json::from_str(&text).unwrap())).unwrap();
        assert_eq!(
            (&rows[0]["ours"]["median"], &rows[0]["ratio"]),
            (&200.0.into(), &1.0.into())
        );
        assert_eq!(rows[3]["ratio"], 100.0);
        assert_eq!(rows[4]["ours"]["median"], 10.0);
    }
}
