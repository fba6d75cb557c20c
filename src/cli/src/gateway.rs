//! Programs inside of a gateway's pod: they reach what the gateway reaches.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use k8s_openapi::{
    api::core::v1::{Container, Pod},
    apimachinery::pkg::apis::meta::v1::Status,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{AttachParams, ListParams},
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy, stderr, stdout};

use crate::cluster::told;

/// The pods of the gateway, as the chart labels them.
const SELECTOR: &str = "app.kubernetes.io/name=atelier,app.kubernetes.io/component=gateway";
const CONTAINER: &str = "gateway";

/// A pod of the gateway that runs.
pub struct GatewayPod {
    pods: Api<Pod>,
    pod: Pod,
}

impl GatewayPod {
    /// One of those in a namespace.
    ///
    /// # Errors
    /// When none runs there.
    pub async fn find(client: &Client, namespace: &str) -> Result<Self> {
        let pods = Api::<Pod>::namespaced(client.clone(), namespace);
        let list = pods.list(&ListParams::default().labels(SELECTOR)).await;
        let list = list
            .map_err(told)
            .with_context(|| format!("failed to list the pods in namespace {namespace}"))?;
        let pod = list.items.into_iter().find(runs).with_context(|| {
            format!("no gateway runs in namespace {namespace}: name the one that Atelier is installed in")
        })?;
        Ok(Self { pods, pod })
    }

    /// The value of an option that the gateway was started with.
    pub fn option(&self, name: &str) -> Option<&str> {
        let args = gateway_container(&self.pod)?.args.iter().flatten();
        args.filter_map(|arg| arg.strip_prefix(name)?.strip_prefix('=')).next()
    }

    /// A connection to a port of the gateway, through the API server.
    ///
    /// # Errors
    /// When there is none to be had.
    pub async fn connect(&self, port: u16) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + use<>> {
        let name = self.pod.name_any();
        let forwarded = self.pods.portforward(&name, &[port]).await;
        let mut forwarded = forwarded.with_context(|| {
            let namespace = self.pod.namespace().unwrap_or_default();
            format!(
                "failed to reach the pod {name}: it takes the right to create pods/portforward in namespace {namespace}"
            )
        })?;
        forwarded.take_stream(port).context("the port was not forwarded")
    }

    /// Runs a program and passes on what it prints, and how it ends.
    ///
    /// # Errors
    /// When it cannot be run, or the connection breaks off.
    pub async fn run(&self, command: Vec<String>, input: Option<Vec<u8>>) -> Result<ExitCode> {
        let name = self.pod.name_any();
        let params = AttachParams::default()
            .container(CONTAINER)
            .stdin(input.is_some())
            .stdout(true)
            .stderr(true);
        let process = self.pods.exec(&name, command, &params).await;
        let mut process = process.with_context(|| {
            let namespace = self.pod.namespace().unwrap_or_default();
            format!("failed to enter the pod {name}: it takes the right to create pods/exec in namespace {namespace}")
        })?;
        let status = process.take_status().context("the process has no status")?;
        let output = process.stdout().context("the process has no output")?;
        let errors = process.stderr().context("the process has no error output")?;
        let writer = process.stdin();
        let feed = async move {
            if let (Some(mut writer), Some(input)) = (writer, input) {
                // A program that ends early has its reasons, and tells them.
                let _ = writer.write_all(&input).await;
                let _ = writer.shutdown().await;
            }
        };
        let (mut to_output, mut to_errors) = (stdout(), stderr());
        let (mut output, mut errors) = (output, errors);
        let (printed, told, ()) = tokio::join!(
            copy(&mut output, &mut to_output),
            copy(&mut errors, &mut to_errors),
            feed
        );
        printed.and(told).context("failed to pass on what the program prints")?;
        to_output.flush().await.context("failed to write to standard output")?;
        let status = status.await.context("the connection to the pod broke off")?;
        code(&status)
    }
}

fn runs(pod: &Pod) -> bool {
    let containers = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    let mut running = containers.filter(|status| status.state.as_ref().is_some_and(|state| state.running.is_some()));
    pod.metadata.deletion_timestamp.is_none() && running.any(|status| status.name == CONTAINER)
}

fn gateway_container(pod: &Pod) -> Option<&Container> {
    let spec = pod.spec.as_ref()?;
    spec.containers.iter().find(|container| container.name == CONTAINER)
}

/// How a program has ended, in the words of the API server.
fn code(status: &Status) -> Result<ExitCode> {
    if status.status.as_deref() == Some("Success") {
        return Ok(ExitCode::SUCCESS);
    }
    let causes = status
        .details
        .iter()
        .flat_map(|details| details.causes.iter().flatten());
    let mut codes = causes.filter(|cause| cause.reason.as_deref() == Some("ExitCode"));
    let code = codes.find_map(|cause| cause.message.as_ref()?.parse::<u8>().ok());
    match code {
        Some(code) => Ok(code.into()),
        None => bail!(
            "the program was not run: {}",
            status.message.as_deref().unwrap_or("no reason given")
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(value: Value) -> Pod {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_pod_serves_while_its_gateway_runs_and_nobody_has_deleted_it() {
        let state = |name: &str, state: &str| json!({"name": name, "ready": true, "restartCount": 0, "image": "", "imageID": "", "state": {state: {}}});
        let with = |metadata: Value, statuses: Value| {
            pod(json!({"metadata": metadata, "status": {"containerStatuses": statuses}}))
        };
        assert!(runs(&with(json!({}), json!([state("gateway", "running")]))));
        assert!(!runs(&with(
            json!({}),
            json!([state("gateway", "waiting"), state("mesh", "running")])
        )));
        assert!(!runs(&with(json!({}), json!([]))));
        let deleted = json!({"deletionTimestamp": "2026-11-26T10:00:00Z"});
        assert!(!runs(&with(deleted, json!([state("gateway", "running")]))));
    }

    #[test]
    fn the_code_of_a_program_is_passed_on_and_anything_else_is_an_error() {
        let status = |value: Value| code(&serde_json::from_value(value).unwrap());
        assert_eq!(status(json!({"status": "Success"})).unwrap(), ExitCode::SUCCESS);
        let failed = json!({"status": "Failure", "reason": "NonZeroExitCode", "message": "exit code 2",
            "details": {"causes": [{"reason": "ExitCode", "message": "2"}]}});
        assert_eq!(status(failed).unwrap(), ExitCode::from(2));
        let error = status(json!({"status": "Failure", "reason": "InternalError", "message": "no such program"}));
        assert!(error.unwrap_err().to_string().contains("no such program"));
    }
}
