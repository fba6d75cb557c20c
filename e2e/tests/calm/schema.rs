//! The four CRDs on the real apiserver: they apply as they are, and every rule does what it says.

use anyhow::{Result, ensure};
use atelier_e2e::{kubectl, with_namespace};
use serde_json::json;

#[tokio::test]
async fn a_misspelt_field_is_refused() -> Result<()> {
    with_namespace("strict", async |namespace| {
        let manifest = json!({
            "apiVersion": "atelier.dev/v1alpha1",
            "kind": "LlmModel",
            "metadata": {"name": "m"},
            "spec": {"source": {"oci": {"image": "localhost/x:1"}}, "replica": 2},
        });
        let args = [
            "apply",
            "--validate=strict",
            "--namespace",
            &namespace.name,
            "--filename",
            "-",
        ];
        let output = kubectl::run(&args, &manifest.to_string()).await?;
        ensure!(
            !output.success && output.stderr.contains("spec.replica"),
            "{}",
            output.stderr
        );
        Ok(())
    })
    .await
}
