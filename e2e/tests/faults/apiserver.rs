//! The apiserver killed under traffic.

use anyhow::{Context, Result, ensure};
use atelier_e2e::traffic::Traffic;
use atelier_e2e::{Model, model, settings, with_namespace};
use serde_json::json;
use tokio::process::Command;

use crate::ALONE;

#[tokio::test]
async fn a_restarted_apiserver_fails_no_request_and_changes_go_on() -> Result<()> {
    let _alone = ALONE.lock().await;
    with_namespace("apiserver", async |namespace| {
        let model = Model::create(&namespace, "m", model::bundled()).await?;
        model.ready().await?;
        let first = model.version().await?;
        let gateway = namespace.gateway().await?;
        let traffic = Traffic::start(&gateway, &model.address(), 2).await?;
        let status = Command::new(settings::cluster_program()?)
            .arg("signal")
            .arg("--dir")
            .arg(settings::cluster_dir()?)
            .args(["kube-apiserver", "KILL"])
            .status()
            .await
            .context("failed to start the cluster's program")?;
        ensure!(status.success(), "the apiserver could not be killed: {status}");
        traffic.answers(6).await?;
        // Refused until the apiserver is back.
        atelier_e2e::wait::until("the apiserver", async || {
            model
                .patch(json!({"spec": {"prompt": {"system": "Answer in one word."}}}))
                .await
                .map(Some)
        })
        .await?;
        model.ready().await?;
        ensure!(model.version().await? != first);
        traffic.answers(4).await?;
        traffic.stop_without_failure().await?;
        Ok(())
    })
    .await
}
