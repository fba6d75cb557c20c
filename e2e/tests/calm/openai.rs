//! OpenAI's own Python client, unmodified.

use anyhow::{Context, Result, ensure};
use atelier_e2e::{Model, model, settings, with_namespace};
use tokio::process::Command;

#[tokio::test]
async fn the_python_client_lists_chats_streams_and_completes() -> Result<()> {
    with_namespace("openai", async |namespace| {
        let model = Model::create(&namespace, "m", model::bundled()).await?;
        model.ready().await?;
        let gateway = namespace.gateway().await?;
        let output = Command::new("python3")
            .args(["-c", include_str!("openai_client.py")])
            .env("PYTHONPATH", settings::openai_package()?)
            .env("OPENAI_BASE_URL", format!("{}/v1", settings::gateway_url()?))
            .env("OPENAI_API_KEY", gateway.token())
            .env("MODEL", model.address())
            .env("NO_PROXY", "*")
            .output()
            .await
            .context("failed to start python3")?;
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{stdout}{stderr}");
        ensure!(stdout.trim_end().ends_with("all good"), "{stdout}{stderr}");
        Ok(())
    })
    .await
}
