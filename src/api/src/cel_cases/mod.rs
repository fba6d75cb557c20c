//! For each validation rule of each kind, objects that it lets pass and objects that it refuses.
//!
//! The tables beside this file are checked twice: here, with rules evaluated by the `kube` crate, and by
//! the end-to-end tests against a real API server. An entry names its rule by the beginning of the rule's
//! message, and lists what differs from the kind's smallest valid spec.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{crd, names};

/// What one rule accepts and refuses.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Plural of the kind: `llmmodels`.
    pub plural: String,
    /// The rule's message, whole: the refusal must contain it.
    pub message: String,
    /// For rules about changes: what must be created before.
    pub existing: Option<Value>,
    /// An object that passes; when something exists, an update of it.
    pub accepted: Value,
    /// An object that is refused by this rule and by no other.
    pub rejected: Value,
}

/// Name of the objects, but of those that are about names.
const NAME: &str = "case";

/// All cases.
pub fn all() -> Vec<Case> {
    crd::all().iter().flat_map(of_kind).collect()
}

#[derive(Deserialize)]
struct Kind {
    base: Map<String, Value>,
    cases: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    rule: String,
    before: Option<Map<String, Value>>,
    accept: Map<String, Value>,
    reject: Map<String, Value>,
}

impl Row {
    /// The same row, with its overrides put inside of others.
    fn placed(self, place: impl Fn(Value) -> Value) -> Self {
        let put = |inner: Map<String, Value>| match place(inner.into()) {
            Value::Object(outer) => outer,
            other => unreachable!("specs are objects, not {other}"),
        };
        Self {
            rule: self.rule,
            before: self.before,
            accept: put(self.accept),
            reject: put(self.reject),
        }
    }
}

fn parse<T: serde::de::DeserializeOwned>(table: &str) -> T {
    // By way of YAML's own values, because these know merge keys (`<<`).
    let mut value: serde_yaml_ng::Value = serde_yaml_ng::from_str(table).expect("tables are valid YAML");
    value.apply_merge().expect("merge keys refer to mappings");
    serde_yaml_ng::from_value(value).expect("tables have these fields")
}

fn rows(plural: &str) -> Kind {
    let pods = || parse::<Vec<Row>>(include_str!("pods.yaml"));
    let files = || parse::<Vec<Row>>(include_str!("files.yaml")).into_iter();
    match plural {
        "llmmodels" => {
            let mut kind: Kind = parse(include_str!("llmmodels.yaml"));
            kind.cases.extend(pods());
            kind.cases
                .extend(files().map(|row| row.placed(|source| json!({"source": source}))));
            kind
        }
        "finetunejobs" => {
            let mut kind: Kind = parse(include_str!("finetunejobs.yaml"));
            kind.cases.extend(pods());
            let suite = |source| json!({"evaluate": {"suites": [{"name": "facts", "source": source}]}});
            kind.cases.extend(files().map(|row| row.placed(suite)));
            kind
        }
        "shadowdeployments" => parse(include_str!("shadowdeployments.yaml")),
        "rooms" => parse(include_str!("rooms.yaml")),
        other => unreachable!("no cases for {other}"),
    }
}

fn of_kind(definition: &Value) -> Vec<Case> {
    let plural = crd::plural(definition);
    let kind_name = definition
        .pointer("/spec/names/kind")
        .and_then(Value::as_str)
        .expect("every definition names its kind");
    let messages = messages(definition);
    let Kind { base, cases } = rows(plural);
    let object = |name: &str, overrides: &Map<String, Value>| {
        json!({
            "apiVersion": format!("{}/{}", names::GROUP, names::VERSION),
            "kind": kind_name,
            "metadata": {"name": name},
            "spec": overlay(&base, overrides),
        })
    };
    let about_specs = cases.into_iter().map(|row| Case {
        plural: plural.into(),
        message: whole_message(&messages, &row.rule),
        existing: row.before.as_ref().map(|before| object(NAME, before)),
        accepted: object(NAME, &row.accept),
        rejected: object(NAME, &row.reject),
    });
    let longest = "a".repeat(names::MODEL_NAME_MAX);
    let too_long = format!("{longest}a");
    let unchanged = Map::new();
    let about_names = [(longest.as_str(), too_long.as_str()), ("a1", "1a"), ("a-b", "a.b")].map(|(good, bad)| Case {
        plural: plural.into(),
        message: messages
            .iter()
            .find(|message| message.contains("metadata.name must be at most"))
            .expect("every kind limits its names")
            .clone(),
        existing: None,
        accepted: object(good, &unchanged),
        rejected: object(bad, &unchanged),
    });
    about_specs.chain(about_names).collect()
}

/// `base` with the fields of `overrides` in the place of its own; null takes a field away.
fn overlay(base: &Map<String, Value>, overrides: &Map<String, Value>) -> Map<String, Value> {
    let mut spec = base.clone();
    spec.extend(overrides.clone());
    spec.retain(|_, value| !value.is_null());
    spec
}

/// Messages of all rules of a definition.
fn messages(definition: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    crd::walk(crd::schema(definition), "", &mut |_, schema| {
        let rules = schema.get("x-kubernetes-validations").and_then(Value::as_array);
        for rule in rules.into_iter().flatten() {
            let message = rule.get("message").and_then(Value::as_str);
            found.insert(message.expect("every rule has a message").to_owned());
        }
    });
    found
}

fn whole_message(messages: &BTreeSet<String>, beginning: &str) -> String {
    let found: Vec<_> = messages
        .iter()
        .filter(|message| message.starts_with(beginning))
        .collect();
    match found.as_slice() {
        [message] => (*message).clone(),
        _ => panic!("{} rules say \"{beginning}…\", not one: {found:?}", found.len()),
    }
}

#[cfg(test)]
mod tests;
