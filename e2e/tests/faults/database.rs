//! The database that the chart brings along, and what it must not lose.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use atelier_e2e::gateway::{Gateway, question};
use atelier_e2e::settings::SYSTEM_NAMESPACE;
use atelier_e2e::{Model, Namespace, checkout, helm, kubectl, model, plugin, wait, with_namespace};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt as _};
use reqwest::StatusCode;
use tokio::task::JoinHandle;

use crate::ALONE;

const GATEWAYS: &str = "app.kubernetes.io/name=atelier,app.kubernetes.io/component=gateway";
const DATABASE: &str = "atelier-postgres-0";
const USERS: usize = 3;

#[tokio::test]
async fn the_embedded_database_keeps_all_that_was_acknowledged() -> Result<()> {
    let _alone = ALONE.lock().await;
    with_namespace("database", async |namespace| {
        let model = Model::create(&namespace, "m", model::bundled()).await?;
        model.ready().await?;
        let outcome = with_database(&namespace, &model).await;
        if outcome.is_err() {
            eprintln!("{}", state().await);
        }
        outcome.and(remove().await)
    })
    .await
}

async fn with_database(namespace: &Namespace, model: &Model) -> Result<()> {
    upgrade(true).await?;
    let password = ["get", "secret", "atelier-postgres", "--output", "jsonpath={.data.url}"];
    let drawn = system(&password).await?;
    upgrade(true).await?;
    ensure!(
        drawn == system(&password).await?,
        "an upgrade has drawn another password"
    );
    let pods = gateways(namespace).await?;
    let gateway = namespace.gateway().await?;
    answered(&gateway, model).await?;
    verified().await?;

    let crowd = Crowd::start(&gateway, model);
    crowd.acknowledged(5).await?;
    for pod in &pods {
        kill(namespace, pod).await?;
        crowd.acknowledged(5).await?;
    }
    replace_database(namespace).await?;
    crowd.acknowledged(5).await?;
    let acknowledged = crowd.stop().await?;
    let opened = opened().await?;
    let lost: Vec<_> = acknowledged.difference(&opened).collect();
    ensure!(
        lost.is_empty(),
        "{} of {} acknowledged rows are lost: {lost:?}",
        lost.len(),
        acknowledged.len()
    );
    verified().await?;

    restored(&gateway, model, &opened).await
}

/// The written procedure: a backup, rows that come after it, and the way back.
async fn restored(gateway: &Gateway, model: &Model, before: &BTreeSet<String>) -> Result<()> {
    // Rows of Rooms are hidden also from whoever makes the backup, unless it asks for them.
    query("INSERT INTO room (uid, namespace, name) VALUES ('kept', 'e2e', 'kept')").await?;
    run("backup", "atelier-postgres-backup", "Complete").await?;
    query("DELETE FROM room WHERE uid = 'kept'").await?;
    answered(gateway, model).await?;
    ensure!(opened().await? != *before, "the answer after the backup left no row");
    // Gateways that write would go on behind rows that are no longer there.
    run("too-early", "atelier-postgres-restore", "Failed").await?;
    let told = system(&["logs", "job/too-early"]).await?;
    ensure!(
        told.contains("scale the Deployment atelier-gateway to 0 first"),
        "{told}"
    );

    system(&["scale", "deployment/atelier-gateway", "--replicas=0"]).await?;
    wait::until("the gateways to be gone", async || {
        let names = system(&["get", "pods", "--selector", GATEWAYS, "--output", "name"]).await?;
        Ok(names.trim().is_empty().then_some(()))
    })
    .await?;
    run("restore", "atelier-postgres-restore", "Complete").await?;
    ensure!(
        opened().await? == *before,
        "the database is not as it was at the backup"
    );
    let rooms = query("SELECT name FROM room").await?;
    ensure!(
        rooms.trim() == "kept",
        "Rooms are not as they were at the backup: {rooms}"
    );
    system(&["scale", "deployment/atelier-gateway", "--replicas=2"]).await?;
    system(&["rollout", "status", "deployment/atelier-gateway", "--timeout=180s"]).await?;
    answered(gateway, model).await?;
    verified().await
}

/// The trail as `kubectl atelier` sees it, which must be sound.
async fn verified() -> Result<()> {
    let report = plugin::succeed(&["audit", "verify"]).await?;
    let sound = report
        .lines()
        .filter(|line| line.starts_with("chain ") && line.ends_with("rows, sound"));
    ensure!(sound.count() > 0 && report.contains("roots: "), "{report}");
    Ok(())
}

/// The requests that were written down before they were sent on.
async fn opened() -> Result<BTreeSet<String>> {
    let rows = query("SELECT request FROM audit WHERE kind = 'opened'").await?;
    Ok(rows.lines().map(Into::into).collect())
}

/// Rows of the database, as its superuser sees them.
async fn query(query: &str) -> Result<String> {
    let psql = [
        "psql",
        "--username=postgres",
        "--tuples-only",
        "--no-align",
        "--command",
        query,
        "atelier",
    ];
    system(&[&["exec", DATABASE, "--"][..], &psql].concat()).await
}

/// The gateways, once those from before the database are gone: they would answer without writing it down.
pub async fn gateways(namespace: &Namespace) -> Result<Vec<Pod>> {
    let pods = Api::<Pod>::namespaced(namespace.client.clone(), SYSTEM_NAMESPACE);
    wait::until("two gateways, and no more", async || {
        let pods = pods.list(&ListParams::default().labels(GATEWAYS)).await?.items;
        let alive = pods.iter().all(|pod| pod.metadata.deletion_timestamp.is_none());
        Ok((alive && pods.len() == 2).then_some(pods))
    })
    .await
}

/// Kills a gateway as `kill -9` does, and waits until it serves again.
pub async fn kill(namespace: &Namespace, pod: &Pod) -> Result<()> {
    let uid = pod.uid().context("a pod without uid")?;
    let read = |pid: &str, file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let is_it = |pid: &String| read(pid, "comm").trim() == api::names::GATEWAY && read(pid, "cgroup").contains(&uid);
    let processes = std::fs::read_dir("/proc")?.flatten();
    let pid = processes
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .find(is_it);
    let pid = pid.with_context(|| format!("no process of the pod {} is seen here", pod.name_any()))?;
    let killed = tokio::process::Command::new("kill")
        .args(["-KILL", &pid])
        .status()
        .await?;
    ensure!(killed.success(), "{pid} cannot be killed");
    let pods = Api::<Pod>::namespaced(namespace.client.clone(), SYSTEM_NAMESPACE);
    wait::until("the gateway to come back", async || {
        let status = pods.get(&pod.name_any()).await?.status.unwrap_or_default();
        let mut containers = status.container_statuses.iter().flatten();
        Ok(containers.any(|it| it.ready && it.restart_count > 0).then_some(()))
    })
    .await
}

async fn replace_database(namespace: &Namespace) -> Result<()> {
    let pods = Api::<Pod>::namespaced(namespace.client.clone(), SYSTEM_NAMESPACE);
    let old = pods.get(DATABASE).await?.uid();
    pods.delete(DATABASE, &DeleteParams::default()).await?;
    wait::until("another pod of the database", async || {
        let pod = pods.get(DATABASE).await?;
        let containers = pod
            .status
            .iter()
            .flat_map(|status| status.container_statuses.iter().flatten());
        Ok((pod.uid() != old && containers.clone().any(|it| it.ready)).then_some(()))
    })
    .await
}

/// Waits for an answer.
async fn answered(gateway: &Gateway, model: &Model) -> Result<()> {
    let ask = async || gateway.ask(&model.address(), "Say yes.").await.map(Some);
    wait::until("an answer", ask).await.map(drop)
}

/// Starts a Job of a CronJob, and waits until it has ended as it should.
async fn run(job: &str, of: &str, end: &str) -> Result<()> {
    system(&["create", "job", job, &format!("--from=cronjob/{of}")]).await?;
    let (job, end) = (format!("job/{job}"), format!("--for=condition={end}"));
    let waited = system(&["wait", &end, &job, "--timeout=180s"]).await;
    if waited.is_err() {
        eprintln!("{}", system(&["logs", &job]).await?);
    }
    waited.map(drop)
}

/// kubectl in the namespace of the release.
pub async fn system(args: &[&str]) -> Result<String> {
    kubectl::succeed(&[&["--namespace", SYSTEM_NAMESPACE][..], args].concat(), "").await
}

/// What helps to understand a failure.
async fn state() -> String {
    let mut text = String::new();
    for args in [
        &["get", "all,pvc"][..],
        &["logs", DATABASE, "--tail=40"],
        &["logs", "--selector", GATEWAYS, "--tail=40", "--prefix"],
    ] {
        text += &system(args).await.unwrap_or_else(|error| format!("{error:#}\n"));
    }
    text
}

/// The release with or without the database, whose audit trail refuses requests that it cannot write down.
pub async fn upgrade(database: bool) -> Result<()> {
    release(database, "strict").await
}

/// The release with the database, which no request waits for.
pub async fn upgrade_buffered() -> Result<()> {
    release(true, "buffered").await
}

async fn release(database: bool, audit: &str) -> Result<()> {
    let chart = checkout::root().join("charts/atelier");
    let enabled = format!("database.embedded.enabled={database},audit.mode={audit}");
    let replicas = format!("gateway.replicas={}", 1 + u8::from(database));
    let upgrade = [
        "upgrade",
        "atelier",
        &chart.to_string_lossy(),
        "--reuse-values",
        "--wait",
        // Other cases, and this one, scale the gateways.
        "--force-conflicts",
    ];
    helm::run(&[&upgrade[..], &["--set", &enabled, "--set", &replicas]].concat()).await?;
    Ok(())
}

/// The release as it was. Claims outlive it, so they are removed here.
pub async fn remove() -> Result<()> {
    upgrade(false).await?;
    let selector = "app.kubernetes.io/component in (postgres, postgres-backup)";
    system(&["delete", "jobs,persistentvolumeclaims", "--selector", selector]).await?;
    Ok(())
}

/// Users who never stop asking, and note what was acknowledged.
struct Crowd {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<BTreeSet<String>>>,
    users: Vec<JoinHandle<()>>,
}

impl Crowd {
    fn start(gateway: &Gateway, model: &Model) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::<Mutex<BTreeSet<String>>>::default();
        let user = |_| {
            tokio::spawn(user(
                gateway.clone(),
                model.address(),
                stop.clone(),
                acknowledged.clone(),
            ))
        };
        Self {
            users: (0..USERS).map(user).collect(),
            stop,
            acknowledged,
        }
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Waits for `more` further ones.
    async fn acknowledged(&self, more: usize) -> Result<()> {
        let goal = self.count() + more;
        wait::until("acknowledged requests", async || {
            Ok((self.count() >= goal).then_some(()))
        })
        .await
    }

    async fn stop(self) -> Result<BTreeSet<String>> {
        self.stop.store(true, Ordering::Relaxed);
        for user in self.users {
            user.await.context("a user panicked")?;
        }
        Ok(self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// A request is acknowledged by the head of its answer, whatever becomes of the rest.
async fn user(gateway: Gateway, model: String, stop: Arc<AtomicBool>, acknowledged: Arc<Mutex<BTreeSet<String>>>) {
    while !stop.load(Ordering::Relaxed) {
        let body = question(&model, "Count to ten.", 8, true);
        let response = gateway.post("/v1/chat/completions", body.to_string()).await;
        let Some(response) = response.ok().filter(|response| response.status() == StatusCode::OK) else {
            // Refused, or cut off: nothing was promised.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let id = response.headers().get("x-request-id").and_then(|id| id.to_str().ok());
        let id = id.unwrap_or("an answer without an id").to_owned();
        acknowledged.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        let _ = response.bytes().await;
    }
}
