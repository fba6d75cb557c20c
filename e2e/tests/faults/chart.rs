//! `helm upgrade` and `helm rollback` in place.

use anyhow::{Context, Result, ensure};
use atelier_e2e::settings::{self, SYSTEM_NAMESPACE};
use atelier_e2e::traffic::Traffic;
use atelier_e2e::{Model, checkout, model, with_namespace};
use tokio::process::Command;

use crate::ALONE;

/// Runs helm on the release that all cases share.
pub async fn helm(args: &[&str]) -> Result<String> {
    let output = Command::new(settings::helm_program()?)
        .args(args)
        .args(["--namespace", SYSTEM_NAMESPACE])
        .output()
        .await
        .context("failed to start helm")?;
    ensure!(
        output.status.success(),
        "helm {}: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test]
async fn upgrade_and_rollback_fail_no_request() -> Result<()> {
    let _alone = ALONE.lock().await;
    with_namespace("helm", async |namespace| {
        let model = Model::create(&namespace, "m", model::bundled()).await?;
        model.ready().await?;
        let version = model.version().await?;
        let pod = model.serving_pod().await?;
        let gateway = namespace.gateway().await?;
        let traffic = Traffic::start(&gateway, &model.address(), 2).await?;

        let chart = checkout::root().join("charts/atelier");
        let chart = chart.to_string_lossy();
        let annotate = "podAnnotations.example\\.com/upgrade=second";
        let (operator, front) = (format!("operator.{annotate}"), format!("gateway.{annotate}"));
        let upgrade = ["upgrade", "atelier", &chart, "--reuse-values", "--wait"];
        helm(&[&upgrade[..], &["--set-string", &operator, "--set-string", &front]].concat()).await?;
        traffic.answers(4).await?;
        helm(&["rollback", "atelier", "--wait"]).await?;
        traffic.answers(4).await?;
        traffic.stop_without_failure().await?;

        model.ready().await?;
        ensure!(
            model.version().await? == version && model.serving_pod().await? == pod,
            "the model was disturbed"
        );
        Ok(())
    })
    .await
}
