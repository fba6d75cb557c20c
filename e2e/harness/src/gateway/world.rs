//! Models whose workers are upstreams of the harness, and a caller.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result};
use api::names::{LABEL_MANAGED_BY, LABEL_MODEL, LABEL_VERSION, MANAGED_BY};
use k8s_openapi::api::{
    authentication::v1::TokenRequest, core::v1::ServiceAccount, discovery::v1::EndpointSlice,
    rbac::v1::ClusterRoleBinding,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::process::Command;

use super::upstream::Upstream;
use crate::{control_plane::ControlPlane, wait};

/// Where all of them are.
pub const NAMESPACE: &str = "bench";
const VERSION: &str = "v-0123456789";
/// Whose model it is that streams slowly.
pub const SLOW: &str = "slow";
/// The other one.
pub const QUICK: &str = "m";
/// The one whose texts are checked.
pub const GUARDED: &str = "guarded";
/// Between two events of a stream: a fast model's pace, and one at which thousands of streams fit on a core.
const PACES: [(&str, Duration); 3] = [
    (QUICK, Duration::from_millis(2)),
    (SLOW, Duration::from_millis(1000)),
    (GUARDED, Duration::from_millis(2)),
];

/// What gateways need: models, workers, and somebody who may ask.
pub struct World {
    /// A caller's token.
    pub token: String,
    /// The quick model's worker.
    pub upstream: SocketAddr,
    /// How a gateway reaches the API server.
    pub kubeconfig: PathBuf,
    _upstreams: Vec<Upstream>,
}

impl World {
    /// Starts all of it.
    ///
    /// # Errors
    /// When a part of it does not start.
    pub async fn start(plane: &ControlPlane) -> Result<Self> {
        let client = plane.admin.clone();
        plane.namespace(NAMESPACE).await?;
        let address = own_address()?;
        let mut upstreams = Vec::new();
        for (model, pace) in PACES {
            let upstream = Upstream::start(address, pace).await?;
            serve(&client, model, upstream.address).await?;
            upstreams.push(upstream);
        }
        Ok(Self {
            token: caller(&client).await?,
            upstream: upstreams[0].address,
            kubeconfig: plane.dir().join("admin.kubeconfig"),
            _upstreams: upstreams,
        })
    }
}

/// A program on one core, with one thread if it is of tokio.
pub fn pinned(core: usize, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &core.to_string()]).arg(program);
    command.env("TOKIO_WORKER_THREADS", "1");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true);
    command
}

/// Waits until a server listens.
///
/// # Errors
/// When it does not.
pub async fn listening(address: SocketAddr) -> Result<()> {
    wait::until(
        &format!("somebody to listen at {address}"),
        wait::PATIENCE,
        async || Ok(tokio::net::TcpStream::connect(address).await.ok().map(drop)),
    )
    .await
}

/// An address of this machine that an EndpointSlice may have, which loopback is not. Nothing is sent.
///
/// # Errors
/// When there is none.
pub fn own_address() -> Result<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").context("failed to open a socket")?;
    socket
        .connect("192.0.2.1:9")
        .context("this machine has no address but loopback")?;
    Ok(socket.local_addr().context("failed to read an address")?.ip())
}

/// A model that is ready, with one worker.
///
/// # Errors
/// When the API server refuses a part of it.
pub async fn serve(client: &Client, model: &str, worker: SocketAddr) -> Result<()> {
    let fields = match model {
        GUARDED => json!({"guardrails": guardrails()}),
        _ => json!({}),
    };
    serve_as(client, model, worker, fields).await
}

/// [`serve`], with more fields of its spec.
///
/// # Errors
/// When the API server refuses a part of it.
pub async fn serve_as(client: &Client, model: &str, worker: SocketAddr, fields: serde_json::Value) -> Result<()> {
    let models = Api::<api::LlmModel>::namespaced(client.clone(), NAMESPACE);
    let mut spec = fields;
    spec["source"] = json!({"oci": {"image": "models/bench:1"}});
    let object: api::LlmModel = serde_json::from_value(json!({
        "apiVersion": "atelier.dev/v1alpha1", "kind": "LlmModel", "metadata": {"name": model}, "spec": spec,
    }))?;
    models
        .create(&PostParams::default(), &object)
        .await
        .context("failed to create a model")?;
    let ready = json!({
        "type": "Ready", "status": "True", "reason": "Serving", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    let status = json!({"status": {"currentVersion": VERSION, "conditions": [ready]}});
    let patched = models
        .patch_status(model, &PatchParams::default(), &Patch::Merge(status))
        .await;
    patched.context("failed to say that a model is ready")?;
    let slice: EndpointSlice = serde_json::from_value(json!({
        "metadata": {"name": model, "labels": {
            LABEL_MANAGED_BY: MANAGED_BY, LABEL_MODEL: model, LABEL_VERSION: VERSION,
        }},
        "addressType": "IPv4",
        "ports": [{"name": "api", "port": worker.port()}],
        "endpoints": [{"addresses": [worker.ip().to_string()], "conditions": {"ready": true}}],
    }))?;
    let slices = Api::<EndpointSlice>::namespaced(client.clone(), NAMESPACE);
    slices
        .create(&PostParams::default(), &slice)
        .await
        .context("failed to create an EndpointSlice")?;
    Ok(())
}

/// Every detector, on the question and on the answer, none of which finds anything in what the bench says.
fn guardrails() -> serde_json::Value {
    let checks = |more: &[serde_json::Value]| {
        let mut checks = vec![
            json!({"name": "people", "detector": "PersonalData", "onViolation": "Redact"}),
            json!({"name": "keys", "detector": "Secrets"}),
            json!({"name": "topic", "detector": "Pattern", "pattern": r"(?i)\bproject (?:falcon|owl)\b"}),
        ];
        checks.extend_from_slice(more);
        checks
    };
    let overriding = json!({"name": "overriding", "detector": "PromptInjection"});
    let hidden = json!({"name": "hidden", "detector": "InvisibleUnicode", "onViolation": "Redact"});
    json!({"input": checks(&[overriding, hidden]), "output": checks(&[]), "onViolation": "Refuse"})
}

/// The token of a ServiceAccount that may ask everything.
async fn caller(client: &Client) -> Result<String> {
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), NAMESPACE);
    let account: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": "caller"}}))?;
    accounts
        .create(&PostParams::default(), &account)
        .await
        .context("failed to create a ServiceAccount")?;
    let binding: ClusterRoleBinding = serde_json::from_value(json!({
        "metadata": {"name": "bench-caller"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "caller", "namespace": NAMESPACE}],
    }))?;
    let bindings = Api::<ClusterRoleBinding>::all(client.clone());
    bindings
        .create(&PostParams::default(), &binding)
        .await
        .context("failed to bind a role")?;
    let request: TokenRequest = serde_json::from_value(json!({
        "metadata": {}, "spec": {"audiences": [api::names::AUDIENCE], "expirationSeconds": 3600},
    }))?;
    let answer = accounts
        .create_token_request("caller", &PostParams::default(), &request)
        .await;
    let status = answer.context("failed to get a token")?.status;
    status
        .and_then(|status| status.token)
        .context("the token request was not answered")
}
