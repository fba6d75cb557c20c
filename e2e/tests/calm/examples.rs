//! Everything in `examples/` is accepted by a cluster with the chart.

use anyhow::{Result, ensure};
use atelier_e2e::{checkout, kubectl, with_namespace};

#[tokio::test]
async fn every_example_applies() -> Result<()> {
    with_namespace("examples", async |namespace| {
        for file in checkout::manifests("examples")? {
            let path = file.to_string_lossy();
            // A namespace named in the file would win over ours: such objects are checked where they are.
            let text = std::fs::read_to_string(&file)?;
            let mut args = vec!["apply", "--validate=strict", "--filename", &path];
            if text.lines().any(|line| line.trim_start().starts_with("namespace:")) {
                args.push("--dry-run=server");
            } else {
                args.extend(["--namespace", &namespace.name]);
            }
            let printed = kubectl::succeed(&args, "").await?;
            ensure!(printed.contains("llmmodel.atelier.dev/"), "{path}: {printed}");
        }
        Ok(())
    })
    .await
}
