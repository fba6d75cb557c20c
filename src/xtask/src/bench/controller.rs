//! The operator with many models, beside the Deployment controller on the same API server.

use anyhow::{Context, Result};
use serde::Deserialize;

use super::report::{Peer, Row};
use crate::home::Home;
use crate::toolbox::table::KUBERNETES_VERSION;
use crate::ui::Stage;
use crate::{harness, process};

/// What we compare with: it makes a ReplicaSet for each Deployment as we make a Deployment, and more, for each model.
const PEER: Peer = Peer {
    name: "deployment-controller",
    version: KUBERNETES_VERSION,
};

/// What `atelier-harness scale --json` prints.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Figures {
    objects: u32,
    peer_seconds: f64,
    children_seconds: f64,
    idle_writes_per_minute: f64,
    idle_bytes: f64,
    resident_bytes: f64,
    restart_seconds: f64,
    change_p99_seconds: f64,
}

/// Measures with a thousand models and with five thousand, each on a control plane of its own.
pub fn run(home: &Home, stage: &Stage) -> Result<Vec<Row>> {
    let few = measure(home, stage, 1000)?;
    let many = measure(home, stage, 5000)?;
    Ok(rows(few, many))
}

fn measure(home: &Home, stage: &Stage, objects: u32) -> Result<Figures> {
    let mut command = harness::command(home, stage, "scale")?;
    stage.status(&format!("{objects} models, a few minutes"));
    let text = process::read(command.args(["--json", "--objects", &objects.to_string()]))?;
    serde_json::from_str(&text).context("failed to read the harness's figures")
}

fn rows(few: Figures, many: Figures) -> Vec<Row> {
    let rate = |figures: Figures| f64::from(figures.objects) / figures.children_seconds;
    let peer = |figures: Figures| f64::from(figures.objects) / figures.peer_seconds;
    let slowdown = rate(few) / rate(many);
    let from = "from apply to all Deployments, after a prepare Job each";
    vec![
        Row::new("objects_1000", "models/s", &[rate(few)], format!("{from}; goal >= 35")).against(PEER, &[peer(few)]),
        Row::new(
            "objects_5000",
            "models/s",
            &[rate(many)],
            format!("{from}; {slowdown:.2} times as long for each as with 1,000, goal <= 1.5"),
        )
        .against(PEER, &[peer(many)]),
        Row::new(
            "idle_writes",
            "writes",
            &[few.idle_writes_per_minute],
            "of anybody in a minute with 1,000 models, Leases aside; goal 0",
        ),
        Row::new(
            "operator_rss",
            "bytes",
            &[few.idle_bytes],
            "without models; goal < 60 MB",
        ),
        Row::new(
            "rss_1000",
            "bytes",
            &[few.resident_bytes],
            "with 1,000 models; goal < 30 MB more than without",
        ),
        Row::new(
            "restart_1000",
            "s",
            &[few.restart_seconds],
            "from the start of the operator to the end of its first pass over 1,000 models; goal <= 10",
        ),
        Row::new(
            "change_p99",
            "s",
            &[few.change_p99_seconds],
            "from a change to its Deployment under 100 changes a second; goal <= 1",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_harness_s_figures_are_read() {
        let text = r#"{"objects":1000,"peer_seconds":10.0,"children_seconds":20.0,"ready_seconds":22.0,
            "idle_writes_per_minute":0.0,"idle_bytes":1,"resident_bytes":2,"restart_seconds":3.0,
            "change_median_seconds":0.1,"change_p99_seconds":0.5}"#;
        let figures: Figures = serde_json::from_str(text).unwrap();
        let rows = serde_json::to_value(rows(figures, figures)).unwrap();
        assert_eq!(rows[0]["id"], "objects_1000");
        assert_eq!(rows[0]["ours"]["median"], 50.0);
        assert_eq!(rows[0]["ratio"], 0.5);
    }
}
