//! Many models and one operator.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use api::LlmModel;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::{Api, api::PostParams};
use serde_json::json;
use tokio::time::sleep;

use crate::{control_plane, control_plane::ControlPlane, metrics, operator::Operator, wait};

/// Where all models are.
pub const NAMESPACE: &str = "scale";
/// Objects created at a time.
pub const AT_ONCE: usize = 32;
/// For thousands of objects on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(1800);
const SYSTEM: &str = "scale-system";
/// Without a write for so long, whatever was under way is over.
const QUIET: Duration = Duration::from_secs(5);
/// An operator that has led for so long without models has all it needs.
const WARM_UP: Duration = Duration::from_secs(3);

/// See the module.
pub struct World<'a> {
    plane: &'a ControlPlane,
    program: PathBuf,
    admin_port: u16,
    /// The operator that runs.
    pub operator: Operator,
}

impl<'a> World<'a> {
    /// An operator without models.
    pub async fn start(plane: &'a ControlPlane, program: &Path) -> Result<Self> {
        plane.namespace(NAMESPACE).await?;
        plane.namespace(SYSTEM).await?;
        plane.allow_lease(SYSTEM).await?;
        let admin_port = control_plane::free_port()?;
        let world = Self {
            plane,
            program: program.to_owned(),
            admin_port,
            operator: operator(plane, program, admin_port)?,
        };
        world.until("the operator to lead", leads).await?;
        sleep(WARM_UP).await;
        Ok(world)
    }

    /// Creates models.
    pub async fn create(&self, count: usize) -> Result<()> {
        let models = Api::<LlmModel>::namespaced(self.plane.admin.clone(), NAMESPACE);
        let create = async |index: usize| {
            let model = serde_json::from_value(json!({
                "metadata": {"name": name(index)},
                "spec": {
                    "source": {"oci": {"image": "localhost/models/small:1", "pullPolicy": "Never"}},
                    "engine": {"atelier": {"contextLength": 512, "maxConcurrentSequences": 2}},
                    "resources": {"cpu": "100m"},
                },
            }))
            .context("failed to build a model")?;
            let created = models.create(&PostParams::default(), &model).await;
            created.context("failed to create a model").map(drop)
        };
        stream::iter(0..count)
            .map(create)
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<_>>()
            .await
            .map(drop)
    }

    /// Waits until nobody has written anything for a while.
    pub async fn settled(&self) -> Result<()> {
        let mut before = self.writes().await?;
        wait::until("everybody to be quiet", PATIENCE, async || {
            sleep(QUIET).await;
            let now = self.writes().await?;
            let quiet = now == before;
            before = now;
            Ok(quiet.then_some(()))
        })
        .await
    }

    /// Watches for a while; returns what was written to, and how often.
    pub async fn writes_in(&self, window: Duration) -> Result<BTreeMap<String, f64>> {
        let before = self.writes().await?;
        sleep(window).await;
        let mut writes = self.writes().await?;
        for (resource, count) in &mut writes {
            *count -= before.get(resource).copied().unwrap_or_default();
        }
        writes.retain(|_, count| *count > 0.0);
        Ok(writes)
    }

    /// Kills the operator and starts another one; returns how long that takes to have looked at all models.
    pub async fn restart(&mut self, count: usize) -> Result<Duration> {
        let next = control_plane::free_port()?;
        let begun = Instant::now();
        let operator = operator(self.plane, &self.program, next)?;
        self.admin_port = next;
        std::mem::replace(&mut self.operator, operator).kill().await?;
        self.until("the new operator to have looked at all models", |metrics| {
            let of = |name: &str| metrics::sum(metrics, name);
            let looked_at = of("atelier_operator_reconciles_total") >= count as f64;
            let idle = of("atelier_operator_queue_depth") + of("atelier_operator_active_reconciles") == 0.0;
            leads(metrics) && looked_at && idle
        })
        .await?;
        Ok(begun.elapsed())
    }

    /// What the operator has done for each of so many models: passes, and calls by verb.
    pub async fn effort(&self, count: usize) -> Result<String> {
        let metrics = metrics::metrics(self.admin_port).await?;
        let passes = metrics::sum(&metrics, "atelier_operator_reconciles_total");
        let calls = metrics::sums(&metrics, "atelier_operator_api_requests_total", "verb", |_| true);
        let each = |total: f64| total / count as f64;
        let calls = calls.iter().map(|(verb, calls)| format!("{verb} {:.1}", each(*calls)));
        let calls: Vec<_> = calls.collect();
        Ok(format!("{:.1} passes; {}", each(passes), calls.join(", ")))
    }

    /// Writes of anybody so far by resource, but for the renewal of Leases.
    async fn writes(&self) -> Result<BTreeMap<String, f64>> {
        let metrics = control_plane::metrics(&self.plane.admin).await?;
        let is_write = |labels: &str| {
            matches!(
                metrics::label(labels, "verb"),
                Some("POST" | "PUT" | "PATCH" | "APPLY" | "DELETE" | "DELETECOLLECTION")
            )
        };
        let mut writes = metrics::sums(&metrics, "apiserver_request_total", "resource", is_write);
        writes.remove("leases");
        Ok(writes)
    }

    async fn until(&self, what: &str, holds: impl Fn(&str) -> bool) -> Result<()> {
        wait::until(what, PATIENCE, async || {
            let metrics = metrics::metrics(self.admin_port).await?;
            Ok(holds(&metrics).then_some(()))
        })
        .await
    }
}

fn operator(plane: &ControlPlane, program: &Path, admin_port: u16) -> Result<Operator> {
    let log = plane.dir().join("operator.log");
    Operator::start(program, &plane.operator_kubeconfig()?, SYSTEM, admin_port, &log)
}

fn leads(metrics: &str) -> bool {
    metrics::sum(metrics, "atelier_operator_leader") > 0.0
}

/// The name of a model.
pub fn name(index: usize) -> String {
    format!("m-{index}")
}
