//! What `cargo xtask e2e` passes to the tests by environment variables.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// Namespace that the chart is installed in.
pub const SYSTEM_NAMESPACE: &str = "atelier-system";
/// The bundled model's image, which every node of the test cluster has.
pub const MODEL_IMAGE: &str = "localhost/atelier/smollm2-135m-instruct:0.1.2";
/// The image of an encoder, which the test cluster has as well.
pub const ENCODER_IMAGE: &str = "localhost/atelier/all-minilm-l6-v2:0.1.0";
/// The image of dialogues to train on, which the test cluster has as well.
pub const DIALOGUES_IMAGE: &str = "localhost/atelier/chatterbot-english:1.3.3";
/// The image of llama.cpp's server, which the test cluster has with `cargo xtask e2e --peers`.
pub const ENGINE_IMAGE: &str = "localhost/atelier/llama-server:0.3.36";
/// The image of Envoy Gateway, which the test cluster has with `cargo xtask e2e envoy`.
pub const ENVOY_GATEWAY_IMAGE: &str = "localhost/atelier/envoy-gateway:v1.9.1";
/// The image of its proxies, which the test cluster then has as well.
pub const ENVOY_IMAGE: &str = "localhost/atelier/envoy:1.40.0";
/// The address of this machine as pods see it.
pub const HOST_ADDRESS: &str = "10.77.0.1";

/// The gateway's base URL, without `/v1`.
pub fn gateway_url() -> Result<String> {
    variable("ATELIER_URL")
}

/// The program that runs the cluster; `atelier-cluster kubectl` is kubectl.
pub fn cluster_program() -> Result<PathBuf> {
    variable("ATELIER_CLUSTER_BIN").map(Into::into)
}

/// The cluster's directory: logs, audit log.
pub fn cluster_dir() -> Result<PathBuf> {
    variable("ATELIER_CLUSTER_DIR").map(Into::into)
}

/// The plugin of kubectl.
pub fn plugin_program() -> Result<PathBuf> {
    variable("ATELIER_PLUGIN_BIN").map(Into::into)
}

/// helm.
pub fn helm_program() -> Result<PathBuf> {
    variable("ATELIER_HELM_BIN").map(Into::into)
}

/// A directory with the Python package `openai`.
pub fn openai_package() -> Result<PathBuf> {
    variable("ATELIER_OPENAI_PYTHONPATH").map(Into::into)
}

/// A directory with the Python package `langchain-openai`.
pub fn langchain_package() -> Result<PathBuf> {
    variable("ATELIER_LANGCHAIN_PYTHONPATH").map(Into::into)
}

/// A directory with the Python package `litellm`.
pub fn litellm_package() -> Result<PathBuf> {
    variable("ATELIER_LITELLM_PYTHONPATH").map(Into::into)
}

/// A directory with the Python package `schemathesis`.
pub fn schemathesis_package() -> Result<PathBuf> {
    variable("ATELIER_SCHEMATHESIS_PYTHONPATH").map(Into::into)
}

/// A client of any gRPC server.
pub fn grpcurl_program() -> Result<PathBuf> {
    variable("ATELIER_GRPCURL_BIN").map(Into::into)
}

/// An S3 server.
pub fn s3_program() -> Result<PathBuf> {
    variable("ATELIER_S3_BIN").map(Into::into)
}

/// An OCI registry.
pub fn registry_program() -> Result<PathBuf> {
    variable("ATELIER_REGISTRY_BIN").map(Into::into)
}

/// The definition of HTTPRoutes, as Gateway API releases it.
pub fn http_route_definition() -> Result<PathBuf> {
    Ok(gateway_api_definitions()?.join("gateway.networking.k8s.io_httproutes.yaml"))
}

/// A directory with all of the definitions that Gateway API calls standard.
pub fn gateway_api_definitions() -> Result<PathBuf> {
    Ok(PathBuf::from(variable("ATELIER_GATEWAY_API_DIR")?).join("config/crd/standard"))
}

/// The chart of Envoy Gateway, as its source has it: values that a release fills in are left out.
pub fn envoy_gateway_chart() -> Result<PathBuf> {
    Ok(PathBuf::from(variable("ATELIER_ENVOY_GATEWAY_DIR")?).join("charts/gateway-helm"))
}

/// The bundled model's weights as a file on this machine.
pub fn model_file() -> Result<PathBuf> {
    Ok(PathBuf::from(variable("ATELIER_MODEL_DIR")?).join("SmolLM2-135M-Instruct.Q4_1.gguf"))
}

fn variable(name: &str) -> Result<String> {
    env::var(name).with_context(|| format!("{name} is not set: run these tests by `cargo xtask e2e`"))
}
