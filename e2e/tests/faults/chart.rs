//! `helm upgrade` and `helm rollback` in place.

use anyhow::{Result, ensure};
use atelier_e2e::traffic::Traffic;
use atelier_e2e::{Model, checkout, helm, model, with_namespace};

use crate::ALONE;

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
        helm::run(&[&upgrade[..], &["--set-string", &operator, "--set-string", &front]].concat()).await?;
        traffic.answers(4).await?;
        helm::run(&["rollback", "atelier", "--wait"]).await?;
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
