//! The four CRDs on the real apiserver: they apply as they are, and every rule does what it says.

use anyhow::{Context, Result, ensure};
use api::cel_cases::{self, Case};
use atelier_e2e::{Namespace, checkout, kubectl, wait, with_namespace};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

/// Cases that are tried at the same time.
const AT_ONCE: usize = 8;

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

/// The chart brings the kinds that have a controller; the others are there for this case only.
#[tokio::test]
async fn every_rule_accepts_and_refuses() -> Result<()> {
    with_namespace("schema", async |namespace| {
        let client = namespace.client.clone();
        let mut added = Vec::new();
        for file in checkout::manifests("crds")? {
            added.extend(define(&client, &file.to_string_lossy()).await?);
        }
        let tried = try_all(&namespace).await;
        // Also after a failure: what this case added must not stay.
        for name in &added {
            definitions(&client).delete(name, &DeleteParams::default()).await?;
        }
        tried
    })
    .await
}

fn definitions(client: &Client) -> Api<CustomResourceDefinition> {
    Api::all(client.clone())
}

/// Applies a definition as people do, and returns its name if the cluster did not have it.
async fn define(client: &Client, file: &str) -> Result<Option<String>> {
    let name = std::path::Path::new(file)
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    // One that is there belongs to the chart: what would come of it is enough.
    let has_it = definitions(client).get_opt(&name).await?.is_some();
    let dry_run = if has_it { "--dry-run=server" } else { "--dry-run=none" };
    kubectl::succeed(&["apply", dry_run, "--filename", file], "").await?;
    wait::until(&format!("the definition {name}"), async || {
        let found = definitions(client).get(&name).await?;
        let conditions = found.status.and_then(|status| status.conditions).unwrap_or_default();
        let is_served = conditions
            .iter()
            .any(|it| it.type_ == "Established" && it.status == "True");
        Ok(is_served.then_some(()))
    })
    .await?;
    Ok((!has_it).then_some(name))
}

async fn try_all(namespace: &Namespace) -> Result<()> {
    let cases = cel_cases::all();
    ensure!(!cases.is_empty());
    futures::stream::iter(cases.iter().enumerate())
        .map(|(number, case)| async move {
            let tried = try_one(namespace, number, case).await;
            tried.with_context(|| format!("{}: \"{}\"", case.plural, case.message))
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

async fn try_one(namespace: &Namespace, number: usize, case: &Case) -> Result<()> {
    let kind = case.accepted["kind"].as_str().unwrap_or_default();
    let gvk = GroupVersionKind::gvk(api::names::GROUP, api::names::VERSION, kind);
    let resource = ApiResource::from_gvk_with_plural(&gvk, &case.plural);
    match &case.existing {
        None => {
            let objects = Api::<DynamicObject>::namespaced_with(namespace.client.clone(), &namespace.name, &resource);
            let create = async |object: &Value| {
                let object: DynamicObject = serde_json::from_value(object.clone())?;
                Ok::<_, anyhow::Error>(objects.create(&dry_run(), &object).await)
            };
            judge(case, create(&case.accepted).await?, create(&case.rejected).await?)
        }
        // Rules about changes see the object that is stored, under the one name that all cases share:
        // each gets a namespace of its own.
        Some(existing) => {
            with_namespace(&format!("schema-{number}"), async |own| {
                let objects = Api::<DynamicObject>::namespaced_with(own.client.clone(), &own.name, &resource);
                let existing: DynamicObject = serde_json::from_value(existing.clone())?;
                let name = objects.create(&PostParams::default(), &existing).await?.name_any();
                let update = async |object: &Value| {
                    let mut object: DynamicObject = serde_json::from_value(object.clone())?;
                    loop {
                        object.metadata.resource_version = objects.get(&name).await?.metadata.resource_version;
                        match objects.replace(&name, &dry_run(), &object).await {
                            // The operator has written its status meanwhile.
                            Err(kube::Error::Api(status)) if status.code == 409 => {}
                            replaced => return Ok::<_, anyhow::Error>(replaced),
                        }
                    }
                };
                judge(case, update(&case.accepted).await?, update(&case.rejected).await?)
            })
            .await
        }
    }
}

fn dry_run() -> PostParams {
    PostParams {
        dry_run: true,
        ..PostParams::default()
    }
}

fn judge(case: &Case, accepted: kube::Result<DynamicObject>, rejected: kube::Result<DynamicObject>) -> Result<()> {
    accepted.with_context(|| format!("refused {}", case.accepted))?;
    match rejected {
        Ok(_) => anyhow::bail!("accepted {}", case.rejected),
        Err(kube::Error::Api(status)) => {
            ensure!(
                status.code == 422 && status.message.contains(&case.message),
                "refused {} otherwise: {} {}",
                case.rejected,
                status.code,
                status.message
            );
            Ok(())
        }
        Err(other) => Err(other).context("no answer"),
    }
}
