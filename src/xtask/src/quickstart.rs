//! Applies `examples/quickstart.yaml`, waits until its model is Ready, and asks it something.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;

use crate::ask::{self, Question};
use crate::home::Home;
use crate::target::Target;
use crate::ui::{self, Stage};
use crate::{demo, deploy, process};

/// The question that `up` ends with.
pub const QUESTION: &str = "Name the capital city of France.";
const FILE: &str = "examples/quickstart.yaml";
/// Longest wait for Ready while nothing changes: a download that moves on is waited for.
const PATIENCE: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(400);
/// How long the gateway may take to hear of a model that just became Ready.
const SETTLE: Duration = Duration::from_secs(10);

/// The model of the quickstart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Model {
    /// The name by which the gateway knows it.
    pub fn address(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// Applies the example and waits until the model serves.
pub fn ensure(home: &Home, stage: &Stage, target: &Target, images: &deploy::Images) -> Result<Model> {
    let manifest = manifest(home, images)?;
    process::feed(
        target.kubectl().args(["apply", "--validate=strict", "--filename", "-"]),
        &manifest,
    )?;
    let mut last_change = Instant::now();
    let mut last = String::new();
    loop {
        let mut get = target.kubectl();
        let text = process::feed(get.args(["get", "--output", "json", "--filename", "-"]), &manifest)?;
        let state = State::parse(&text)?;
        if state.is_ready() {
            return Ok(Model {
                namespace: state.metadata.namespace,
                name: state.metadata.name,
            });
        }
        let message = state.describe();
        stage.status(&message);
        if message != last {
            last = message;
            last_change = Instant::now();
        }
        if state.is_rejected() || last_change.elapsed() >= PATIENCE {
            let (namespace, name) = (&state.metadata.namespace, &state.metadata.name);
            bail!(
                "failed to get the model {namespace}/{name} ready: {last}\n\
                 Look at `cargo xtask kubectl describe llm {name} --namespace {namespace}` and `cargo xtask logs operator`"
            );
        }
        thread::sleep(POLL);
    }
}

/// Removes what [`ensure`] applied and waits until it is gone.
pub fn remove(home: &Home, target: &Target, images: &deploy::Images) -> Result<()> {
    let mut delete = target.kubectl();
    delete.args([
        "delete",
        "--ignore-not-found",
        "--cascade=foreground",
        "--wait",
        "--filename",
        "-",
    ]);
    process::feed(&mut delete, &manifest(home, images)?).map(drop)
}

fn manifest(home: &Home, images: &deploy::Images) -> Result<String> {
    let text = std::fs::read_to_string(home.repo.join(FILE)).with_context(|| format!("failed to read {FILE}"))?;
    Ok(images.relocate(&text))
}

/// Asks [`QUESTION`] and prints the answer as it comes.
pub fn ask(target: &Target, model: &Model) -> Result<ask::Timing> {
    let gateway = target.gateway()?;
    let token = demo::token(target)?;
    let address = model.address();
    ui::say(&format!("\n{address} is asked: {QUESTION}"));
    let question = Question {
        model: &address,
        prompt: QUESTION,
        token: &token,
    };
    let timing = ask::stream(&gateway.authority, question, SETTLE, &mut std::io::stdout().lock())?;
    ui::say(&format!(
        "(first token after {} ms, then {:.0} tokens/s)\n",
        timing.first_token.as_millis(),
        timing.per_second
    ));
    Ok(timing)
}

#[derive(Debug, Deserialize)]
struct List {
    items: Vec<State>,
}

#[derive(Debug, Deserialize)]
struct State {
    metadata: Metadata,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    name: String,
    namespace: String,
    generation: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    conditions: Vec<Condition>,
    versions: Vec<Version>,
    candidate_version: Option<String>,
    current_version: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    r#type: String,
    status: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    observed_generation: i64,
}

#[derive(Debug, Deserialize)]
struct Version {
    name: String,
    #[serde(default)]
    state: String,
}

impl State {
    fn parse(json: &str) -> Result<Self> {
        // What kubectl looks up by a manifest on its standard input, it prints as a list.
        let list: List =
            serde_json::from_str(json).with_context(|| format!("failed to read the state of the model in {FILE}"))?;
        let [state] = <[Self; 1]>::try_from(list.items)
            .map_err(|items| anyhow!("{FILE} describes {} objects instead of one", items.len()))?;
        Ok(state)
    }

    fn ready(&self) -> Option<&Condition> {
        let current = |condition: &&Condition| condition.observed_generation >= self.metadata.generation;
        self.status
            .conditions
            .iter()
            .find(|condition| condition.r#type == "Ready")
            .filter(current)
    }

    fn is_ready(&self) -> bool {
        self.ready().is_some_and(|condition| condition.status == "True")
    }

    /// Whether the version to come was refused and nothing else serves: waiting does not help.
    fn is_rejected(&self) -> bool {
        let candidate = self.status.candidate_version.as_ref();
        self.status.current_version.is_none()
            && self
                .status
                .versions
                .iter()
                .any(|version| version.state == "Rejected" && Some(&version.name) == candidate)
    }

    fn describe(&self) -> String {
        match self.ready() {
            Some(condition) => format!("{}: {}", condition.reason, condition.message),
            None => "waiting for the operator to look at the model".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn state(status: serde_json::Value) -> State {
        let object = json!({"metadata": {"name": "m", "namespace": "default", "generation": 2}, "status": status});
        State::parse(&json!({"kind": "List", "items": [object]}).to_string()).unwrap()
    }

    #[test]
    fn an_old_condition_counts_for_nothing() {
        let ready = |generation: i64| {
            state(
                json!({"conditions": [{"type": "Ready", "status": "True", "reason": "Serving", "message": "", "observedGeneration": generation}]}),
            )
        };
        assert!(ready(2).is_ready());
        assert!(!ready(1).is_ready());
        assert_eq!(ready(1).describe(), "waiting for the operator to look at the model");
    }

    #[test]
    fn a_refused_first_version_ends_the_wait() {
        let versions = json!([{"name": "v-1", "state": "Rejected"}]);
        assert!(state(json!({"versions": versions, "candidateVersion": "v-1"})).is_rejected());
        assert!(
            !state(json!({"versions": versions, "candidateVersion": "v-1", "currentVersion": "v-0"})).is_rejected()
        );
        assert!(!state(json!({"versions": versions, "candidateVersion": "v-2"})).is_rejected());
    }
}
