//! Why a pod does not become ready, in words for the person who wrote the spec. Pure.

mod container;
mod refused;
mod text;

use api::{
    names::{CONTAINER_EVALUATE, CONTAINER_WORKER},
    reasons,
};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::ResourceExt;

use super::{accelerator::Accelerator, source::Source, trouble::Trouble};
pub use refused::{hangs, pods_of_deployment, pods_of_job};
use text::missing_reference;

/// What a pod was asked to be, for messages.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Where its weights come from.
    pub source: &'a Source,
    /// Image of its containers.
    pub worker_image: &'a str,
    /// Image of its main container, where it is not that one.
    pub engine_image: Option<&'a str>,
    /// Devices of its main container.
    pub accelerator: Option<&'a Accelerator>,
    /// Memory of its main container.
    pub memory: &'a str,
    /// CPU of its main container.
    pub cpu: &'a str,
    /// Memory of its container that prepares.
    pub prepare_memory: &'a str,
    /// Whether that compresses weights.
    pub compresses: bool,
}

/// Whether only its Events can tell why a pod hangs: it has a node, and no container has run.
pub fn needs_events(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let pending = status.is_some_and(|status| status.phase.as_deref() == Some("Pending"));
    pending && is_scheduled(pod) && pod.metadata.deletion_timestamp.is_none()
}

/// The first trouble of the newest pod that has one. `pods` are newest first.
pub fn pods(pods: &[&Pod], events: &[Event], asked: &Asked<'_>) -> Option<Trouble> {
    pods.iter().find_map(|one| pod(one, events, asked))
}

fn pod(pod: &Pod, events: &[Event], asked: &Asked<'_>) -> Option<Trouble> {
    if is_ready(pod) {
        return None;
    }
    evicted(pod)
        .or_else(|| scheduling(pod, asked))
        .or_else(|| container::first(pod, asked))
        .or_else(|| mounting(pod, events, asked))
}

fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|(status, _, _)| status == "True")
}

fn is_scheduled(pod: &Pod) -> bool {
    condition(pod, "PodScheduled").is_some_and(|(status, _, _)| status == "True")
}

/// Status, reason and message of a pod's condition.
fn condition<'a>(pod: &'a Pod, type_: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let found = conditions.iter().find(|condition| condition.type_ == type_)?;
    let text = |text: &'a Option<String>| text.as_deref().unwrap_or_default();
    Some((&found.status, text(&found.reason), text(&found.message)))
}

fn scheduling(pod: &Pod, asked: &Asked<'_>) -> Option<Trouble> {
    let (status, reason, message) = condition(pod, "PodScheduled")?;
    if status != "False" || reason != "Unschedulable" {
        return None;
    }
    if let Some(trouble) = missing_reference(message, asked).or_else(|| text::unbound_claim(message, asked)) {
        return Some(trouble);
    }
    let who = match main_container(pod) {
        Some(CONTAINER_WORKER) => Some("a replica"),
        Some(CONTAINER_EVALUATE) => Some("the evaluation"),
        _ => None,
    };
    let need = if let Some(who) = who {
        let devices = asked.accelerator.map(text::devices);
        format!(
            "; {who} asks for {} of memory{} {} CPU: add a node that has them, or change spec.resources or spec.placement{}",
            asked.memory,
            devices
                .as_ref()
                .map_or(" and".into(), |(what, _)| format!(", {what} and")),
            asked.cpu,
            devices.map(|(_, hint)| hint).unwrap_or_default()
        )
    } else {
        String::new()
    };
    let message = format!(
        "no node takes pod {}: {}{need}",
        pod.name_any(),
        message.trim_end_matches('.')
    );
    Some(Trouble::new(reasons::UNSCHEDULABLE, message))
}

/// The name of the first container.
fn main_container(pod: &Pod) -> Option<&str> {
    Some(pod.spec.as_ref()?.containers.first()?.name.as_str())
}

/// The node took the pod back: it needed the room itself, or the pod took more than it may.
fn evicted(pod: &Pod) -> Option<Trouble> {
    let status = pod.status.as_ref()?;
    let is_evicted = status.phase.as_deref() == Some("Failed") && status.reason.as_deref() == Some("Evicted");
    is_evicted.then(|| {
        let why = status
            .message
            .as_deref()
            .unwrap_or_default()
            .trim()
            .trim_end_matches('.');
        let message = format!(
            "pod {} was evicted from its node: {why}. Another takes its place; `kubectl describe node` tells what \
             the node is short of",
            pod.name_any()
        );
        Trouble::new(reasons::EVICTED, message)
    })
}

/// Volumes that cannot be mounted are told in Events only.
fn mounting(pod: &Pod, events: &[Event], asked: &Asked<'_>) -> Option<Trouble> {
    if !needs_events(pod) {
        return None;
    }
    let newest = newest_warning(events, pod.metadata.uid.as_deref())?;
    let message = newest.message.as_deref().unwrap_or_default();
    match newest.reason.as_deref() {
        Some("FailedMount" | "FailedAttachVolume" | "FailedMapVolume") => {
            let otherwise = || {
                let text = format!("a volume of pod {} cannot be mounted: {message}", pod.name_any());
                Trouble::new(reasons::CONTAINER_CONFIG, text)
            };
            Some(missing_reference(message, asked).unwrap_or_else(otherwise))
        }
        Some("Failed" | "BackOff" | "ErrImageNeverPull" | "InspectFailed") => text::image(message, asked),
        _ => None,
    }
}

/// The last warning about the object with this `uid`.
fn newest_warning<'a>(events: &'a [Event], uid: Option<&str>) -> Option<&'a Event> {
    let about =
        |event: &&Event| event.involved_object.uid.as_deref() == uid && event.type_.as_deref() == Some("Warning");
    events.iter().filter(about).max_by_key(|event| {
        let series = event
            .series
            .as_ref()
            .and_then(|series| series.last_observed_time.as_ref());
        let times = [
            event.last_timestamp.as_ref().map(|time| time.0),
            event.event_time.as_ref().map(|time| time.0),
            series.map(|time| time.0),
        ];
        times.into_iter().flatten().max()
    })
}

#[cfg(test)]
mod tests;
