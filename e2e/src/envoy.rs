//! Envoy Gateway in the cluster, by its own chart: a Gateway whose proxy is Envoy, and a controller that speaks for it.

use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;

use anyhow::{Context, Result, anyhow};
use futures::FutureExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::settings::{self, ENVOY_GATEWAY_IMAGE, ENVOY_IMAGE};
use crate::{helm, kubectl, wait};

/// Where its controller, the Gateway and the proxies are.
pub const NAMESPACE: &str = "envoy-gateway-system";
/// The Gateway.
pub const GATEWAY: &str = "public";
/// What its controller calls itself in each status that it writes.
pub const CONTROLLER: &str = "gateway.envoyproxy.io/gatewayclass-controller";

const RELEASE: &str = "eg";
const CLASS: &str = "envoy";
/// Where Envoy tells its figures.
const FIGURES_PORT: u16 = 19001;

/// A Gateway that takes requests.
pub struct Envoy {
    /// Where it takes them.
    pub address: SocketAddr,
}

/// Runs a case with Envoy Gateway in the cluster, which loses it afterwards, for other cases want to see none.
pub async fn with_envoy(case: impl AsyncFnOnce(Envoy) -> Result<()>) -> Result<()> {
    // An earlier run may have been cut off.
    remove().await?;
    let run = async || case(add().await?).await;
    let result = AssertUnwindSafe(run()).catch_unwind().await;
    let result = result.unwrap_or_else(|_| Err(anyhow!("the case panicked")));
    if result.is_err() {
        eprintln!("{}", dump().await);
    }
    remove().await?;
    result
}

/// The `spec.route` of what is reached by the Gateway at some hosts.
pub fn route(hosts: &[&str]) -> Value {
    json!({"gatewayApi": {"parentRefs": [{"name": GATEWAY, "namespace": NAMESPACE}], "hostnames": hosts}})
}

impl Envoy {
    /// Users who come by a host's name.
    pub fn users(&self, host: &str) -> Result<Gateway> {
        Gateway::of_host(host, self.address)
    }

    /// Requests that its proxies have sent to copies' clusters, by the clusters' names; those of routes that are gone are not
    /// among them.
    pub async fn mirrors(&self, client: &Client) -> Result<Vec<(String, u64)>> {
        let pods = Api::<Pod>::namespaced(client.clone(), NAMESPACE)
            .list(&ListParams::default().labels(&proxies()))
            .await
            .context("failed to list proxies")?;
        let mut mirrors = Vec::new();
        for address in pods.iter().filter_map(|pod| pod.status.as_ref()?.pod_ip.as_ref()) {
            let url = format!("http://{address}:{FIGURES_PORT}/stats/prometheus");
            let text = reqwest::get(&url).await?.error_for_status()?.text().await?;
            mirrors.extend(text.lines().filter_map(mirrored));
        }
        Ok(mirrors)
    }
}

/// What finds the pods of the Gateway.
fn proxies() -> String {
    format!("gateway.envoyproxy.io/owning-gateway-name={GATEWAY}")
}

/// The name and the figure in `envoy_cluster_upstream_rq_total{envoy_cluster_name="…-mirror-0"} 7`.
fn mirrored(line: &str) -> Option<(String, u64)> {
    let rest = line.strip_prefix("envoy_cluster_upstream_rq_total{")?;
    let (labels, count) = rest.rsplit_once("} ")?;
    let (_, rest) = labels.split_once("envoy_cluster_name=\"")?;
    let (name, _) = rest.split_once('"')?;
    let is_mirror = name.contains("-mirror-");
    Some((name.to_owned(), count.parse().ok()?)).filter(|_| is_mirror)
}

async fn add() -> Result<Envoy> {
    let chart = settings::envoy_gateway_chart()?;
    let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
    for dir in definitions()? {
        // Too large for the annotation of a client-side apply.
        kubectl::succeed(&["apply", "--server-side", "--filename", &dir], "").await?;
    }
    let established = ["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"];
    // It gives up at once on a definition that has no conditions yet.
    wait::until("the definitions to be established", async || {
        kubectl::succeed(&established, "").await.map(Some)
    })
    .await?;
    let values = path(&chart.join("values.tmpl.yaml"));
    let image =
        format!("global.images.envoyGateway.image={ENVOY_GATEWAY_IMAGE},global.images.envoyGateway.pullPolicy=Never");
    // Zones are nothing that is looked at here.
    let less = "crds.enabled=false,topologyInjector.enabled=false";
    let install = [
        "install",
        RELEASE,
        &path(&chart),
        "--values",
        &values,
        "--set",
        &image,
        "--set",
        less,
    ];
    let waiting = ["--create-namespace", "--wait", "--timeout", "5m"];
    helm::run_in(NAMESPACE, &[&install[..], &waiting[..]].concat()).await?;
    kubectl::succeed(&["apply", "--filename", "-"], &objects()).await?;
    holds("gatewayclass", CLASS, "Accepted").await?;
    holds("gateway", GATEWAY, "Accepted").await?;
    // With it the proxies run.
    holds("gateway", GATEWAY, "Programmed").await?;
    let address = get("gateway", GATEWAY).await?["status"]["addresses"][0]["value"].clone();
    let address: IpAddr = serde_json::from_value(address).context("the Gateway has no address")?;
    Ok(Envoy {
        address: (address, 80).into(),
    })
}

/// The Gateway, its class, and what its proxies are made of. Nothing gives Services of type LoadBalancer an address here.
fn objects() -> String {
    let proxies = json!({"type": "Kubernetes", "kubernetes": {
        "envoyDeployment": {"container": {
            "image": ENVOY_IMAGE,
            "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}},
        }},
        "envoyService": {"type": "ClusterIP"},
    }});
    let listener = json!({
        "name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}},
    });
    let parameters = json!({
        "group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": CLASS, "namespace": NAMESPACE,
    });
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyProxy",
            "metadata": {"name": CLASS, "namespace": NAMESPACE},
            // They would wait a minute for users to leave, and nobody uses them then.
            "spec": {"provider": proxies, "shutdown": {"drainTimeout": "5s", "minDrainDuration": "0s"}},
        },
        {
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
            "metadata": {"name": CLASS},
            "spec": {"controllerName": CONTROLLER, "parametersRef": parameters},
        },
        {
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
            "metadata": {"name": GATEWAY, "namespace": NAMESPACE},
            "spec": {"gatewayClassName": CLASS, "listeners": [listener]},
        },
    ]})
    .to_string()
}

/// Waits until the controller says so of an object.
async fn holds(kind: &str, name: &str, type_: &str) -> Result<()> {
    wait::until(&format!("{type_}=True on the {kind} {name}"), async || {
        let status = get(kind, name).await?["status"].clone();
        let mut conditions = status["conditions"].as_array().into_iter().flatten();
        let found = conditions.find(|it| it["type"] == type_);
        anyhow::ensure!(found.is_some_and(|it| it["status"] == "True"), "{status}");
        Ok(Some(()))
    })
    .await
}

async fn get(kind: &str, name: &str) -> Result<Value> {
    let told = kubectl::succeed(&["get", kind, name, "--namespace", NAMESPACE, "--output", "json"], "").await?;
    serde_json::from_str(&told).context("kubectl printed no JSON")
}

/// Where the definitions are: those of Gateway API, and those of Envoy Gateway.
fn definitions() -> Result<[String; 2]> {
    let own = settings::envoy_gateway_chart()?.join("charts/crds/crds/generated");
    let dirs = [settings::gateway_api_definitions()?, own];
    Ok(dirs.map(|dir| dir.to_string_lossy().into_owned()))
}

async fn remove() -> Result<()> {
    let known = kubectl::succeed(&["get", "crd", "--output", "name"], "").await?;
    // The class has a finalizer while it has a Gateway, so its controller must see both go.
    for (kind, name) in [("gateways", GATEWAY), ("gatewayclasses", CLASS)] {
        if known.contains(&format!("/{kind}.gateway.networking.k8s.io")) {
            let gone = [
                "delete",
                kind,
                name,
                "--namespace",
                NAMESPACE,
                "--ignore-not-found",
                "--timeout=60s",
            ];
            kubectl::succeed(&gone, "").await?;
        }
    }
    // A namespace that goes with a pod whose grace is long looks again only after half of that, which is minutes.
    let proxies = proxies();
    let left = [
        "get",
        "pods",
        "--namespace",
        NAMESPACE,
        "--selector",
        &proxies,
        "--output",
        "name",
    ];
    wait::until("the proxies to be gone", async || {
        Ok(kubectl::succeed(&left, "").await?.is_empty().then_some(()))
    })
    .await?;
    helm::run_in(NAMESPACE, &["uninstall", RELEASE, "--ignore-not-found", "--wait"]).await?;
    kubectl::succeed(&["delete", "namespace", NAMESPACE, "--ignore-not-found"], "").await?;
    for dir in definitions()? {
        kubectl::succeed(&["delete", "--ignore-not-found", "--filename", &dir], "").await?;
    }
    Ok(())
}

/// What helps to understand a failure.
async fn dump() -> String {
    let mut text = String::new();
    for args in [
        &[
            "get",
            "gateways,gatewayclasses,httproutes",
            "--all-namespaces",
            "--output",
            "yaml",
        ][..],
        &[
            "get",
            "pods,jobs,services,events",
            "--namespace",
            NAMESPACE,
            "--output",
            "wide",
        ],
        &[
            "logs",
            "deployment/envoy-gateway",
            "--namespace",
            NAMESPACE,
            "--tail=60",
        ],
    ] {
        text.push_str(&format!("--- kubectl {}\n", args.join(" ")));
        match kubectl::run(args, "").await {
            Ok(output) => text.push_str(&(output.stdout + &output.stderr)),
            Err(error) => text.push_str(&format!("{error:#}\n")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::mirrored;

    #[test]
    fn only_clusters_of_copies_are_counted() {
        let total = "envoy_cluster_upstream_rq_total{envoy_cluster_name=";
        let cluster = "httproute/ns/s/rule/0";
        let found = mirrored(&format!("{total}\"{cluster}-mirror-0\"}} 7"));
        assert_eq!(found, Some((format!("{cluster}-mirror-0"), 7)));
        assert_eq!(mirrored(&format!("{total}\"{cluster}\"}} 7")), None);
        let other = "envoy_cluster_upstream_cx_total{envoy_cluster_name=\"a-mirror-0\"} 7";
        assert_eq!(mirrored(other), None);
    }
}
