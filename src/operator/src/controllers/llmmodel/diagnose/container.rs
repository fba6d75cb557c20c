//! What the state of a container tells.

use api::{
    names::{CONTAINER_PREPARE, CONTAINER_WORKER},
    reasons,
};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};
use kube::ResourceExt;
use protocol::{PrepareOutcome, report::EXIT_TEMPORARY};

use serde::Deserialize;

use super::{
    Asked,
    text::{self, missing_reference},
};
use crate::controllers::llmmodel::trouble::Trouble;

/// The first trouble among the containers of a pod.
pub fn first(pod: &Pod, asked: &Asked<'_>) -> Option<Trouble> {
    let status = pod.status.as_ref()?;
    let init = status.init_container_statuses.iter().flatten();
    let main = status.container_statuses.iter().flatten();
    init.chain(main).find_map(|container| of(pod, container, asked))
}

fn of(pod: &Pod, container: &ContainerStatus, asked: &Asked<'_>) -> Option<Trouble> {
    let state = container.state.as_ref()?;
    if let Some(waiting) = &state.waiting {
        let message = waiting.message.as_deref().unwrap_or_default();
        match waiting.reason.as_deref().unwrap_or_default() {
            "ErrImagePull"
            | "ImagePullBackOff"
            | "ErrImageNeverPull"
            | "InvalidImageName"
            | "ImageInspectError"
            | "RegistryUnavailable"
            | "SignatureValidationFailed"
            | "ErrImageVolume"
            | "ImageVolumeMountFailed" => {
                return Some(text::image_pull(message, asked));
            }
            reason @ ("CreateContainerConfigError" | "CreateContainerError" | "RunContainerError") => {
                return Some(config(container, reason, message, asked));
            }
            _ => {}
        }
    }
    let last = container.last_state.as_ref().and_then(|last| last.terminated.as_ref());
    let ended = state.terminated.as_ref().or(last).filter(|_| !container.ready)?;
    let is_init_done = state.terminated.is_some() && ended.exit_code == 0;
    if is_init_done {
        return None;
    }
    terminated(pod, container, ended, asked)
}

/// The trouble that a container's end tells of; a worker has no reason to end by itself.
fn terminated(
    pod: &Pod,
    container: &ContainerStatus,
    ended: &ContainerStateTerminated,
    asked: &Asked<'_>,
) -> Option<Trouble> {
    let words = ended.message.as_deref().unwrap_or_default().trim();
    if ended.reason.as_deref() == Some("OOMKilled") || text::is_out_of_memory(words) {
        return Some(out_of_memory(container, asked));
    }
    match PrepareOutcome::parse(words) {
        Some(PrepareOutcome::Failed(failure)) => {
            return Some(Trouble {
                reason: failure.reason,
                message: failure.message,
            });
        }
        Some(PrepareOutcome::Ready(_)) => return None,
        Some(PrepareOutcome::Running(_)) | None => {}
    }
    if container.name == CONTAINER_PREPARE {
        let retry = if ended.exit_code == EXIT_TEMPORARY {
            "; it is tried again"
        } else {
            ""
        };
        let message = format!(
            "the prepare step ended with exit code {}{}{retry}",
            ended.exit_code,
            said(words)
        );
        return Some(Trouble::new(reasons::PREPARE_FAILED, message));
    }
    let message = format!(
        "container {} ended with exit code {}{}; `kubectl logs {} --previous` tells more",
        container.name,
        ended.exit_code,
        said(words),
        pod.name_any()
    );
    Some(Trouble::new(reasons::CRASH_LOOP, message))
}

/// The last line of a log, of ours without what is not for people: times would make each end another one.
fn said(words: &str) -> String {
    let Some(line) = words.lines().rev().map(str::trim).find(|line| !line.is_empty()) else {
        return String::new();
    };
    let Ok(entry) = serde_json::from_str::<LogEntry>(line) else {
        return format!(": {line}");
    };
    match entry.error {
        Some(error) => format!(": {}: {error}", entry.message),
        None => format!(": {}", entry.message),
    }
}

/// A line of our logs.
#[derive(Deserialize)]
struct LogEntry {
    message: String,
    error: Option<String>,
}

fn config(container: &ContainerStatus, reason: &str, message: &str, asked: &Asked<'_>) -> Trouble {
    if text::is_out_of_memory(message) {
        return out_of_memory(container, asked);
    }
    missing_reference(message, asked).unwrap_or_else(|| {
        let text = format!("container {} cannot be started ({reason}): {message}", container.name);
        Trouble::new(reasons::CONTAINER_CONFIG, text)
    })
}

fn out_of_memory(container: &ContainerStatus, asked: &Asked<'_>) -> Trouble {
    let message = if container.name == CONTAINER_WORKER {
        let or_lower = match asked.engine_image {
            None => "or lower spec.engine.atelier.contextLength or maxConcurrentSequences",
            Some(_) => "or let spec.engine.openAICompatible.args ask the engine to take less",
        };
        format!(
            "the worker needed more than its {} of memory: raise spec.resources.memory, {or_lower}",
            asked.memory
        )
    } else if asked.compresses {
        format!(
            "compressing the weights needed more than {} of memory: set spec.resources.memory to more",
            asked.prepare_memory
        )
    } else {
        format!(
            "the prepare step needed more than its {} of memory: the header of the file is too large",
            asked.prepare_memory
        )
    };
    Trouble::new(reasons::OUT_OF_MEMORY, message)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::ours(
        r#"{"timestamp":"t","level":"ERROR","message":"failed to read the chat template"}"#,
        ": failed to read the chat template"
    )]
    #[case::with_its_cause(
        r#"{"message":"failed to load","error":"no such file"}"#,
        ": failed to load: no such file"
    )]
    #[case::of_others("Traceback:\n  KeyError: 'x'\n\n", ": KeyError: 'x'")]
    #[case::other_json(r#"{"level":30}"#, r#": {"level":30}"#)]
    #[case::nothing("\n", "")]
    fn the_last_words_are_for_people(#[case] words: &str, #[case] expected: &str) {
        assert_eq!(said(words), expected);
    }
}
