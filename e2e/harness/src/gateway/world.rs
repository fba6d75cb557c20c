//! A gateway with two models, whose workers are upstreams of the harness.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    path::Path,
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

use super::{load::Target, process::Process, upstream::Upstream};
use crate::{
    control_plane::{ControlPlane, free_port},
    wait,
};

const NAMESPACE: &str = "bench";
const VERSION: &str = "v-0123456789";
/// Whose model it is that streams slowly.
pub const SLOW: &str = "slow";
/// The other one.
pub const QUICK: &str = "m";
/// Between two events of a stream: a fast model's pace, and one at which thousands of streams fit on a core.
const PACES: [(&str, Duration); 2] = [(QUICK, Duration::from_millis(2)), (SLOW, Duration::from_millis(1000))];

/// The gateway and what it needs.
pub struct World {
    /// The gateway, as a client sees it.
    pub gateway: SocketAddr,
    /// Its process.
    pub process: Process,
    /// A caller's token.
    pub token: String,
    /// The quick model's worker.
    pub upstream: SocketAddr,
    _upstreams: Vec<Upstream>,
}

impl World {
    /// Starts all of it, the gateway on one core.
    ///
    /// # Errors
    /// When a part of it does not start.
    pub async fn start(plane: &ControlPlane, program: &Path, core: usize) -> Result<Self> {
        let client = plane.admin.clone();
        plane.namespace(NAMESPACE).await?;
        let address = own_address()?;
        let mut upstreams = Vec::new();
        for (model, pace) in PACES {
            let upstream = Upstream::start(address, pace).await?;
            serve(&client, model, upstream.address).await?;
            upstreams.push(upstream);
        }
        let token = caller(&client).await?;
        let (port, admin) = (free_port()?, free_port()?);
        let grpc = free_port()?;
        let kubeconfig = plane.dir().join("admin.kubeconfig");
        let child = pinned(core, program)
            .args([
                &format!("--listen=127.0.0.1:{port}"),
                &format!("--admin-listen=127.0.0.1:{admin}"),
                &format!("--grpc-listen=127.0.0.1:{grpc}"),
                "--max-connections=20000",
            ])
            .env("KUBECONFIG", kubeconfig)
            .spawn()
            .context("failed to start the gateway")?;
        let process = Process::new(child)?;
        let gateway = SocketAddr::from(([127, 0, 0, 1], port));
        listening(gateway).await?;
        Ok(Self {
            gateway,
            process,
            token,
            upstream: upstreams[0].address,
            _upstreams: upstreams,
        })
    }

    /// Requests for a model through the gateway.
    pub fn target(&self, model: &'static str) -> Target {
        Target {
            address: self.gateway,
            model,
            token: Some(self.token.clone()),
        }
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
fn own_address() -> Result<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").context("failed to open a socket")?;
    socket
        .connect("192.0.2.1:9")
        .context("this machine has no address but loopback")?;
    Ok(socket.local_addr().context("failed to read an address")?.ip())
}

/// A model that is ready, with one worker.
async fn serve(client: &Client, model: &str, worker: SocketAddr) -> Result<()> {
    let models = Api::<api::LlmModel>::namespaced(client.clone(), NAMESPACE);
    let object: api::LlmModel = serde_json::from_value(json!({
        "apiVersion": "atelier.dev/v1alpha1", "kind": "LlmModel", "metadata": {"name": model},
        "spec": {"source": {"oci": {"image": "models/bench:1"}}},
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
