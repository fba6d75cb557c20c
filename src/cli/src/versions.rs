//! `kubectl atelier versions`.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use api::{
    LlmModel,
    llmmodel::{VersionState, VersionStatus},
};
use k8s_openapi::jiff::Timestamp;

const HEAD: [&str; 7] = ["", "VERSION", "STATE", "CREATED", "SERVED", "DIGEST", "PERPLEXITY"];

/// Prints the history of a model, newest first.
///
/// # Errors
/// When nobody reads it.
pub fn print(model: &LlmModel) -> Result<()> {
    let text = table(model, Timestamp::now());
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("failed to write to standard output")
}

fn table(model: &LlmModel, now: Timestamp) -> String {
    let status = model.status.clone().unwrap_or_default();
    let (current, pinned) = (status.current_version.as_deref(), model.spec.version.as_deref());
    let mut rows = vec![HEAD.map(String::from)];
    rows.extend(status.versions.iter().map(|version| row(version, current, now)));
    let mut text = aligned(&rows);
    for version in &status.versions {
        if let Some(reason) = &version.reason {
            let message = version.message.as_deref().unwrap_or_default();
            text += &format!("{}: {reason}: {message}\n", version.name);
        }
    }
    if let Some(pinned) = pinned {
        text += &format!("spec.version holds the model at {pinned}\n");
    }
    text
}

fn row(version: &VersionStatus, current: Option<&str>, now: Timestamp) -> [String; 7] {
    let mark = if current == Some(&version.name) { "*" } else { "" };
    let state = match (version.state, version.canary_step) {
        (VersionState::Canary, Some(step)) => format!("Canary({step})"),
        (state, _) => format!("{state:?}"),
    };
    let created = version.created.as_ref().map(|time| format!("{:.0}", time.0));
    let perplexity = version.perplexity.as_ref();
    let perplexity = perplexity.map(|it| {
        format!(
            "{} -> {} (+{})",
            it.before,
            it.after,
            it.increase.trim_start_matches('+')
        )
    });
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    [
        mark.into(),
        version.name.clone(),
        state,
        or_dash(created),
        or_dash(served(version, now).map(duration)),
        // As much of it as people compare.
        or_dash(version.digest.as_ref().map(|digest| digest.chars().take(19).collect())),
        or_dash(perplexity),
    ]
}

/// Seconds that a version was the one that answers; none if it never was.
pub fn served(version: &VersionStatus, now: Timestamp) -> Option<i64> {
    let since = version.serving_since.as_ref();
    let since = since.map(|since| (now.as_second() - since.0.as_second()).max(0));
    match (version.served_seconds, since) {
        (None | Some(0), None) => None,
        (before, since) => Some(before.unwrap_or(0) + since.unwrap_or(0)),
    }
}

/// The two largest units: `3d4h`, `12m5s`.
pub fn duration(seconds: i64) -> String {
    let units = [(86_400, 'd'), (3600, 'h'), (60, 'm'), (1, 's')];
    let first = units.iter().position(|(size, _)| seconds >= *size).unwrap_or(3);
    let mut rest = seconds;
    let mut text = String::new();
    for (size, unit) in units.iter().skip(first).take(2) {
        text += &format!("{}{unit}", rest / size);
        rest %= size;
    }
    text
}

/// A table: cells of one column begin below each other.
pub fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_history_is_a_table_with_its_reasons_below() {
        let model: LlmModel = serde_json::from_value(json!({
            "apiVersion": "atelier.dev/v1alpha1",
            "kind": "LlmModel",
            "metadata": {"name": "m", "namespace": "n"},
            "spec": {"source": {"oci": {"image": "localhost/m:1"}}, "version": "v-1111111111"},
            "status": {"currentVersion": "v-1111111111", "versions": [
                {"name": "v-2222222222", "state": "Rejected", "created": "2026-11-26T10:00:00Z", "reason": "PerplexityTooHigh",
                 "message": "it is 9.1% higher", "digest": "sha256:0123456789abcdef0123456789abcdef",
                 "perplexity": {"before": "10.0", "after": "10.9", "increase": "9.1%", "limit": "5%"}},
                {"name": "v-1111111111", "state": "Serving", "created": "2026-11-25T10:00:00Z",
                 "servingSince": "2026-11-26T09:59:55Z", "servedSeconds": 3600},
                {"name": "v-0000000000", "state": "Canary", "canaryStep": 2},
            ]},
        }))
        .unwrap();
        let now = "2026-11-26T10:01:00Z".parse().unwrap();
        assert_eq!(
            table(&model, now),
            "   VERSION       STATE      CREATED               SERVED  DIGEST               PERPLEXITY\n   \
             v-2222222222  Rejected   2026-11-26T10:00:00Z  -       sha256:0123456789ab  10.0 -> 10.9 (+9.1%)\n\
             *  v-1111111111  Serving    2026-11-25T10:00:00Z  1h1m    -                    -\n   \
             v-0000000000  Canary(2)  -                     -       -                    -\n\
             v-2222222222: PerplexityTooHigh: it is 9.1% higher\n\
             spec.version holds the model at v-1111111111\n"
        );
    }

    #[test]
    fn durations_have_two_units() {
        for (seconds, expected) in [(0, "0s"), (59, "59s"), (60, "1m0s"), (3725, "1h2m"), (90_000, "1d1h")] {
            assert_eq!(duration(seconds), expected);
        }
    }
}
