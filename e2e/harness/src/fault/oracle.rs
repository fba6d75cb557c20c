//! What must hold whatever went wrong.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    run::Outcome,
    scenario::{End, Scenario},
    state,
};

/// What is wrong with a run, one line each, given a run of the same scenario without faults.
pub fn faults(scenario: Scenario, expected: &Outcome, found: &Outcome) -> Vec<String> {
    let mut wrong = state::differences(&expected.state, &found.state);
    wrong.extend(of_itself(found));
    if scenario.end() == End::Serving {
        wrong.extend(counts("created", &expected.creations, &found.creations));
        wrong.extend(counts("deleted", &expected.deletions, &found.deletions));
    } else {
        // How far the operator comes before all goes depends on the moment. A pass that is under way by then may
        // make once more what the garbage collector took first: it reads that its owner is there, and the owner
        // goes before it writes. The collector takes that as well, and nothing is made a third time.
        wrong.extend(repeated("created", &found.creations, 2));
        wrong.extend(repeated("deleted", &found.deletions, 1));
    }
    for promise @ (generation, version) in found.said.promises.difference(&expected.said.promises) {
        // A rollout that the end of all interrupts may as well have been done before.
        if scenario.end() != End::Serving && expected.said.candidates.contains(promise) {
            continue;
        }
        wrong.push(format!(
            "Ready=True was said of generation {generation} while version {version:?} served"
        ));
    }
    wrong
}

/// What is wrong with any run, seen alone.
pub fn of_itself(outcome: &Outcome) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, object) in &outcome.state {
        if object["upToDate"] == Value::Bool(false) {
            wrong.push(format!("{name}: the status is not about the spec as it is"));
        }
    }
    for write in &outcome.steady_writes {
        wrong.push(format!("written in the steady state: {write}"));
    }
    wrong
}

/// What is wrong with a state that another way led to, but for its history.
pub fn another_way(expected: &Outcome, found: &Outcome) -> Vec<String> {
    let plain = |outcome: &Outcome| state::without_history(outcome.state.clone());
    state::differences(&plain(expected), &plain(found))
}

fn repeated(what: &str, found: &BTreeMap<String, usize>, most: usize) -> Vec<String> {
    let too_often = found.iter().filter(|(_, count)| **count > most);
    too_often
        .map(|(name, count)| format!("{name} was {what} {count} times"))
        .collect()
}

fn counts(what: &str, expected: &BTreeMap<String, usize>, found: &BTreeMap<String, usize>) -> Vec<String> {
    let mut names: Vec<&String> = expected.keys().chain(found.keys()).collect();
    names.sort();
    names.dedup();
    let count = |counts: &BTreeMap<String, usize>, name: &str| counts.get(name).copied().unwrap_or_default();
    names
        .into_iter()
        .filter(|name| count(expected, name) != count(found, name))
        .map(|name| {
            let (expected, found) = (count(expected, name), count(found, name));
            format!("{name} was {what} {found} times, without faults {expected} times")
        })
        .collect()
}
