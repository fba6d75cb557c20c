//! One run's part of the cluster: a namespace, a proxy, and an operator that is started again when it is killed.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use api::LlmModel;
use fault_proxy::Proxy;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{ready::Ready, state};
use crate::{
    control_plane::{ControlPlane, plain_kubeconfig},
    model::ready_version,
    operator::Operator,
    wait,
};

/// The model that every scenario is about.
pub const MODEL: &str = "m";
/// Longest way to the end: backoff, a relist, and the time that retired versions are given.
const PATIENCE: Duration = Duration::from_secs(150);
/// Without a write for so long, whatever was under way is over.
const QUIET: Duration = Duration::from_millis(1500);

/// See the module.
pub struct World<'a> {
    /// The cluster.
    pub plane: &'a ControlPlane,
    /// The namespace that the operator sees.
    pub namespace: String,
    /// Between the operator and the cluster.
    pub proxy: Proxy,
    /// What the operator said.
    pub log: PathBuf,
    ready: Ready,
    restarts: Arc<AtomicUsize>,
    keeper: JoinHandle<Result<()>>,
}

impl<'a> World<'a> {
    /// A new namespace with an operator.
    pub async fn start(plane: &'a ControlPlane, program: &Path, namespace: &str) -> Result<Self> {
        let system = format!("{namespace}-system");
        plane.namespace(namespace).await?;
        plane.namespace(&system).await?;
        plane.allow_lease(&system).await?;
        let proxy = Proxy::new(plane.operator().await?, Some(namespace.to_owned()));
        let log = plane.dir().join(format!("{namespace}.log"));
        let restarts = Arc::new(AtomicUsize::new(0));
        let keeper = Keeper {
            program: program.to_owned(),
            kubeconfig: plane.dir().join(format!("{namespace}.kubeconfig")),
            system,
            log: log.clone(),
            proxy: proxy.clone(),
            restarts: restarts.clone(),
        };
        Ok(Self {
            plane,
            namespace: namespace.to_owned(),
            ready: Ready::follow(plane.admin.clone(), namespace),
            proxy,
            log,
            restarts,
            keeper: tokio::spawn(keeper.run()),
        })
    }

    /// How often the operator was killed.
    pub fn restarts(&self) -> usize {
        self.restarts.load(Ordering::SeqCst)
    }

    /// What Ready=True was said of.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Creates the model.
    pub async fn create(&self, spec: Value) -> Result<()> {
        let model = json!({
            "apiVersion": "atelier.dev/v1alpha1", "kind": "LlmModel",
            "metadata": {"name": MODEL}, "spec": spec,
        });
        let model: LlmModel = serde_json::from_value(model).context("failed to build a model")?;
        let created = self.models().create(&PostParams::default(), &model).await;
        created.context("failed to create the model").map(drop)
    }

    /// Puts another spec in the place of the model's.
    pub async fn replace(&self, spec: Value) -> Result<()> {
        let patch = Patch::Json::<()>(
            serde_json::from_value(json!([{"op": "replace", "path": "/spec", "value": spec}]))
                .context("failed to build a patch")?,
        );
        let replaced = self.models().patch(MODEL, &PatchParams::default(), &patch).await;
        replaced.context("failed to change the model").map(drop)
    }

    /// Deletes the model.
    pub async fn delete(&self) -> Result<()> {
        let deleted = self.models().delete(MODEL, &DeleteParams::default()).await;
        deleted.context("failed to delete the model").map(drop)
    }

    /// Deletes the namespace with all that is in it.
    pub async fn delete_namespace(&self) -> Result<()> {
        let namespaces = Api::<Namespace>::all(self.plane.admin.clone());
        let deleted = namespaces.delete(&self.namespace, &DeleteParams::default()).await;
        deleted.context("failed to delete the namespace").map(drop)
    }

    /// The model as it is now.
    pub async fn model(&self) -> Result<LlmModel> {
        self.models().get(MODEL).await.context("failed to get the model")
    }

    /// Waits for something about the model.
    pub async fn until(&self, what: &str, holds: impl Fn(&LlmModel) -> bool) -> Result<LlmModel> {
        self.until_some(what, async || {
            let model = self.model().await?;
            Ok(holds(&model).then_some(model))
        })
        .await
    }

    /// Waits for anything, as long as the operator is kept running.
    pub async fn until_some<T>(&self, what: &str, ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
        let what = format!("{what} in {}", self.namespace);
        let result = wait::until(&what, PATIENCE, ask).await;
        if self.keeper.is_finished() {
            bail!("the operator does not run any more; {what}");
        }
        result
    }

    /// Waits until the spec as it is now serves, and nothing of other versions is left but their history.
    pub async fn settled(&self) -> Result<()> {
        self.until_some("the model to settle", async || {
            let model = self.model().await?;
            let Some(version) = ready_version(&model) else {
                return Ok(None);
            };
            let objects = state::objects(&self.plane.admin, &self.namespace).await?;
            none_left(
                objects
                    .iter()
                    .filter(|object| state::is_of_another_version(object, version)),
            )
        })
        .await?;
        self.quiet().await
    }

    /// Waits until nothing of the model is left, which the garbage collector sees to.
    pub async fn gone(&self) -> Result<()> {
        self.until_some("everything of the model to be gone", async || {
            let objects = state::objects(&self.plane.admin, &self.namespace).await?;
            none_left(objects.iter())
        })
        .await?;
        self.quiet().await
    }

    /// Waits until there is no such namespace.
    pub async fn namespace_gone(&self) -> Result<()> {
        let namespaces = Api::<Namespace>::all(self.plane.admin.clone());
        self.until_some("the namespace to be gone", async || {
            Ok(namespaces.get_opt(&self.namespace).await?.is_none().then_some(()))
        })
        .await?;
        self.quiet().await
    }

    /// Waits until the operator has written nothing for a while.
    async fn quiet(&self) -> Result<()> {
        let writes = || self.proxy.log().entries.len();
        let mut before = writes();
        self.until_some("the operator to be quiet", async || {
            tokio::time::sleep(QUIET).await;
            let now = writes();
            let quiet = now == before;
            before = now;
            Ok(quiet.then_some(()))
        })
        .await
    }

    /// Lets the operator look at everything again, and returns what it wrote: nothing, in the steady state.
    pub async fn writes_of_a_full_pass(&self) -> Vec<String> {
        let before = self.proxy.log().entries.len();
        self.proxy.end_watches();
        tokio::time::sleep(2 * QUIET).await;
        let log = self.proxy.log();
        log.entries[before..].iter().map(ToString::to_string).collect()
    }

    fn models(&self) -> Api<LlmModel> {
        Api::namespaced(self.plane.admin.clone(), &self.namespace)
    }
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Runs operators, one after the other.
struct Keeper {
    program: PathBuf,
    kubeconfig: PathBuf,
    system: String,
    log: PathBuf,
    proxy: Proxy,
    restarts: Arc<AtomicUsize>,
}

impl Keeper {
    async fn run(self) -> Result<()> {
        loop {
            let door = self.proxy.open(0).await?;
            std::fs::write(&self.kubeconfig, plain_kubeconfig(&format!("http://{}", door.address)))
                .context("failed to write a kubeconfig")?;
            let mut operator = Operator::start(&self.program, &self.kubeconfig, &self.system, 0, &self.log)?;
            tokio::select! {
                () = self.proxy.killed() => {}
                ended = operator.ended() => return ended,
            }
            operator.kill().await?;
            drop(door);
            self.restarts.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Whether no object is left; those that are, are named.
fn none_left<'a>(objects: impl Iterator<Item = &'a Value>) -> Result<Option<()>> {
    let left: Vec<_> = objects.map(state::describe).collect();
    match left.is_empty() {
        true => Ok(Some(())),
        false => bail!("left: {}", left.join(", ")),
    }
}
