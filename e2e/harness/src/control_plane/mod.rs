//! A control plane of its own on loopback: etcd, kube-apiserver and kube-controller-manager, without a node.
//! It needs no rights and no network, so several run side by side on one machine.

mod access;
mod component;

pub use access::{namespace, remove_namespace};

use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;
use tempfile::TempDir;

use crate::wait;
use component::{Component, Ports};

/// It takes seconds; a machine under load takes longer.
const START: Duration = Duration::from_secs(120);
const ADMIN_TOKEN: &str = "admin";
const OPERATOR_TOKEN: &str = "operator";

/// A running control plane. Dropping it ends its processes and removes its files.
pub struct ControlPlane {
    /// A client with all rights.
    pub admin: Client,
    dir: TempDir,
    ports: Ports,
    _components: Vec<Component>,
}

impl ControlPlane {
    /// Starts one from the multi-call program that `e2e/cluster` builds, with our CRDs and roles in it.
    ///
    /// # Errors
    /// When a component does not start; its log is then kept in the system's temporary directory.
    pub async fn start(program: &Path, crds: &Path) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("atelier-harness-")
            .tempdir()
            .context("failed to create a directory")?;
        let ports = Ports {
            etcd: free_port()?,
            etcd_peers: free_port()?,
            apiserver: free_port()?,
        };
        let tokens = format!(
            "{ADMIN_TOKEN},admin,1,system:masters\n{OPERATOR_TOKEN},{},2,system:serviceaccounts\n",
            access::OPERATOR_USER
        );
        write(&dir.path().join("tokens.csv"), &tokens)?;
        let admin = dir.path().join("admin.kubeconfig");
        write(&admin, &kubeconfig(dir.path(), &ports, ADMIN_TOKEN))?;
        let mut components = vec![
            component::etcd(program, dir.path(), &ports)?,
            component::apiserver(program, dir.path(), &ports)?,
        ];
        let certificate = dir.path().join("certs/apiserver.crt");
        wait::until("the API server's certificate", START, async || {
            Ok(certificate.exists().then_some(()))
        })
        .await?;
        let plane = Self {
            admin: client(&admin).await?,
            ports,
            _components: Vec::new(),
            dir,
        };
        let ready = wait::until("the API server to be ready", START, async || {
            let request = http_get("/readyz")?;
            Ok(plane.admin.request_text(request).await.ok())
        })
        .await;
        if let Err(error) = ready {
            let logs = plane.dir.keep();
            return Err(error.context(format!("the logs are in {}", logs.display())));
        }
        components.push(component::controller_manager(program, plane.dir.path(), &admin)?);
        let plane = Self {
            _components: components,
            ..plane
        };
        access::install(&plane.admin, crds).await?;
        Ok(plane)
    }

    /// A client with the operator's rights.
    ///
    /// # Errors
    /// When the certificate cannot be read.
    pub async fn operator(&self) -> Result<Client> {
        client(&self.operator_kubeconfig()?).await
    }

    /// A kubeconfig with the operator's rights that leads here without a detour.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn operator_kubeconfig(&self) -> Result<PathBuf> {
        let path = self.dir.path().join("operator.kubeconfig");
        write(&path, &kubeconfig(self.dir.path(), &self.ports, OPERATOR_TOKEN))?;
        Ok(path)
    }

    /// Lets the operator keep its Lease in a namespace, which must exist.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn allow_lease(&self, namespace: &str) -> Result<()> {
        access::allow_own_namespace(&self.admin, namespace).await
    }

    /// Creates a namespace unless it is there.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn namespace(&self, name: &str) -> Result<()> {
        access::namespace(&self.admin, name).await
    }

    /// Deletes a namespace, unless it is gone already, without waiting for what was in it.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn remove_namespace(&self, name: &str) -> Result<()> {
        access::remove_namespace(&self.admin, name).await
    }

    /// Where logs of operators and whatever else may lie.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Keeps the logs when everything else goes, and tells where.
    pub fn keep_logs(&mut self) -> &Path {
        self.dir.disable_cleanup(true);
        self.dir.path()
    }
}

/// The API server's metrics.
///
/// # Errors
/// When it does not answer.
pub async fn metrics(client: &Client) -> Result<String> {
    let text = client.request_text(http_get("/metrics")?).await;
    text.context("failed to get the API server's metrics")
}

fn http_get(path: &str) -> Result<http::Request<Vec<u8>>> {
    http::Request::get(path)
        .body(Vec::new())
        .context("failed to build a request")
}

async fn client(kubeconfig: &Path) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).context("failed to read a kubeconfig")?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .context("failed to use a kubeconfig")?;
    config.default_retry = false;
    Client::try_from(config).context("failed to build a client")
}

fn kubeconfig(dir: &Path, ports: &Ports, token: &str) -> String {
    let cluster = json!({
        "server": format!("https://127.0.0.1:{}", ports.apiserver),
        "certificate-authority": dir.join("certs/apiserver.crt"),
    });
    config_with(&cluster, &json!({"token": token}))
}

/// A kubeconfig for a plain HTTP server, which authenticates for its callers.
pub fn plain_kubeconfig(server: &str) -> String {
    config_with(&json!({"server": server}), &json!({}))
}

fn config_with(cluster: &serde_json::Value, user: &serde_json::Value) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "harness",
        "clusters": [{"name": "harness", "cluster": cluster}],
        "users": [{"name": "harness", "user": user}],
        "contexts": [{"name": "harness", "context": {"cluster": "harness", "user": "harness"}}],
    })
    .to_string()
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
}

/// A port that nobody listens on at the moment.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("failed to find a free port")?;
    Ok(listener.local_addr().context("failed to read a port")?.port())
}
