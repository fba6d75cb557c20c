//! A worker that needs more memory than was estimated gets it, in the same pod.

use anyhow::{Context, Result, ensure};
use atelier_e2e::{Model, kubectl, model, wait, with_namespace};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;

#[tokio::test]
async fn a_replica_gets_more_memory_where_it_runs() -> Result<()> {
    with_namespace("memory", async |namespace| {
        let model = Model::create(&namespace, "m", model::bundled()).await?;
        model.ready().await?;
        let pods = namespace.api::<Pod>();
        let before = pods.get(&model.serving_pod().await?).await?;
        let limit = memory_of(&before)?;
        // Several take all that there is, until the kernel ends the largest process for it: the worker.
        let name = before.name_any();
        let hogs = "tail /dev/zero & tail /dev/zero & tail /dev/zero & tail /dev/zero";
        let exec = ["exec", &name, "--namespace", &namespace.name, "--", "sh", "-c", hogs];
        kubectl::run(&exec, "").await?;
        let raised = wait::until("more memory", async || {
            let status = model.get().await?.status.unwrap_or_default();
            Ok(status.versions.iter().find_map(|version| version.memory))
        })
        .await?;
        ensure!(raised > limit, "{raised} bytes after {limit}");
        let after = wait::until("the pod with more memory", async || {
            let pod = pods.get(&name).await?;
            Ok((memory_of(&pod)? == raised).then_some(pod))
        })
        .await?;
        ensure!(after.uid() == before.uid(), "it is another pod");
        model.ready().await?;
        let answer = namespace
            .gateway()
            .await?
            .ask(&model.address(), "Name the capital city of France.")
            .await?;
        ensure!(answer.contains("Paris"), "{answer}");
        let events = kubectl::succeed(&["describe", "llm", "m", "--namespace", &namespace.name], "").await?;
        ensure!(
            events.contains("MemoryRaised") && events.contains("spec.resources.memory"),
            "{events}"
        );
        Ok(())
    })
    .await
}

/// What its container gets, as the kubelet has set it.
fn memory_of(pod: &Pod) -> Result<i64> {
    let statuses = pod
        .status
        .as_ref()
        .and_then(|status| status.container_statuses.as_ref());
    let status = statuses.and_then(|list| list.first()).context("no container yet")?;
    let limits = status
        .resources
        .as_ref()
        .and_then(|resources| resources.limits.as_ref());
    let memory = &limits
        .and_then(|limits| limits.get("memory"))
        .context("no limit yet")?
        .0;
    let mebibytes = memory
        .strip_suffix("Mi")
        .with_context(|| format!("{memory} is not in mebibytes"))?;
    Ok(mebibytes.parse::<i64>()? << 20)
}
