//! `kubectl atelier rollback`.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use api::LlmModel;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::{
    args::ModelName,
    cluster::{Cluster, told},
    versions::served,
};

/// Says which change brings a version back, and makes it if `yes`.
///
/// # Errors
/// When there is no such version, or the model cannot be changed.
pub async fn run(cluster: &Cluster, name: &ModelName, version: Option<&str>, yes: bool) -> Result<ExitCode> {
    let model = cluster.model(name).await?;
    let version = choose(&model, version, Timestamp::now())?;
    let change = json!({"spec": {"version": version}});
    if !yes {
        let text = serde_yaml_ng::to_string(&change).context("failed to write YAML")?;
        print!(
            "This brings {version} back. Write it where the model is declared, or say it again with --yes:\n\n{text}"
        );
        return Ok(ExitCode::SUCCESS);
    }
    let params = PatchParams {
        field_manager: Some("kubectl-atelier".into()),
        ..PatchParams::default()
    };
    let patched = cluster
        .models(name)
        .patch(&name.name, &params, &Patch::Merge(&change))
        .await;
    patched
        .map_err(told)
        .with_context(|| format!("failed to change the model {}", name.name))?;
    println!(
        "spec.version is {version}. The model stays there until you remove spec.version; where it is declared in git, write \
         it there, too"
    );
    Ok(ExitCode::SUCCESS)
}

/// The version that was asked for, or the newest that has served and serves no longer.
fn choose<'a>(model: &'a LlmModel, wanted: Option<&str>, now: Timestamp) -> Result<&'a str> {
    let status = model.status.as_ref().context("the model has no history yet")?;
    let current = status.current_version.as_deref();
    if let Some(wanted) = wanted {
        let known = status.versions.iter().find(|version| version.name == wanted);
        let Some(known) = known else {
            let names: Vec<&str> = status.versions.iter().map(|version| &*version.name).collect();
            bail!(
                "there is no version {wanted} in the history: there are {}",
                names.join(", ")
            );
        };
        return Ok(&known.name);
    }
    let mut earlier = status
        .versions
        .iter()
        .filter(|version| current != Some(&version.name) && served(version, now).is_some());
    let earlier = earlier.next().context("no other version has served yet: name one")?;
    Ok(&earlier.name)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn model(versions: Value) -> LlmModel {
        serde_json::from_value(json!({
            "apiVersion": "atelier.dev/v1alpha1",
            "kind": "LlmModel",
            "metadata": {"name": "m"},
            "spec": {"source": {"oci": {"image": "localhost/m:1"}}},
            "status": {"currentVersion": "v-3", "versions": versions},
        }))
        .unwrap()
    }

    #[test]
    fn what_has_served_last_comes_back() {
        let model = model(json!([
            {"name": "v-4", "state": "Rejected"},
            {"name": "v-3", "state": "Serving", "servedSeconds": 5},
            {"name": "v-2", "state": "Retired"},
            {"name": "v-1", "state": "Retired", "servedSeconds": 9},
        ]));
        let choose = |wanted| choose(&model, wanted, Timestamp::UNIX_EPOCH);
        assert_eq!(choose(None).unwrap(), "v-1");
        assert_eq!(choose(Some("v-2")).unwrap(), "v-2");
        let error = choose(Some("v-9")).unwrap_err().to_string();
        assert!(error.contains("v-9") && error.contains("v-4, v-3, v-2, v-1"), "{error}");
    }

    #[test]
    fn without_a_predecessor_nothing_is_guessed() {
        let model = model(json!([{"name": "v-3", "state": "Serving", "servedSeconds": 5}]));
        let error = choose(&model, None, Timestamp::UNIX_EPOCH).unwrap_err().to_string();
        assert!(error.contains("name one"), "{error}");
    }
}
