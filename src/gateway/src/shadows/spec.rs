//! A ShadowDeployment as the gateway sees it.

use std::time::Duration;

use ::shadow::sample::Percent;
use api::names::ANNOTATION_PAUSED;
use api::shadowdeployment::{Candidate, ComparedMetric, Sample, SampleKey, ShadowDeploymentSpec, ShadowRetention};
use kube::{ResourceExt, core::Object};
use serde::Deserialize;
use serde_json::Value;
use store::shadows::Key;

use crate::rooms::units::duration;

/// A ShadowDeployment as the API server has it. What this release does not know in it keeps it from being mirrored, and
/// does not end the watch.
pub type WatchedShadow = Object<Value, Value>;

/// Copies that wait, if the spec does not say.
const QUEUE: usize = 100;

/// A ShadowDeployment.
#[derive(Clone, Debug, PartialEq)]
pub struct Shadow {
    /// What it is known by.
    pub key: Key,
    /// What is compared, while it is: none with a verdict, on its way out, while it is paused, or with a spec that this
    /// release does not understand.
    pub active: Option<Comparison>,
    /// What is kept of words, also after the verdict.
    pub words: Words,
}

/// What is kept of words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Words {
    /// Nothing, and what was kept goes.
    #[default]
    Never,
    /// This release does not understand: nothing is added, shown or taken away.
    Unknown,
    /// Those of the pairs that differ most.
    Kept {
        /// How long.
        retention: Duration,
        /// Whether what was asked is kept with the answers.
        prompts: bool,
    },
}

/// What is compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The LlmModel whose requests are copied, of the same namespace.
    pub model: String,
    /// The version of it that is compared, once the operator has said which. Until then, whichever is current.
    pub primary_version: Option<String>,
    /// What answers in the dark.
    pub candidate: Candidate,
    /// What is measured.
    pub metrics: Vec<ComparedMetric>,
    /// What can be changed while it goes on.
    pub settings: Settings,
}

/// What can be changed while a comparison goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Share of the keys.
    pub percent: Percent,
    /// What is kept together.
    pub key: SampleKey,
    /// The header that says so, in lower case.
    pub header: Option<String>,
    /// Most copies each second.
    pub max_per_second: Option<u32>,
    /// Copies that may wait.
    pub queue: usize,
    /// Time after which a copy is given up; none is that of the live request.
    pub timeout: Option<Duration>,
    /// What is kept of words.
    pub words: Words,
}

impl From<WatchedShadow> for Shadow {
    fn from(object: WatchedShadow) -> Self {
        let key = Key {
            uid: object.uid().unwrap_or_default(),
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
        };
        let status = |field| object.status.as_ref().and_then(|status| status[field].as_str());
        let has_ended = object.metadata.deletion_timestamp.is_some() || status("verdict").is_some();
        let is_paused = object
            .annotations()
            .get(ANNOTATION_PAUSED)
            .is_some_and(|value| value == "true");
        let understood = ShadowDeploymentSpec::deserialize(&object.spec)
            .map_err(|error| error.to_string())
            .and_then(|spec| comparison(spec, status("primaryVersion")));
        let words = understood
            .as_ref()
            .map_or(Words::Unknown, |comparison| comparison.settings.words);
        let active = match understood {
            Ok(comparison) => Some(comparison).filter(|_| !has_ended && !is_paused),
            Err(error) => {
                let Key { namespace, name, .. } = &key;
                tracing::error!(
                    namespace,
                    name,
                    error,
                    "a ShadowDeployment is not understood by this release"
                );
                None
            }
        };
        Self { key, active, words }
    }
}

fn comparison(spec: ShadowDeploymentSpec, primary_version: Option<&str>) -> Result<Comparison, String> {
    let settings = settings(spec.sample.as_ref(), &spec)?;
    let mut metrics = vec![spec.compare.primary];
    metrics.extend(spec.compare.guardrails);
    Ok(Comparison {
        model: spec.model.name,
        primary_version: primary_version.map(Into::into),
        candidate: spec.candidate,
        metrics,
        settings,
    })
}

fn settings(sample: Option<&Sample>, spec: &ShadowDeploymentSpec) -> Result<Settings, String> {
    let percent = sample.map_or("10%", |sample| sample.percent.as_str());
    let limits = spec.limits.as_ref();
    let timeout = limits.and_then(|limits| limits.timeout.as_deref());
    let timeout = timeout.map(|text| duration(text).ok_or_else(|| format!("limits.timeout: {text:?} is no duration")));
    let number = |number: i32| u32::try_from(number).unwrap_or_default();
    Ok(Settings {
        percent: percent.parse::<Percent>().map_err(|error| error.to_string())?,
        key: sample.map(|sample| sample.key).unwrap_or_default(),
        header: sample
            .and_then(|sample| sample.header.as_ref())
            .map(|name| name.to_ascii_lowercase()),
        max_per_second: sample.and_then(|sample| sample.max_per_second).map(number),
        queue: limits
            .and_then(|limits| limits.queue)
            .map_or(QUEUE, |queue| number(queue) as usize),
        timeout: timeout.transpose()?,
        words: spec.retention.as_ref().map_or(Ok(Words::Never), words)?,
    })
}

fn words(retention: &ShadowRetention) -> Result<Words, String> {
    let Some(text) = &retention.content else {
        return Ok(Words::Never);
    };
    let prompts = retention.prompts;
    duration(text)
        .map(|retention| Words::Kept { retention, prompts })
        .ok_or_else(|| format!("retention.content: {text:?} is no duration"))
}

#[cfg(test)]
pub mod testing {
    use serde_json::json;

    use super::*;

    /// One of the model `m` in namespace `ns`, as the API server has it.
    pub fn watched(name: &str, uid: &str, spec: Value, status: Value) -> WatchedShadow {
        let object = json!({
            "apiVersion": "atelier.dev/v1alpha1", "kind": "ShadowDeployment",
            "metadata": {"name": name, "namespace": "ns", "uid": uid}, "spec": spec, "status": status,
        });
        serde_json::from_value(object).unwrap()
    }

    /// All conversations of `m`, answered by a version in the dark.
    pub fn spec(version: &str) -> Value {
        json!({
            "model": {"name": "m"}, "candidate": {"version": version}, "sample": {"percent": "100%"},
            "compare": {"primary": {"metric": "Errors"}, "guardrails": [{"metric": "TTFT"}, {"metric": "RougeL"}]},
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::{
        testing::{spec, watched},
        *,
    };

    #[test]
    fn defaults_are_those_of_the_schema() {
        let mut spec = spec("v-9876543210");
        spec.as_object_mut().unwrap().remove("sample");
        let shadow = Shadow::from(watched("s", "u", spec, json!({})));
        let comparison = shadow.active.clone().unwrap();
        let expected = Settings {
            percent: "10%".parse().unwrap(),
            key: SampleKey::Conversation,
            header: None,
            max_per_second: None,
            queue: 100,
            timeout: None,
            words: Words::Never,
        };
        assert_eq!(comparison.settings, expected);
        assert_eq!(shadow.words, Words::Never);
        assert_eq!(comparison.metrics.len(), 3);
    }

    #[rstest]
    #[case(json!({}), true)]
    #[case(json!({"pairs": 7, "primaryVersion": "v-0123456789"}), true)]
    #[case(json!({"verdict": "Reject"}), false)]
    // In the words of a newer release.
    #[case(json!({"verdict": "Undecided"}), false)]
    fn a_comparison_goes_on_until_its_verdict(#[case] status: Value, #[case] goes_on: bool) {
        let shadow = Shadow::from(watched("s", "u", spec("v-9876543210"), status));
        assert_eq!(shadow.active.is_some(), goes_on);
    }

    #[test]
    fn one_that_is_deleted_paused_or_not_understood_is_not_mirrored() {
        let mut template = watched("s", "u", spec("v-9876543210"), json!({}));
        template
            .annotations_mut()
            .insert(ANNOTATION_PAUSED.into(), "true".into());
        assert_eq!(Shadow::from(template.clone()).active, None);
        template
            .annotations_mut()
            .insert(ANNOTATION_PAUSED.into(), "false".into());
        assert!(Shadow::from(template).active.is_some());
        let mut going = watched("s", "u", spec("v-9876543210"), json!({}));
        going.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        assert_eq!(Shadow::from(going).active, None);
        for (pointer, value) in [
            ("/compare/primary/metric", json!("Newer")),
            ("/sample/percent", json!("101%")),
        ] {
            let mut spec = spec("v-9876543210");
            *spec.pointer_mut(pointer).unwrap() = value;
            let shadow = Shadow::from(watched("s", "u", spec, json!({})));
            assert_eq!((shadow.active, shadow.words), (None, Words::Unknown), "{pointer}");
        }
    }

    #[test]
    fn words_are_kept_as_long_as_the_spec_says_also_after_the_verdict() {
        let mut spec = spec("v-9876543210");
        spec["retention"] = json!({"content": "7d", "prompts": true});
        let shadow = Shadow::from(watched("s", "u", spec, json!({"verdict": "Promote"})));
        let expected = Words::Kept {
            retention: Duration::from_secs(7 * 86_400),
            prompts: true,
        };
        assert_eq!((shadow.active, shadow.words), (None, expected));
    }
}
