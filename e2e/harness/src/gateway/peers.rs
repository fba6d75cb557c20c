//! Gateways of others, in front of the same upstream.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::json;

use super::{
    load::Target,
    process::Process,
    world::{QUICK, listening, pinned},
};
use crate::control_plane::free_port;

/// A running gateway.
pub struct Peer {
    /// Requests through it.
    pub target: Target,
    _process: Process,
}

/// Envoy, which only passes requests on: the least that a proxy can cost.
pub async fn envoy(program: &Path, dir: &Path, upstream: SocketAddr, core: usize) -> Result<Peer> {
    let address = free_address()?;
    let socket = |address: SocketAddr| json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}});
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    });
    let hosts = json!([{
        "name": "all", "domains": ["*"],
        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": "0s"}}],
    }]);
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench", "route_config": {"virtual_hosts": hosts}, "http_filters": [router],
    });
    let filter = json!({"name": "envoy.filters.network.http_connection_manager", "typed_config": manager});
    let endpoint = json!({"endpoint": {"address": socket(upstream)}});
    let config = json!({"static_resources": {
        "listeners": [{"name": "bench", "address": socket(address), "filter_chains": [{"filters": [filter]}]}],
        "clusters": [{
            "name": "upstream", "type": "STATIC",
            "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": [endpoint]}]},
            // Its default of 1,024 requests at once would refuse some.
            "circuit_breakers": {"thresholds": [{"max_connections": 100_000, "max_pending_requests": 100_000, "max_requests": 100_000}]},
        }],
    }});
    let file = write(dir, "envoy.json", &config.to_string())?;
    let mut command = pinned(core, program);
    command.arg("--config-path").arg(file);
    command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]);
    start(command, address).await
}

/// LiteLLM, which many people use for what we do.
pub async fn litellm(packages: &Path, dir: &Path, upstream: SocketAddr, core: usize) -> Result<Peer> {
    let address = free_address()?;
    let model = json!({
        "model_name": QUICK,
        "litellm_params": {"model": format!("openai/{QUICK}"), "api_base": format!("http://{upstream}/v1"), "api_key": "none"},
    });
    let file = write(dir, "litellm.json", &json!({"model_list": [model]}).to_string())?;
    let mut command = pinned(core, Path::new("python3"));
    command
        .args(["-c", "from litellm import run_server; run_server()", "--config"])
        .arg(file);
    command.args([
        "--host",
        "127.0.0.1",
        "--port",
        &address.port().to_string(),
        "--num_workers",
        "1",
    ]);
    command.env("PYTHONPATH", packages).env("NO_PROXY", "*");
    // It would ask for prices over the network.
    command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
    start(command, address).await
}

async fn start(mut command: tokio::process::Command, address: SocketAddr) -> Result<Peer> {
    let child = command.spawn().context("failed to start a peer")?;
    let process = Process::new(child)?;
    listening(address).await?;
    Ok(Peer {
        target: Target {
            address,
            model: QUICK,
            token: None,
        },
        _process: process,
    })
}

fn free_address() -> Result<SocketAddr> {
    Ok(SocketAddr::from(([127, 0, 0, 1], free_port()?)))
}

fn write(dir: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = dir.join(name);
    std::fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
    Ok(path)
}
