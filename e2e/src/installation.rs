//! The installation that all cases share.

use anyhow::Result;
use tokio::sync::OnceCell;

use crate::settings::SYSTEM_NAMESPACE;
use crate::{checkout, helm, kubectl};

/// Turns the chart's own database on, which Rooms and ShadowDeployments take; the second time it does nothing.
pub async fn with_database() -> Result<()> {
    static DATABASE: OnceCell<()> = OnceCell::const_new();
    DATABASE.get_or_try_init(turn_on).await.copied()
}

async fn turn_on() -> Result<()> {
    let chart = checkout::root().join("charts/atelier");
    helm::run(&[
        "upgrade",
        "atelier",
        &chart.to_string_lossy(),
        "--reuse-values",
        "--wait",
        // Other cases scale the gateways.
        "--force-conflicts",
        "--set",
        "database.embedded.enabled=true,gateway.replicas=1",
    ])
    .await
    .map(drop)
}

/// Runs SQL in the chart's database as the one who owns it, and returns what it prints, without decoration.
pub async fn sql(statement: &str) -> Result<String> {
    let psql = [
        "psql",
        "--username=postgres",
        "--dbname=atelier",
        "--no-align",
        "--tuples-only",
        "--command",
        statement,
    ];
    let exec = ["--namespace", SYSTEM_NAMESPACE, "exec", "atelier-postgres-0", "--"];
    kubectl::succeed(&[&exec[..], &psql[..]].concat(), "").await
}
