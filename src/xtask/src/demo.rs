//! The identity with which `up`, `ask` and `env` talk to the gateway: a ServiceAccount that may ask models.

use anyhow::{Context, Result};

use crate::process;
use crate::target::Target;

/// Namespace of the ServiceAccount and of the quickstart's model.
const NAMESPACE: &str = "default";
const ACCOUNT: &str = "atelier-demo";
/// The audience that the chart's gateway accepts.
const AUDIENCE: &str = "atelier";
const LIFETIME: &str = "24h";

/// May ask every model of its own namespace and do nothing else.
const MANIFEST: &str = "\
apiVersion: v1
kind: ServiceAccount
metadata: {name: atelier-demo, namespace: default}
automountServiceAccountToken: false
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: atelier-demo, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: atelier-infer}
subjects:
  - {kind: ServiceAccount, name: atelier-demo, namespace: default}
";

/// Creates the ServiceAccount and its right.
pub fn ensure(target: &Target) -> Result<()> {
    process::feed(target.kubectl().args(["apply", "--filename", "-"]), MANIFEST)
        .map(drop)
        .context("failed to create the ServiceAccount that asks the model")
}

/// A fresh token for the gateway.
pub fn token(target: &Target) -> Result<String> {
    let mut create = target.kubectl();
    create.args([
        "create",
        "token",
        ACCOUNT,
        "--namespace",
        NAMESPACE,
        "--audience",
        AUDIENCE,
        "--duration",
        LIFETIME,
    ]);
    let token =
        process::read(&mut create).context("failed to get a token for the gateway: has `cargo xtask up` been run?")?;
    Ok(token.trim().to_owned())
}
