//! The state of a training: what it goes on from, byte by byte as if it had never ended.
//!
//! ```text
//!  state.json          the step, and which training it is
//!  state.safetensors   what is trained, and what the optimizer remembers of it
//! ```

use std::path::Path;

use protocol::tune::{Hyperparameters, Method, Objective, TrainPlan};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tch::{Kind, Tensor};

use crate::{
    Error,
    optimizer::Optimizer,
    parameters::Parameters,
    tensor_file::{self, Entry, Reader},
};

const HEADER: &str = "state.json";
const TENSORS: &str = "state.safetensors";
/// Changes with the meaning of the files.
const FORMAT: u32 = 1;

/// Which training a state is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Header {
    format: u32,
    step: u64,
    total_steps: u64,
    digest: Option<String>,
    method: Method,
    objective: Objective,
    architecture: Option<protocol::tune::Architecture>,
    hyperparameters: Hyperparameters,
}

impl Header {
    pub fn new(plan: &TrainPlan, total_steps: u64, step: u64) -> Self {
        Self {
            format: FORMAT,
            step,
            total_steps,
            digest: plan.digest.clone(),
            method: plan.method,
            objective: plan.objective,
            architecture: plan.architecture.clone(),
            hyperparameters: plan.hyperparameters.clone(),
        }
    }
}

/// Writes a state.
pub(crate) fn save(
    directory: &Path,
    header: &Header,
    parameters: &Parameters,
    optimizer: &Optimizer,
) -> Result<(), Error> {
    let mut entries = Vec::new();
    let mut tensors: Vec<&Tensor> = Vec::new();
    let mut add = |name: String, tensor| {
        entries.push(Entry {
            name,
            shape: Tensor::size(tensor),
            kind: Kind::Float,
        });
        tensors.push(tensor);
    };
    for parameter in parameters.all() {
        add(value_name(&parameter.name), &parameter.value);
    }
    for (index, slot, tensor) in optimizer.memory() {
        add(memory_name(slot, &parameters.all()[index].name), tensor);
    }
    let written = |index: usize| Ok(tensors[index].shallow_clone());
    tensor_file::write(&directory.join(TENSORS), &entries, written)?;
    let path = directory.join(HEADER);
    let text = serde_json::to_string_pretty(header).map_err(|error| Error::file("write", &path)(error.into()))?;
    std::fs::write(&path, text + "\n").map_err(Error::file("write", &path))
}

/// Reads a state of the training that `expected` describes, and returns its step.
pub(crate) fn load(
    directory: &Path,
    expected: &Header,
    parameters: &mut Parameters,
    optimizer: &mut Optimizer,
) -> Result<u64, Error> {
    let path = directory.join(HEADER);
    let refuse = |why: String| Error::State {
        path: path.clone(),
        why,
    };
    let text = std::fs::read(&path).map_err(Error::file("read", &path))?;
    let found: Value = serde_json::from_slice(&text).map_err(|error| refuse(error.to_string()))?;
    let step = found["step"].as_u64().ok_or_else(|| refuse("it has no step".into()))?;
    let mut wanted = serde_json::to_value(expected).map_err(|error| refuse(error.to_string()))?;
    wanted["step"] = step.into();
    if let Some(difference) = difference("", &found, &wanted) {
        return Err(refuse(format!("it is of another training: {difference}")));
    }
    let reader = Reader::open(&directory.join(TENSORS))?;
    let _guard = tch::no_grad_guard();
    for parameter in parameters.all_mut() {
        reader.read(&value_name(&parameter.name), &mut parameter.value.f_detach()?)?;
    }
    for (index, slot, tensor) in optimizer.memory() {
        let name = memory_name(slot, &parameters.all()[index].name);
        reader.read(&name, &mut tensor.shallow_clone())?;
    }
    Ok(step)
}

fn value_name(parameter: &str) -> String {
    format!("value.{parameter}")
}

fn memory_name(slot: &str, parameter: &str) -> String {
    format!("{slot}.{parameter}")
}

/// The first field in which two differ, in words.
fn difference(field: &str, found: &Value, wanted: &Value) -> Option<String> {
    match (found, wanted) {
        (Value::Object(a), Value::Object(b)) => {
            let names = b.keys().chain(a.keys().filter(|name| !b.contains_key(*name)));
            let mut differences = names.filter_map(|name| {
                let inner = [field, name.as_str()].into_iter().filter(|part| !part.is_empty());
                let inner = inner.collect::<Vec<_>>().join(".");
                let get = |object: &serde_json::Map<String, Value>| object.get(name).cloned().unwrap_or_default();
                difference(&inner, &get(a), &get(b))
            });
            differences.next()
        }
        (a, b) if a == b => None,
        (a, b) => Some(format!("{field} is {a} there and {b} here")),
    }
}
