//! The installation that all cases share.

use anyhow::Result;
use serde_json::json;
use tokio::sync::OnceCell;

use crate::settings::SYSTEM_NAMESPACE;
use crate::{checkout, helm, kubectl};

/// A Secret with a key that contents of the audit trail are encrypted with.
const KEYS: &str = "audit-content";

/// Turns the chart's own database on, which Rooms and ShadowDeployments take; the second time it does nothing.
pub async fn with_database() -> Result<()> {
    static DATABASE: OnceCell<()> = OnceCell::const_new();
    DATABASE.get_or_try_init(|| turn_on("")).await.copied()
}

/// The same, with an audit trail that keeps what is asked and answered, encrypted. All cases of a suite turn on the same.
pub async fn with_contents() -> Result<()> {
    static CONTENTS: OnceCell<()> = OnceCell::const_new();
    let keep = async || {
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": KEYS, "namespace": SYSTEM_NAMESPACE},
            "stringData": {"k1": "0a".repeat(32)},
        });
        kubectl::succeed(&["apply", "--filename", "-"], &secret.to_string()).await?;
        let content = format!(
            ",audit.content.mode=encrypted,audit.content.keysSecret.name={KEYS},audit.content.keysSecret.active=k1"
        );
        turn_on(&content).await
    };
    CONTENTS.get_or_try_init(keep).await.copied()
}

async fn turn_on(more: &str) -> Result<()> {
    let chart = checkout::root().join("charts/atelier");
    let values = format!("database.embedded.enabled=true,gateway.replicas=1{more}");
    helm::run(&[
        "upgrade",
        "atelier",
        &chart.to_string_lossy(),
        "--reuse-values",
        "--wait",
        // Other cases scale the gateways.
        "--force-conflicts",
        "--set",
        &values,
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
