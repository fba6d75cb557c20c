//! Adapters that come and go while their model serves.

use anyhow::{Context, Result, ensure};
use atelier_e2e::forward::Forward;
use atelier_e2e::volume::{CLAIM, Volume};
use atelier_e2e::{Model, adapter, model, settings, with_namespace};
use k8s_openapi::api::core::v1::Pod;
use protocol::ports::WORKER_ADMIN;
use reqwest::StatusCode;
use serde_json::json;

const QUESTION: &str = "Name the capital city of France.";

#[tokio::test]
async fn two_adapters_are_loaded_while_their_model_serves() -> Result<()> {
    with_namespace("adapters", async |namespace| {
        let dir = tempfile::tempdir().context("failed to create a directory")?;
        std::fs::copy(settings::model_file()?, dir.path().join("model.gguf")).context("failed to copy the model")?;
        adapter::write(&dir.path().join("adapters/quiet"), 0.0)?;
        adapter::write(&dir.path().join("adapters/loud"), 1.0)?;
        let volume = Volume::create(&namespace, dir).await?;
        let source = json!({"persistentVolumeClaim": {"claimName": CLAIM, "path": "model.gguf"}});
        let model = Model::create(&namespace, "m", model::with_source(source)).await?;
        model.ready().await?;
        let gateway = namespace.gateway().await?;
        let base = gateway.ask(&model.address(), QUESTION).await?;
        ensure!(base.contains("Paris"), "{base}");
        let address = model.address();
        let (quiet, loud) = (format!("{address}:quiet"), format!("{address}:loud"));
        let (status, body) = gateway.chat(&quiet, QUESTION).await?;
        ensure!(status == StatusCode::NOT_FOUND, "{status}: {body}");

        let pod = model.serving_pod().await?;
        let admin = Forward::start(&namespace.name, &pod, WORKER_ADMIN).await?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        let adapters = format!("{}/admin/adapters", admin.url);
        for name in ["quiet", "loud"] {
            let body = json!({"name": name, "path": format!("/model/adapters/{name}")});
            let response = http.post(&adapters).body(body.to_string()).send().await?;
            let status = response.status();
            ensure!(status.is_success(), "{status}: {}", response.text().await?);
        }
        // At the same time, each with its own weights.
        let (plain, as_quiet, as_loud) = tokio::try_join!(
            gateway.ask(&address, QUESTION),
            gateway.ask(&quiet, QUESTION),
            gateway.ask(&loud, QUESTION),
        )?;
        ensure!(
            plain == base && as_quiet == base,
            "{base:?}, {plain:?} and {as_quiet:?}"
        );
        ensure!(as_loud != base, "the adapter changes nothing: {as_loud:?}");

        let response = http.delete(format!("{adapters}/loud")).send().await?;
        ensure!(response.status().is_success(), "{}", response.status());
        let (status, body) = gateway.chat(&loud, QUESTION).await?;
        ensure!(status == StatusCode::NOT_FOUND, "{status}: {body}");
        ensure!(gateway.ask(&quiet, QUESTION).await? == base);

        ensure!(model.serving_pod().await? == pod, "the pod was replaced");
        let pod: Pod = namespace.api::<Pod>().get(&pod).await?;
        let restarts = pod
            .status
            .and_then(|status| status.container_statuses)
            .unwrap_or_default();
        ensure!(
            restarts.iter().all(|container| container.restart_count == 0),
            "{restarts:?}"
        );
        namespace.delete_model("m").await?;
        volume.delete(&namespace).await
    })
    .await
}
