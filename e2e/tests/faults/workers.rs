//! A worker killed while it answers.

use anyhow::{Result, ensure};
use atelier_e2e::{Model, model, with_namespace};
use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;

use crate::ALONE;

#[tokio::test]
async fn a_stream_from_a_killed_worker_ends_with_an_error() -> Result<()> {
    let _alone = ALONE.lock().await;
    with_namespace("worker-killed", async |namespace| {
        let mut spec = model::bundled();
        // Long enough that the answer is not complete before the pod is gone.
        spec["engine"]["atelier"]["contextLength"] = 4096.into();
        let model = Model::create(&namespace, "m", spec).await?;
        model.ready().await?;
        let gateway = namespace.gateway().await?;
        let pod = model.serving_pod().await?;
        let mut stream = gateway
            .open_stream(&model.address(), "Write a long story about the sea.", 3800)
            .await?;
        while stream.seen.text.is_empty() {
            ensure!(stream.next().await?, "the stream ended early: {:?}", stream.seen);
        }
        let at_once = DeleteParams::default().grace_period(0);
        namespace.api::<Pod>().delete(&pod, &at_once).await?;
        // It ends, whatever the last read says.
        while stream.next().await.unwrap_or(false) {}
        ensure!(
            stream.seen.finish_reason.is_none(),
            "the answer was complete before the kill: {:?}",
            stream.seen
        );
        ensure!(
            stream.seen.error.is_some(),
            "the client was told nothing: {:?}",
            stream.seen
        );

        model.ready().await?;
        model.serving_pod().await?;
        let answer = atelier_e2e::wait::until("an answer from the new pod", async || {
            gateway
                .ask(&model.address(), "Name the capital city of France.")
                .await
                .map(Some)
        })
        .await?;
        ensure!(answer.contains("Paris"), "{answer}");
        Ok(())
    })
    .await
}
