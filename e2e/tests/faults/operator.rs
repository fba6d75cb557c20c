//! The operator killed at any moment of a rollout.

use std::time::Duration;

use anyhow::{Result, ensure};
use atelier_e2e::traffic::Traffic;
use atelier_e2e::{Model, Namespace, model, operator, with_namespace};
use serde_json::{Value, json};

use crate::ALONE;

/// Longer than a rollout takes: it is hit in all of its phases.
const KILLS: usize = 12;
const BETWEEN_KILLS: Duration = Duration::from_millis(1500);

#[tokio::test]
async fn killed_in_mid_rollout_it_reaches_the_same_end() -> Result<()> {
    let _alone = ALONE.lock().await;
    with_namespace("undisturbed", async |calm| {
        with_namespace("disturbed", async |disturbed| {
            let expected = roll_out(&calm, false).await?;
            let found = roll_out(&disturbed, true).await?;
            ensure!(found == expected, "disturbed: {found:#}\nundisturbed: {expected:#}");
            Ok(())
        })
        .await
    })
    .await
}

/// Creates a model, changes it, and tells the end state without what differs from run to run.
async fn roll_out(namespace: &Namespace, disturb: bool) -> Result<Value> {
    let model = Model::create(namespace, "m", model::bundled()).await?;
    model.ready().await?;
    let gateway = namespace.gateway().await?;
    let traffic = Traffic::start(&gateway, &model.address(), 1).await?;
    model
        .patch(json!({"spec": {"prompt": {"system": "You are a patient teacher."}}}))
        .await?;
    if disturb {
        for _ in 0..KILLS {
            operator::kill(&namespace.client).await?;
            tokio::time::sleep(BETWEEN_KILLS).await;
        }
    }
    model.ready().await?;
    let children = model.settled().await?;
    traffic.stop_without_failure().await?;
    end_state(&model, children).await
}

async fn end_state(model: &Model, children: Vec<String>) -> Result<Value> {
    let status = model.get().await?.status.unwrap_or_default();
    let conditions: Vec<_> = status
        .conditions
        .iter()
        .map(|c| {
            json!([
                c.type_,
                c.status,
                c.reason,
                c.message.replace(&model.namespace.name, "NAMESPACE")
            ])
        })
        .collect();
    let mut versions: Vec<_> = status
        .versions
        .iter()
        .map(|v| json!([v.name, v.digest, v.state]))
        .collect();
    versions.sort_by_key(Value::to_string);
    let children: Vec<_> = children
        .into_iter()
        .filter(|child| !child.starts_with("Pod/"))
        .collect();
    Ok(json!({
        "current": status.current_version,
        "candidate": status.candidate_version,
        "conditions": conditions,
        "versions": versions,
        "children": children,
        "estimate": status.estimate,
    }))
}
