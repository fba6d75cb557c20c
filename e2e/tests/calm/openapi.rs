//! The gateway against its own description.

use anyhow::{Context, Result, ensure};
use api::conditions::types;
use atelier_e2e::hosted::{Hosted, let_the_gateway_read};
use atelier_e2e::{Model, settings, wait, with_namespace};
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use tokio::process::Command;

const KEY: &str = "sk-of-this-test";
/// Requests for each operation and phase.
const EXAMPLES: &str = "50";

#[tokio::test]
#[ignore = "fetches a package of others: cargo xtask e2e calm --peers --case otherwise_than_described"]
async fn nothing_is_answered_otherwise_than_described() -> Result<()> {
    with_namespace("openapi", async |namespace| {
        let hosted = Hosted::start(KEY).await?;
        let_the_gateway_read(&namespace).await?;
        let secret = json!({"metadata": {"name": "keys"}, "stringData": {"api": KEY}});
        namespace.create_object::<Secret>(secret).await?;
        let model = Model::create(&namespace, "described", hosted.spec()).await?;
        model.condition(types::READY, "True", "Serving").await?;
        let gateway = namespace.gateway().await?;
        wait::until("the model to answer", async || {
            let (status, _) = gateway.chat(&model.address(), "Hello").await?;
            Ok(status.is_success().then_some(()))
        })
        .await?;

        let script = include_str!("../../../src/gateway/src/process_tests/openapi/schemathesis.py");
        let existing = json!({"chat": {"model": model.address()}});
        let output = Command::new("python3")
            .args(["-c", script])
            .env("PYTHONPATH", settings::schemathesis_package()?)
            .env("URL", settings::gateway_url()?)
            .env("TOKEN", gateway.token())
            .env("EXISTING", existing.to_string())
            .env("EXAMPLES", EXAMPLES)
            .env("NO_PROXY", "*")
            .output()
            .await
            .context("failed to start python3")?;
        let told = String::from_utf8_lossy(&output.stdout);
        let more = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success() && told.trim_end().ends_with("all good"),
            "{told}{more}"
        );
        Ok(())
    })
    .await
}
