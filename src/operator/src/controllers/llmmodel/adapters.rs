//! What workers say of their adapters, and which of them have not seen what is wanted yet.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use api::{
    LlmModel, LlmModelStatus,
    llmmodel::AdapterState,
    names::{ANNOTATION_ADAPTERS, COMPONENT_SERVE, LABEL_COMPONENT},
};
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use protocol::{AdaptersAnswer, AdaptersReport, adapters::PATH, ports::WORKER_ADMIN};

use super::dereference::Observed;
use crate::asker::Asker;

/// Longest answer of one worker.
const PATIENCE: Duration = Duration::from_secs(1);
/// Workers that are asked at the same time.
const AT_ONCE: usize = 32;
/// Until a list has come to the pods, and what is in it is loaded.
const SOON: Duration = Duration::from_secs(2);
/// Until an adapter that failed may have been tried again.
const LATER: Duration = Duration::from_secs(30);
/// What pods are told by when nothing is wanted any more.
const NONE: &str = "none";

/// What the pods of a model say, by their names; nothing of those that do not answer.
pub type Reports = BTreeMap<String, AdaptersReport>;

/// Asks the pods that answer requests, if the spec has adapters.
pub async fn ask(asker: &Asker, model: &LlmModel, observed: &Observed) -> Reports {
    if model.spec.adapters.is_empty() {
        return Reports::new();
    }
    let pods = observed.pods.iter().filter(|pod| is_ready(pod));
    let asked = pods.filter_map(|pod| Some((pod.name_any(), address(pod)?)));
    let answers = asked.map(|(pod, address)| async move {
        match asker.json::<AdaptersAnswer>(address, PATH, PATIENCE).await {
            Ok(answer) => Some((pod, answer.wanted?)),
            Err(why) => {
                tracing::debug!(pod, why, "a worker does not tell of its adapters");
                None
            }
        }
    });
    let answers: Vec<_> = answers.collect();
    stream::iter(answers)
        .buffer_unordered(AT_ONCE)
        .filter_map(async |it| it)
        .collect()
        .await
}

/// Whether a pod answers requests.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let is_ready = conditions
        .into_iter()
        .any(|it| it.type_ == "Ready" && it.status == "True");
    let serves = pod
        .labels()
        .get(LABEL_COMPONENT)
        .is_some_and(|it| it == COMPONENT_SERVE);
    is_ready && serves && pod.metadata.deletion_timestamp.is_none()
}

fn address(pod: &Pod) -> Option<SocketAddr> {
    let ip = pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()?;
    Some(SocketAddr::new(ip, WORKER_ADMIN))
}

/// What is to be written on a pod, so that its kubelet looks at the list now and not within a minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nudge {
    /// Name of the pod.
    pub pod: String,
    /// Which list it is about.
    pub id: String,
}

/// The pods that have not seen the list `wanted` yet and were not told of it. When the list is about to go, all.
pub fn nudges(observed: &Observed, wanted: Option<&str>, is_going: bool) -> Vec<Nudge> {
    let id = match wanted {
        Some(id) => id,
        None if is_going => NONE,
        None => return Vec::new(),
    };
    let has_not_seen = |pod: &&Pod| match wanted {
        Some(id) => observed.adapters.get(&pod.name_any()).is_some_and(|seen| seen.id != id),
        None => true,
    };
    let is_told = |pod: &&Pod| {
        pod.annotations()
            .get(ANNOTATION_ADAPTERS)
            .is_some_and(|told| told == id)
    };
    let pods = observed.pods.iter().filter(|pod| is_ready(pod));
    let pods = pods.filter(|pod| has_not_seen(pod) && !is_told(pod));
    pods.map(|pod| Nudge {
        pod: pod.name_any(),
        id: id.to_owned(),
    })
    .collect()
}

/// When to ask again; never when all is as it should be.
pub fn look_in(status: &LlmModelStatus) -> Option<Duration> {
    let is = |state: AdapterState| status.adapters.iter().any(|it| it.state == state);
    match (is(AdapterState::Loading), is(AdapterState::Failed)) {
        (true, _) if status.ready_replicas.unwrap_or_default() > 0 => Some(SOON),
        (true, _) | (_, true) => Some(LATER),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn pod(name: &str, ready: &str, told: Option<&str>) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": name, "labels": {LABEL_COMPONENT: COMPONENT_SERVE}, "annotations": {ANNOTATION_ADAPTERS: told.unwrap_or("x")}},
            "status": {"podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": ready}]},
        }))
        .unwrap()
    }

    fn observed() -> Observed {
        let seen = |id: &str| AdaptersReport {
            id: id.into(),
            adapters: Vec::new(),
        };
        Observed {
            pods: vec![
                pod("behind", "True", None),
                pod("told", "True", Some("2")),
                pod("up-to-date", "True", None),
                pod("starting", "False", None),
                pod("silent", "True", None),
            ],
            adapters: [("behind", "1"), ("told", "1"), ("up-to-date", "2")]
                .map(|(pod, id)| (pod.to_owned(), seen(id)))
                .into(),
            ..Observed::default()
        }
    }

    #[test]
    fn who_has_not_seen_the_list_is_told_once() {
        let pods = |nudges: Vec<Nudge>| nudges.into_iter().map(|it| it.pod).collect::<Vec<_>>();
        assert_eq!(pods(nudges(&observed(), Some("2"), false)), ["behind"]);
        assert_eq!(pods(nudges(&observed(), None, false)), Vec::<String>::new());
        assert_eq!(
            pods(nudges(&observed(), None, true)),
            ["behind", "told", "up-to-date", "silent"]
        );
        assert_eq!(nudges(&observed(), None, true)[0].id, NONE);
    }

    #[rstest]
    #[case(json!([]), None)]
    #[case(json!([{"name": "a", "state": "Ready"}]), None)]
    #[case(json!([{"name": "a", "state": "Ready"}, {"name": "b", "state": "Failed"}]), Some(LATER))]
    #[case(json!([{"name": "a", "state": "Loading"}, {"name": "b", "state": "Failed"}]), Some(SOON))]
    fn what_is_on_its_way_is_looked_at_soon(#[case] adapters: Value, #[case] expected: Option<Duration>) {
        let status = serde_json::from_value(json!({"readyReplicas": 1, "adapters": adapters})).unwrap();
        assert_eq!(look_in(&status), expected);
    }
}
