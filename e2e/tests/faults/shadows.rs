//! A comparison, while what it is made of fails one after the other.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use atelier_e2e::traffic::Traffic;
use atelier_e2e::{Model, Namespace, Shadow, installation, model, shadow, wait, with_namespace};
use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use serde_json::json;

use crate::{ALONE, database};

const USERS: u64 = 3;
const STATEFUL_SET: &str = "statefulset/atelier-postgres";
/// Until then nobody is asked for a verdict.
const NEVER: i64 = 1_000_000;

#[tokio::test]
async fn users_do_not_notice_what_fails_beside_them_and_lost_copies_are_no_pairs() -> Result<()> {
    let _alone = ALONE.lock().await;
    with_namespace("comparison", async |namespace| {
        database::upgrade_buffered().await?;
        let model = Model::create(&namespace, "m", model::bundled()).await?;
        let twin = Model::create(&namespace, "twin", model::bundled()).await?;
        model.ready().await?;
        twin.ready().await?;
        let compare = json!({"primary": {"metric": "RougeL", "margin": "1%"}});
        let stop = json!({"minPairs": NEVER, "maxPairs": NEVER});
        let spec = shadow::spec("m", &json!({"model": "twin"}), &compare, &stop);
        let shadow = Shadow::create(&namespace, "s", spec).await?;
        let outcome = fail(&namespace, &model, &twin, &shadow).await;
        // It goes once the database has forgotten its pairs, so not without one.
        let gone = shadow.delete().await;
        outcome.and(gone).and(database::remove().await)
    })
    .await
}

async fn fail(namespace: &Namespace, model: &Model, twin: &Model, shadow: &Shadow) -> Result<()> {
    let traffic = ask(namespace, model).await?;
    more_pairs(shadow).await?;
    candidate_killed(namespace, twin).await?;
    more_pairs(shadow).await?;
    without_database(&traffic).await?;
    more_pairs(shadow).await?;
    let answered = traffic.stop_without_failure().await?;
    let dropped = shadow.status().await?.dropped.unwrap_or_default();
    println!("{answered} answers to users, none failed; {dropped} copies gave no pair");
    gateways_killed(namespace, model, shadow).await
}

/// Users whose answers are long enough that copies are under way at any time.
async fn ask(namespace: &Namespace, model: &Model) -> Result<Traffic> {
    let address = model.address();
    let ask = move |user, number| shadow::question(&address, (user, number), 24, 0.8);
    Traffic::asking(&namespace.gateway().await?, USERS, ask).await
}

/// Waits until the comparison goes on.
async fn more_pairs(shadow: &Shadow) -> Result<()> {
    let before = shadow.status().await?.pairs.unwrap_or_default();
    let status = shadow.pairs(before + 10).await?;
    ensure!(status.verdict.is_none(), "{status:#?}");
    Ok(())
}

async fn candidate_killed(namespace: &Namespace, twin: &Model) -> Result<()> {
    let pod = twin.serving_pod().await?;
    let at_once = DeleteParams::default().grace_period(0);
    namespace.api::<Pod>().delete(&pod, &at_once).await?;
    wait::until("another pod of the candidate", async || {
        Ok(twin.serving_pod().await.ok().filter(|it| *it != pod))
    })
    .await
    .map(drop)
}

/// Takes the database away while users go on.
async fn without_database(traffic: &Traffic) -> Result<()> {
    database::system(&["scale", STATEFUL_SET, "--replicas=0"]).await?;
    wait::until("the database to be gone", async || {
        Ok(installation::sql("select 1").await.is_err().then_some(()))
    })
    .await?;
    let outcome = traffic.answers(20).await;
    database::system(&["scale", STATEFUL_SET, "--replicas=1"]).await?;
    database::system(&["rollout", "status", STATEFUL_SET, "--timeout=180s"]).await?;
    outcome
}

/// Kills both gateways, one after the other, with copies under way.
async fn gateways_killed(namespace: &Namespace, model: &Model, shadow: &Shadow) -> Result<()> {
    let uid = shadow.get().await?.metadata.uid.context("no uid")?;
    for pod in database::gateways(namespace).await? {
        let traffic = ask(namespace, model).await?;
        more_pairs(shadow).await?;
        database::kill(namespace, &pod).await?;
        // What the gateway was answering was cut off; what comes after is answered by the other one.
        traffic.answers(5).await?;
        traffic.stop().await?;
    }
    lost_are_counted(shadow, &uid).await
}

/// What was lost is known once the processes have been silent for long enough, and is counted with what gave no pair.
async fn lost_are_counted(shadow: &Shadow, uid: &str) -> Result<()> {
    let number = async |query: &str| -> Result<i64> {
        let query = format!("{query} where uid = '{uid}'");
        Ok(installation::sql(&query).await?.trim().parse()?)
    };
    let mut before = -1;
    wait::until("copies under way to end", async || {
        let open = number("select sum(begun - paired - unpaired)::bigint from shadow_count").await?;
        let earlier = std::mem::replace(&mut before, open);
        tokio::time::sleep(Duration::from_secs(3)).await;
        Ok((earlier == open).then_some(()))
    })
    .await?;
    ensure!(before > 0, "nothing was under way when the gateways were killed");
    let told = number("select coalesce(sum(count), 0)::bigint from shadow_drop").await?;
    let paired = number("select count(*) from shadow_pair").await?;
    let status = wait::until("lost copies to be counted", async || {
        let status = shadow.status().await?;
        Ok((status.dropped == Some(told + before)).then_some(status))
    })
    .await?;
    println!("{before} copies were lost with the gateways, {paired} gave pairs");
    ensure!(status.pairs == Some(paired), "{status:#?}");
    Ok(())
}
