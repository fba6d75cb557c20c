//! In the steady state nothing is written.

use std::time::Duration;

use anyhow::{Result, ensure};
use atelier_e2e::{Model, audit, model, wait, with_namespace};
use k8s_openapi::api::core::v1::Namespace as Object;
use kube::Api;
use kube::api::ListParams;

use crate::ALONE;

/// What the promise speaks of.
const WINDOW: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_ready_model_causes_no_write_in_a_minute() -> Result<()> {
    let _alone = ALONE.lock().await;
    with_namespace("steady", async |namespace| {
        let before = audit::mark()?;
        let model = Model::create(&namespace, "m", model::bundled()).await?;
        model.ready().await?;
        model.settled().await?;
        let gateway = namespace.gateway().await?;
        ensure!(!gateway.ask(&model.address(), "Say yes.").await?.is_empty());
        ensure!(
            !before.writes()?.is_empty(),
            "the audit log does not tell what the operator wrote"
        );
        // What earlier cases left is being deleted piece by piece, which the operator notices.
        wait::until("the namespaces of other cases to be gone", async || {
            let all = Api::<Object>::all(namespace.client.clone())
                .list(&ListParams::default())
                .await?;
            let leaving = all.iter().filter(|other| other.metadata.deletion_timestamp.is_some());
            Ok((leaving.count() == 0).then_some(()))
        })
        .await?;
        // Events of the last transition may still be on their way.
        tokio::time::sleep(Duration::from_secs(5)).await;

        let mark = audit::mark()?;
        tokio::time::sleep(WINDOW).await;
        let writes = mark.writes()?;
        ensure!(writes.is_empty(), "written in the steady state: {writes:#?}");
        Ok(())
    })
    .await
}
