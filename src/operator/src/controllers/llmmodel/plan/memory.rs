//! Replicas that needed more memory than was estimated get it where they run, without a new pod.
//!
//! The template stays as it is: to change it would replace every pod. A pod that is made from it later is given as
//! much as soon as it is seen. Where the spec says how much memory there is, that is a person's word.

use k8s_openapi::{
    api::core::v1::{ContainerStatus, Pod},
    jiff::Timestamp,
};
use kube::ResourceExt;
use serde::{Deserialize, Serialize};

use super::Plan;
use crate::controllers::llmmodel::{build::Builder, dereference::Observed, quantity, version::Version};

const MEBIBYTE: u64 = 1 << 20;
/// An estimate that is wrong by more than this is no estimate: somebody has to look.
const MOST: u64 = 4;

/// What replicas of a version get instead of the estimate; kept beside its snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Growth {
    /// Memory, in bytes.
    pub bytes: u64,
    /// When the container ended that led to it.
    pub after: Timestamp,
}

/// A pod that gets more memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resize {
    /// Its name.
    pub pod: String,
    /// Its container.
    pub container: String,
    /// What it gets, as a quantity.
    pub memory: String,
}

/// Plans what the versions that serve, or are about to, need more.
pub fn plan(plan: &mut Plan, builder: &Builder<'_>, observed: &Observed, live: &[Version]) {
    if builder.wanted.memory.is_some() {
        return;
    }
    for version in live {
        let pods = observed.pods_of(&version.name);
        let known = observed.growth(&version.name);
        let estimate = version.estimate().total.div_ceil(MEBIBYTE);
        let grown = next(estimate, known, pods.iter().filter_map(|pod| killed(pod)).max());
        if let Some(grown) = grown {
            plan.growths.push((version.name.clone(), grown));
        }
        let Some(Growth { bytes, .. }) = grown.or(known) else {
            continue;
        };
        plan.resizes.extend(pods.iter().filter_map(|pod| resize(pod, bytes)));
    }
}

/// Half as much again, if a container was killed since the last time. `estimate` is in mebibytes.
fn next(estimate: u64, known: Option<Growth>, killed: Option<Timestamp>) -> Option<Growth> {
    let after = killed.filter(|killed| known.is_none_or(|known| *killed > known.after))?;
    let now = known.map_or(estimate, |known| known.bytes / MEBIBYTE);
    let most = estimate * MOST;
    (now < most).then(|| Growth {
        bytes: (now + now.div_ceil(2)).min(most) * MEBIBYTE,
        after,
    })
}

/// When the main container was last killed because it took too much.
fn killed(pod: &Pod) -> Option<Timestamp> {
    let container = main(pod)?;
    let ends = [container.state.as_ref(), container.last_state.as_ref()];
    let ends = ends.into_iter().flatten().filter_map(|state| state.terminated.as_ref());
    let killed = ends.filter(|end| end.reason.as_deref() == Some("OOMKilled"));
    killed.filter_map(|end| Some(end.finished_at.as_ref()?.0)).max()
}

fn main(pod: &Pod) -> Option<&ContainerStatus> {
    let name = &pod.spec.as_ref()?.containers.first()?.name;
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find(|status| status.name == *name)
}

/// What a pod is asked to be, if it has less.
fn resize(pod: &Pod, bytes: u64) -> Option<Resize> {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let container = pod.spec.as_ref()?.containers.first()?;
    let limit = container.resources.as_ref()?.limits.as_ref()?.get("memory")?;
    let has_less = quantity::ceiling(&limit.0)? < bytes;
    (has_less && matches!(phase, Some("Pending" | "Running"))).then(|| Resize {
        pod: pod.name_any(),
        container: container.name.clone(),
        memory: format!("{}Mi", bytes / MEBIBYTE),
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn growth(mebibytes: u64, after: i64) -> Growth {
        Growth {
            bytes: mebibytes * MEBIBYTE,
            after: at(after),
        }
    }

    #[rstest]
    #[case::nothing_happened(None, None, None)]
    #[case::first(None, Some(7), Some(growth(152, 7)))]
    #[case::the_same_again(Some(growth(151, 7)), Some(7), None)]
    #[case::second(Some(growth(152, 7)), Some(8), Some(growth(228, 8)))]
    #[case::near_the_most(Some(growth(300, 7)), Some(8), Some(growth(404, 8)))]
    #[case::the_most(Some(growth(404, 7)), Some(8), None)]
    fn each_kill_gives_half_as_much_again(
        #[case] known: Option<Growth>,
        #[case] killed: Option<i64>,
        #[case] expected: Option<Growth>,
    ) {
        // 101 MiB: halves are rounded up, and four times is the most.
        assert_eq!(next(101, known, killed.map(at)), expected);
    }

    fn pod(limit: &str, phase: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "worker", "resources": {"limits": {"memory": limit}}}]},
            "status": {"phase": phase, "containerStatuses": [{
                "name": "worker", "ready": true, "restartCount": 1, "image": "", "imageID": "", "state": {},
                "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "1970-01-01T00:00:09Z"}},
            }]},
        }))
        .unwrap()
    }

    #[test]
    fn a_pod_with_less_is_resized() {
        let resized = resize(&pod("100Mi", "Running"), 150 * MEBIBYTE).unwrap();
        assert_eq!(
            (resized.container.as_str(), resized.memory.as_str()),
            ("worker", "150Mi")
        );
        assert_eq!(resize(&pod("150Mi", "Running"), 150 * MEBIBYTE), None);
        assert_eq!(resize(&pod("100Mi", "Failed"), 150 * MEBIBYTE), None);
        assert_eq!(killed(&pod("100Mi", "Running")), Some(at(9)));
    }
}
