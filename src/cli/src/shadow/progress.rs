//! A comparison that goes on, from its status.

use api::{
    ShadowDeployment,
    shadowdeployment::{MetricStatus, Verdict},
};
use kube::ResourceExt as _;

use crate::{text::clean, versions::aligned};

const HEAD: [&str; 6] = ["METRIC", "FOUND", "SERVES", "CANDIDATE", "DIFFERENCE", "INTERVAL"];
const NONE: &str = "-";

/// How far it is, and what was found so far.
pub fn text(shadow: &ShadowDeployment) -> String {
    let status = shadow.status.clone().unwrap_or_default();
    let name = shadow.name_any();
    let mut text = match status.verdict {
        Some(verdict) => format!("{name}: {}, without a report\n", named(verdict)),
        None => format!(
            "{name}: no verdict yet, after {} pairs; {} copies dropped\n",
            status.pairs.unwrap_or(0),
            status.dropped.unwrap_or(0)
        ),
    };
    for condition in &status.conditions {
        if !condition.message.is_empty() {
            text += &format!("{}: {}\n", condition.type_, clean(&condition.message));
        }
    }
    if !status.metrics.is_empty() {
        let mut rows = vec![HEAD.map(String::from)];
        rows.extend(status.metrics.iter().map(row));
        text += &aligned(&rows);
    }
    if let Some(difference) = &status.smallest_detectable_difference {
        text += &format!("the pairs so far could show a difference of {}\n", clean(difference));
    }
    text
}

/// A verdict as it stands in the status.
pub fn named(verdict: Verdict) -> String {
    format!("{verdict:?}")
}

fn row(found: &MetricStatus) -> [String; 6] {
    let or_none = |text: &Option<String>| text.as_deref().map_or_else(|| NONE.into(), clean);
    let interval = found.interval.as_ref();
    [
        format!("{:?}", found.metric),
        format!("{:?}", found.verdict),
        or_none(&found.primary),
        or_none(&found.candidate),
        or_none(&found.difference),
        interval.map_or_else(
            || NONE.into(),
            |it| format!("{} to {}", clean(&it.low), clean(&it.high)),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_known_so_far_is_a_table() {
        let shadow: ShadowDeployment = serde_json::from_value(json!({
            "apiVersion": "atelier.dev/v1alpha1", "kind": "ShadowDeployment",
            "metadata": {"name": "s", "namespace": "n"},
            "spec": {
                "model": {"name": "m"}, "candidate": {"version": "v-0123456789"},
                "compare": {"primary": {"metric": "Errors"}},
            },
            "status": {
                "pairs": 40, "dropped": 2, "smallestDetectableDifference": "4.1%",
                "conditions": [{
                    "type": "Progressing", "status": "True", "reason": "Comparing", "message": "40 of at least 300 pairs",
                    "lastTransitionTime": "2026-11-26T10:00:00Z",
                }],
                "metrics": [
                    {"metric": "Errors", "verdict": "Open", "primary": "0", "candidate": "0.025", "difference": "0.025",
                     "interval": {"low": "-0.01", "high": "0.2"}},
                    {"metric": "TTFT", "verdict": "Open"},
                ],
            },
        }))
        .unwrap();
        assert_eq!(
            text(&shadow),
            "s: no verdict yet, after 40 pairs; 2 copies dropped\n\
             Progressing: 40 of at least 300 pairs\n\
             METRIC  FOUND  SERVES  CANDIDATE  DIFFERENCE  INTERVAL\n\
             Errors  Open   0       0.025      0.025       -0.01 to 0.2\n\
             TTFT    Open   -       -          -           -\n\
             the pairs so far could show a difference of 4.1%\n"
        );
    }
}
