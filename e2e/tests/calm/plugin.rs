//! The plugin of kubectl.

use anyhow::{Result, ensure};
use atelier_e2e::{Model, model, namespace, plugin, with_namespace};
use serde_json::json;

#[tokio::test]
async fn the_plugin_chats_shows_the_history_and_rolls_back() -> Result<()> {
    with_namespace("plugin", async |namespace| {
        let model = Model::create(&namespace, "m", model::bundled()).await?;
        model.ready().await?;
        let first = model.version().await?;
        // Another version that says the same.
        model
            .patch(json!({"spec": {"engine": {"atelier": {"maxQueue": 32}}}}))
            .await?;
        model.ready().await?;
        let second = model.version().await?;
        model.settled().await?;

        let of = ["m", "--namespace", &namespace.name];
        let asked = [
            "--service-account",
            namespace::ASKER,
            "--temperature",
            "0",
            "Name the capital city of France.",
        ];
        let answer = plugin::succeed(&[&["chat"][..], &of, &asked].concat()).await?;
        ensure!(answer.contains("Paris"), "{answer}");
        let history = plugin::succeed(&[&["versions"][..], &of].concat()).await?;
        let line = |version: &str| history.lines().find(|line| line.contains(version)).unwrap_or_default();
        ensure!(
            line(&second).starts_with('*') && line(&second).contains("Serving"),
            "{history}"
        );
        ensure!(
            line(&first).contains("Retired") && line(&first).contains("sha256:"),
            "{history}"
        );

        let rollback = [&["rollback"][..], &of].concat();
        let told = plugin::succeed(&rollback).await?;
        ensure!(told.contains(&format!("spec:\n  version: {first}\n")), "{told}");
        ensure!(model.get().await?.spec.version.is_none(), "it was done without --yes");
        let unknown = plugin::run(&[&rollback[..], &["v-0000000000"]].concat()).await?;
        ensure!(!unknown.success && unknown.stderr.contains(&second), "{unknown:?}");

        plugin::succeed(&[&rollback[..], &["--yes"]].concat()).await?;
        model.ready().await?;
        ensure!(model.version().await? == first, "the first version did not come back");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn without_a_database_the_plugin_says_what_to_set() -> Result<()> {
    with_namespace("no-database", async |_| {
        let output = plugin::run(&["audit", "verify"]).await?;
        ensure!(
            !output.success && output.stderr.contains("database.embedded.enabled"),
            "{output:?}"
        );
        let output = plugin::run(&["audit", "verify", "--namespace", "default"]).await?;
        ensure!(
            !output.success && output.stderr.contains("no gateway runs"),
            "{output:?}"
        );
        Ok(())
    })
    .await
}
