//! `kubectl atelier shadow report`: from the ConfigMap that nobody can change, or from the status while there is none; with
//! the words of pairs, from the gateway.

use std::{
    io::{IsTerminal as _, stdout},
    process::ExitCode,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use api::{ShadowDeployment, names::REPORT_KEY};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, ResourceExt as _};
use protocol::shadows::PREFIX;
use serde_json::Value;
use shadow::report::{
    Report, html,
    terminal::{self, Style},
};

use super::progress;
use crate::{
    args::{As, ReportOutput, ShadowName},
    caller::Caller,
    cluster::{Cluster, told},
    text::{print as say, size},
};

/// Prints what came of a comparison, with the words of pairs where somebody asks for these.
///
/// # Errors
/// When it is not there, or has no report yet and another form than text is asked for.
pub async fn print(
    cluster: &Cluster,
    name: &ShadowName,
    output: ReportOutput,
    caller: Option<&As>,
) -> Result<ExitCode> {
    let namespace = cluster.namespace_or(name.namespace.as_deref());
    let name = &name.name;
    let found = cluster.shadows(namespace).get(name).await;
    let shadow = found
        .map_err(told)
        .with_context(|| format!("failed to get the ShadowDeployment {name}"))?;
    let kept = shadow.status.as_ref().and_then(|status| status.report.clone());
    let Some(kept) = kept else {
        ensure!(
            matches!(output, ReportOutput::Text),
            "the ShadowDeployment {name} has no report yet: there is one with the verdict"
        );
        say(&progress::text(&shadow))?;
        return Ok(ExitCode::SUCCESS);
    };
    let (report, json) = match caller {
        Some(caller) => ask(&Caller::new(cluster, namespace, caller).await?, &shadow, namespace).await?,
        None => read(cluster, &shadow, namespace, &kept).await?,
    };
    let text = match output {
        ReportOutput::Json => json + "\n",
        ReportOutput::Html => html::page(&report)?,
        ReportOutput::Text => {
            let style = Style {
                width: size().0,
                // Files are read anywhere, and terminals say what they can show.
                ascii: stdout().is_terminal() && !speaks_unicode(),
            };
            terminal::text(&report, style)
        }
    };
    say(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The report of this very ShadowDeployment, and its text.
async fn read(cluster: &Cluster, shadow: &ShadowDeployment, namespace: &str, kept: &str) -> Result<(Report, String)> {
    let reports: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), namespace);
    let found = reports.get(kept).await;
    let found = found
        .map_err(told)
        .with_context(|| format!("failed to get the report, ConfigMap {kept}"))?;
    let json = found.data.unwrap_or_default().remove(REPORT_KEY);
    let json = json.ok_or_else(|| anyhow!("ConfigMap {kept} is no report: it has no {REPORT_KEY}"))?;
    let report = Report::parse(&json).with_context(|| format!("failed to read the report, ConfigMap {kept}"))?;
    ensure_own(shadow, &report, &format!("ConfigMap {kept}"))?;
    Ok((report, json))
}

/// The same from the gateway, with the words that the caller may read.
async fn ask(caller: &Caller, shadow: &ShadowDeployment, namespace: &str) -> Result<(Report, String)> {
    let path = format!("{PREFIX}{namespace}/{}/report", shadow.name_any());
    let answer: Value = caller.get(&path).await?;
    let report = Report::parse(&answer.to_string()).context("failed to read the gateway's report")?;
    ensure_own(shadow, &report, "what the gateway has")?;
    let json = report.json()?;
    Ok((report, json))
}

/// Names are used again; uids are not.
fn ensure_own(shadow: &ShadowDeployment, report: &Report, what: &str) -> Result<()> {
    ensure!(
        shadow.metadata.uid.as_ref() == Some(&report.uid),
        "{what} is the report of another ShadowDeployment, with uid {}",
        report.uid
    );
    Ok(())
}

/// Whether the terminal shows more than ASCII, by the first of the variables that POSIX looks at which is set.
fn speaks_unicode() -> bool {
    let mut set = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .filter(|value| !value.is_empty());
    set.next().is_some_and(|value| {
        let value = value.to_ascii_lowercase();
        value.contains("utf-8") || value.contains("utf8")
    })
}
