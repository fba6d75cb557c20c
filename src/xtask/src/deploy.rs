//! Installs the chart and waits until what it installed is up.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::home::Home;
use crate::images::{Image, POSTGRES};
use crate::process;
use crate::target::{NAMESPACE, Target};
use crate::ui::Stage;

/// Name of the Helm release; the objects' names do not depend on it.
const RELEASE: &str = "atelier";
/// Longest wait for the operator and the gateway.
const PATIENCE: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(400);

/// The local cluster holds the chart to the strictest pod security standard, and has API keys.
const LOCAL_NAMESPACES: &str = "\
apiVersion: v1
kind: Namespace
metadata:
  name: atelier-system
  labels: {pod-security.kubernetes.io/enforce: restricted}
---
apiVersion: v1
kind: Namespace
metadata:
  name: atelier-api-keys
";

/// The images that the chart is told to use, and how its pods get them.
#[derive(Clone, Debug)]
pub struct Images {
    references: Vec<(&'static str, String)>,
    /// That of the embedded database, where it was built.
    postgres: Option<String>,
    pull_policy: &'static str,
    registry: String,
}

/// Where images are that have been imported and never were in a registry.
const LOCAL_REGISTRY: &str = "localhost/atelier";

/// Components whose image the chart takes.
const COMPONENTS: [&str; 4] = ["operator", "gateway", "worker", "data"];

impl Images {
    /// Images that have been imported into the local cluster.
    pub fn local(images: &[Image]) -> Result<Self> {
        let references = COMPONENTS.iter().map(|component| {
            let image = images.iter().find(|image| image.component == *component);
            image
                .map(|image| (*component, image.reference.clone()))
                .with_context(|| format!("no image of the {component}"))
        });
        let postgres = images.iter().find(|image| image.component == POSTGRES);
        Ok(Self {
            references: references.collect::<Result<_>>()?,
            postgres: postgres.map(|image| image.reference.clone()),
            pull_policy: "Never",
            registry: LOCAL_REGISTRY.into(),
        })
    }

    /// Images that the cluster's nodes pull: `<registry>/<component>:<tag>`.
    pub fn remote(registry: &str, tag: &str) -> Self {
        let registry = registry.trim_end_matches('/');
        let references = COMPONENTS.map(|component| (component, format!("{registry}/{component}:{tag}")));
        Self {
            references: references.into(),
            postgres: Some(format!("{registry}/{POSTGRES}:{tag}")),
            pull_policy: "IfNotPresent",
            registry: registry.into(),
        }
    }

    /// A manifest of ours with the images of models taken from the same place.
    pub fn relocate(&self, manifest: &str) -> String {
        manifest.replace(&format!("{LOCAL_REGISTRY}/"), &format!("{}/", self.registry))
    }

    fn values(&self) -> Vec<String> {
        let images = self
            .references
            .iter()
            .map(|(component, reference)| format!("{component}.image={reference}"));
        let postgres = self.postgres.iter();
        let postgres = postgres.map(|reference| format!("database.embedded.image={reference}"));
        images
            .chain(postgres)
            .chain([format!("image.pullPolicy={}", self.pull_policy)])
            .collect()
    }
}

/// Installs or upgrades the release and waits for its Deployments, and the database.
pub fn ensure(home: &Home, stage: &Stage, target: &Target, images: &Images, database: bool) -> Result<()> {
    let mut helm = target.helm(home);
    helm.args(["upgrade", RELEASE]).arg(home.repo.join("charts/atelier"));
    helm.args(["--install", "--create-namespace", "--namespace", NAMESPACE]);
    if let Target::Local(cluster) = target {
        process::feed(target.kubectl().args(["apply", "--filename", "-"]), LOCAL_NAMESPACES)?;
        helm.args(["--set", "gateway.replicas=1"]);
        helm.args(["--set", "gateway.apiKeys.namespace=atelier-api-keys"]);
        let cache = cluster.dir.join("node-cache");
        helm.args(["--set-string", &format!("nodeCache.hostPath={}", cache.display())]);
    }
    helm.args(["--set", &format!("database.embedded.enabled={database}")]);
    helm.args(
        images
            .values()
            .iter()
            .flat_map(|value| ["--set-string", value.as_str()]),
    );
    stage.status("helm upgrade --install");
    process::run(stage, &mut helm)?;
    wait(stage, target)
}

/// Waits for every workload in the namespace, showing how far they are.
fn wait(stage: &Stage, target: &Target) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut get = target.kubectl();
        get.args([
            "get",
            "deployments,statefulsets,pods",
            "--namespace",
            NAMESPACE,
            "--output",
            "json",
        ]);
        let state = State::parse(&process::read(&mut get)?)?;
        if state.is_up() {
            return Ok(());
        }
        stage.status(&state.describe());
        if Instant::now() >= deadline {
            bail!(
                "failed to get the chart's pods up within {} s: {}. Look at `cargo xtask kubectl get pods -n {NAMESPACE}` \
                 and `cargo xtask logs operator`",
                PATIENCE.as_secs(),
                state.describe()
            );
        }
        thread::sleep(POLL);
    }
}

#[derive(Debug, Deserialize)]
struct List {
    items: Vec<Item>,
}

#[derive(Debug, Deserialize)]
struct Item {
    kind: String,
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    generation: i64,
}

#[derive(Debug, Default, Deserialize)]
struct Spec {
    #[serde(default)]
    replicas: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    observed_generation: i64,
    replicas: i64,
    updated_replicas: i64,
    available_replicas: i64,
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Deserialize)]
struct ContainerStatus {
    #[serde(default)]
    state: ContainerState,
}

#[derive(Debug, Default, Deserialize)]
struct ContainerState {
    waiting: Option<Waiting>,
}

#[derive(Debug, Deserialize)]
struct Waiting {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

/// How far Deployments and StatefulSets are, and what their pods wait for.
#[derive(Debug)]
struct State {
    items: Vec<Item>,
}

impl State {
    fn parse(json: &str) -> Result<Self> {
        let list: List = serde_json::from_str(json).context("failed to read kubectl's list of workloads and pods")?;
        Ok(Self { items: list.items })
    }

    fn workloads(&self) -> impl Iterator<Item = &Item> {
        let is_one = |item: &&Item| matches!(&*item.kind, "Deployment" | "StatefulSet");
        self.items.iter().filter(is_one)
    }

    /// The rule of `kubectl rollout status`: seen, all new, none old, all available.
    fn is_up(&self) -> bool {
        self.workloads().count() > 0
            && self.workloads().all(|item| {
                let (want, status) = (item.spec.replicas, &item.status);
                status.observed_generation >= item.metadata.generation
                    && status.updated_replicas == want
                    && status.replicas == want
                    && status.available_replicas == want
            })
    }

    /// `atelier-gateway 0/1, atelier-operator 1/1 (ImagePullBackOff: …)`.
    fn describe(&self) -> String {
        let counts = self.workloads().map(|item| {
            let ready = item.status.available_replicas.min(item.status.updated_replicas);
            format!("{} {ready}/{}", item.metadata.name, item.spec.replicas)
        });
        let mut text = counts.collect::<Vec<_>>().join(", ");
        let waiting = self.items.iter().flat_map(|item| &item.status.container_statuses);
        let troubles = waiting.filter_map(|status| status.state.waiting.as_ref());
        if let Some(trouble) = troubles
            .into_iter()
            .find(|waiting| waiting.reason != "ContainerCreating")
        {
            text.push_str(&format!(" ({}: {})", trouble.reason, trouble.message));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn state(observed: i64, updated: i64, all: i64, available: i64) -> State {
        let deployment = json!({
            "kind": "Deployment",
            "metadata": {"name": "atelier-operator", "generation": 2},
            "spec": {"replicas": 1},
            "status": {"observedGeneration": observed, "updatedReplicas": updated, "replicas": all, "availableReplicas": available},
        });
        let pod = json!({
            "kind": "Pod",
            "metadata": {"name": "atelier-operator-x"},
            "status": {"containerStatuses": [{"state": {"waiting": {"reason": "ErrImageNeverPull", "message": "no such image"}}}]},
        });
        State::parse(&json!({"items": [deployment, pod]}).to_string()).unwrap()
    }

    #[test]
    fn a_deployment_is_up_when_the_new_pods_serve_and_the_old_are_gone() {
        assert!(state(2, 1, 1, 1).is_up());
        assert!(!state(1, 1, 1, 1).is_up(), "the controller has not seen the change");
        assert!(!state(2, 0, 1, 1).is_up(), "only the old pod serves");
        assert!(!state(2, 1, 2, 1).is_up(), "the old pod is still there");
        assert!(!state(2, 1, 1, 0).is_up(), "the new pod is not ready");
        assert!(
            !State::parse(r#"{"items":[]}"#).unwrap().is_up(),
            "nothing is there yet"
        );
    }

    #[test]
    fn what_a_pod_waits_for_is_told() {
        assert_eq!(
            state(2, 1, 1, 0).describe(),
            "atelier-operator 0/1 (ErrImageNeverPull: no such image)"
        );
    }

    #[test]
    fn a_registry_gives_one_reference_per_component() {
        let values = Images::remote("registry.example.com/team/", "1.0").values();
        for value in [
            "operator.image=registry.example.com/team/operator:1.0",
            "data.image=registry.example.com/team/data:1.0",
            "database.embedded.image=registry.example.com/team/postgres:1.0",
        ] {
            assert!(values.iter().any(|it| it == value), "{value} in {values:?}");
        }
        let manifest = Images::remote("registry.example.com/team", "1.0").relocate("image: localhost/atelier/m:0.1.2");
        assert_eq!(manifest, "image: registry.example.com/team/m:0.1.2");
        assert_eq!(values.last().unwrap(), "image.pullPolicy=IfNotPresent");
    }
}
