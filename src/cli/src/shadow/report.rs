//! `kubectl atelier shadow report`: from the ConfigMap that nobody can change, or from the status while there is none.

use std::{
    io::{IsTerminal as _, stdout},
    process::ExitCode,
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use api::{ShadowDeployment, names::REPORT_KEY};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use shadow::report::{
    Report, html,
    terminal::{self, Style},
};

use super::progress;
use crate::{
    args::{ReportOutput, ShadowName},
    cluster::{Cluster, told},
    text::{print as say, size},
};

/// Prints what came of a comparison.
///
/// # Errors
/// When it is not there, or has no report yet and another form than text is asked for.
pub async fn print(cluster: &Cluster, name: &ShadowName, output: ReportOutput) -> Result<ExitCode> {
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
    let (report, json) = read(cluster, &shadow, namespace, &kept).await?;
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
    if shadow.metadata.uid.as_ref() != Some(&report.uid) {
        bail!(
            "ConfigMap {kept} is the report of another ShadowDeployment, with uid {}",
            report.uid
        );
    }
    Ok((report, json))
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
