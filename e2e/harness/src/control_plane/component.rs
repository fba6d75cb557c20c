//! The processes of a control plane.

use std::{fs::File, path::Path, process::Stdio};

use anyhow::{Context, Result};
use tokio::process::{Child, Command};

/// The controllers that the operator and the garbage collection rely on. None of them looks at nodes: there are
/// none, and pods are moved on by [`crate::kubelet`].
const CONTROLLERS: &str = "deployment-controller,replicaset-controller,job-controller,garbage-collector-controller,\
    namespace-controller,serviceaccount-controller,disruption-controller,\
    persistentvolumeclaim-protection-controller";

/// Where the processes listen.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// Clients of etcd.
    pub etcd: u16,
    /// Other members of etcd, of which there are none.
    pub etcd_peers: u16,
    /// The API server.
    pub apiserver: u16,
}

/// A process. It ends when this is dropped.
pub struct Component {
    _child: Child,
}

impl Component {
    fn start(program: &Path, name: &'static str, dir: &Path, arguments: &[String]) -> Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let log = File::create(&log).with_context(|| format!("failed to create {}", log.display()))?;
        let errors = log.try_clone().context("failed to copy a log's handle")?;
        let child = Command::new(program)
            // The program is whatever component it is called by.
            .arg0(name)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("failed to start {name} from {}", program.display()))?;
        Ok(Self { _child: child })
    }
}

/// etcd.
pub fn etcd(program: &Path, dir: &Path, ports: &Ports) -> Result<Component> {
    let (clients, peers) = (
        format!("http://127.0.0.1:{}", ports.etcd),
        format!("http://127.0.0.1:{}", ports.etcd_peers),
    );
    let arguments = [
        "--name=harness".to_owned(),
        format!("--data-dir={}", dir.join("etcd").display()),
        format!("--listen-client-urls={clients}"),
        format!("--advertise-client-urls={clients}"),
        format!("--listen-peer-urls={peers}"),
        format!("--initial-advertise-peer-urls={peers}"),
        format!("--initial-cluster=harness={peers}"),
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ];
    Component::start(program, "etcd", dir, &arguments)
}

/// kube-apiserver, with a certificate that it makes itself and callers known by tokens.
pub fn apiserver(program: &Path, dir: &Path, ports: &Ports) -> Result<Component> {
    let key = dir.join("certs/apiserver.key");
    let arguments = [
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", ports.apiserver),
        format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd),
        // It would write its address into Endpoints every few seconds, which may not be a loopback address.
        "--endpoint-reconciler-type=none".to_owned(),
        // Room for the Services of many thousand models.
        "--service-cluster-ip-range=10.96.0.0/12".to_owned(),
        format!("--cert-dir={}", dir.join("certs").display()),
        "--authorization-mode=RBAC".to_owned(),
        "--anonymous-auth=false".to_owned(),
        format!("--token-auth-file={}", dir.join("tokens.csv").display()),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-signing-key-file={}", key.display()),
        format!("--service-account-key-file={}", key.display()),
    ];
    Component::start(program, "kube-apiserver", dir, &arguments)
}

/// kube-controller-manager, with limits on its calls that do not slow it down.
pub fn controller_manager(program: &Path, dir: &Path, kubeconfig: &Path) -> Result<Component> {
    let arguments = [
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--controllers={CONTROLLERS}"),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        "--kube-api-qps=2000".to_owned(),
        "--kube-api-burst=4000".to_owned(),
    ];
    Component::start(program, "kube-controller-manager", dir, &arguments)
}
