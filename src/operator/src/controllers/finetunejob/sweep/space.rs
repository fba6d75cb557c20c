//! The settings of all trials of a sweep, which follow from the spec alone. Pure.

use std::collections::BTreeMap;

use api::finetunejob::{FineTuneJobSpec, Hyperparameters, Method, Objective, Sweep, SweepAlgorithm, SweepDimension};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::schema;
use crate::controllers::finetunejob::validate::{hyperparameters, range};

/// Settings of a trial, by paths under `hyperparameters`.
pub type Candidate = BTreeMap<String, String>;

/// Draws for each trial before a space that has no more combinations is given up.
const DRAWS: usize = 20;
const SEED: i64 = 42;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Integer,
    Decimal,
    /// Between 0 and 1, without an exponent.
    Fraction,
    Flag,
    /// One of several words, or a form of its own.
    Word,
}

fn kind(path: &str) -> Option<Kind> {
    Some(match path {
        "sequenceLength"
        | "batchTokens"
        | "gradientAccumulation"
        | "epochs"
        | "steps"
        | "lora.r"
        | "lora.alpha"
        | "virtualTokens"
        | "bottleneck"
        | "seed" => Kind::Integer,
        "learningRate" | "weightDecay" | "clip" | "beta" => Kind::Decimal,
        "dropout" => Kind::Fraction,
        "packing" | "gradientCheckpointing" | "lora.rankStabilized" => Kind::Flag,
        "schedule" | "warmup" | "optimizer" => Kind::Word,
        _ => return None,
    })
}

/// The settings of all trials, in their order.
///
/// # Errors
/// Which part of the space makes no sense.
pub fn candidates(spec: &FineTuneJobSpec, sweep: &Sweep) -> Result<Vec<Candidate>, String> {
    let most = usize::try_from(sweep.max_trials).unwrap_or_default();
    let mut found = match sweep.algorithm {
        SweepAlgorithm::Grid => grid(sweep, most),
        SweepAlgorithm::Random | SweepAlgorithm::ASHA => {
            let given = spec.hyperparameters.as_ref();
            random(sweep, most, given.and_then(|given| given.seed).unwrap_or(SEED))?
        }
    };
    found.truncate(most);
    for candidate in &found {
        let trial = settled(spec, candidate)?;
        schema::check(&trial.hyperparameters.clone().unwrap_or_default())?;
        // What a trial alone would be refused for.
        hyperparameters::of(&trial).map_err(|fault| format!("spec.sweep.space: of trial {candidate:?}, {fault}"))?;
    }
    Ok(found)
}

/// All combinations; the last dimension changes first.
fn grid(sweep: &Sweep, most: usize) -> Vec<Candidate> {
    let mut all = vec![Candidate::new()];
    for dimension in &sweep.space {
        let extended = all.iter().flat_map(|before| {
            let with = |value: &String| {
                let mut after = before.clone();
                after.insert(dimension.name.clone(), value.clone());
                after
            };
            dimension.values.iter().map(with).collect::<Vec<_>>()
        });
        // Of each prefix at least one combination follows, in the same order.
        all = extended.take(most).collect();
    }
    all
}

fn random(sweep: &Sweep, most: usize, seed: i64) -> Result<Vec<Candidate>, String> {
    let mut all: Vec<Candidate> = Vec::new();
    for draw in 0..most.saturating_mul(DRAWS) {
        let mut candidate = Candidate::new();
        for dimension in &sweep.space {
            candidate.insert(
                dimension.name.clone(),
                value(dimension, unit(seed, draw, &dimension.name))?,
            );
        }
        if !all.contains(&candidate) {
            all.push(candidate);
        }
        if all.len() == most {
            break;
        }
    }
    Ok(all)
}

/// A number from 0 to 1, without 1, that follows from what it is for.
fn unit(seed: i64, draw: usize, name: &str) -> f64 {
    let digest = Sha256::digest(format!("{seed}/{draw}/{name}"));
    // As many bits as a float holds.
    let bits = digest
        .iter()
        .take(8)
        .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte))
        >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

fn value(dimension: &SweepDimension, unit: f64) -> Result<String, String> {
    let field = format!("spec.sweep.space[{}]", dimension.name);
    let kind = kind(&dimension.name).ok_or_else(|| unknown(&dimension.name))?;
    let (Some(min), Some(max)) = (&dimension.min, &dimension.max) else {
        // Below the length, as `unit` is below 1.
        let index = (unit * dimension.values.len() as f64) as usize;
        let chosen = dimension.values.get(index).or(dimension.values.last());
        return chosen.cloned().ok_or_else(|| format!("{field} has no values"));
    };
    let logarithmic = dimension.logarithmic.unwrap_or_default();
    let (from, to) = range(&field, min, max, logarithmic)?;
    if kind == Kind::Integer && from.ceil() > to.floor() {
        return Err(format!(
            "{field}: there is no integer from {min} to {max}: make the range wider"
        ));
    }
    // Each integer has the same chance, both ends included.
    let last = if kind == Kind::Integer { to + 1.0 } else { to };
    let drawn = match logarithmic {
        true => (from.ln() + unit * (last.ln() - from.ln())).exp(),
        false => from + unit * (last - from),
    };
    match kind {
        Kind::Integer => Ok(format!("{:.0}", drawn.floor().clamp(from.ceil(), to.floor()))),
        Kind::Decimal => Ok(format!("{:.3e}", drawn)),
        Kind::Fraction => Ok(format!("{:.4}", drawn.clamp(from, to))),
        Kind::Flag | Kind::Word => Err(format!("{field} is no number: list its values")),
    }
}

fn unknown(name: &str) -> String {
    format!(
        "spec.sweep.space[{name}]: spec.hyperparameters has no field {name} that can vary; `kubectl explain \
         ftj.spec.hyperparameters` lists them"
    )
}

/// The spec of a trial.
///
/// # Errors
/// Which setting does not go with the rest.
pub fn settled(spec: &FineTuneJobSpec, candidate: &Candidate) -> Result<FineTuneJobSpec, String> {
    let given = spec.hyperparameters.clone().unwrap_or_default();
    let mut fields = json!(given);
    for (path, text) in candidate {
        applies(spec, path)?;
        let kind = kind(path).ok_or_else(|| unknown(path))?;
        let fault = || format!("spec.sweep.space[{path}]: {text:?} is no value of that field");
        let value = match kind {
            Kind::Integer => Value::from(text.parse::<u32>().map_err(|_| fault())?),
            Kind::Flag => Value::from(text.parse::<bool>().map_err(|_| fault())?),
            Kind::Decimal | Kind::Fraction => match text.parse::<f64>().is_ok_and(|value| value >= 0.0) {
                true => Value::from(text.as_str()),
                false => return Err(fault()),
            },
            Kind::Word => Value::from(text.as_str()),
        };
        let place = match path.split_once('.') {
            Some((outer, inner)) => {
                let outer = &mut fields[outer];
                if !outer.is_object() {
                    *outer = json!({});
                }
                &mut outer[inner]
            }
            None => &mut fields[path],
        };
        *place = value;
    }
    let hyperparameters: Hyperparameters =
        serde_json::from_value(fields).map_err(|error| format!("spec.sweep.space: {error}"))?;
    if hyperparameters.epochs.is_some() && hyperparameters.steps.is_some() {
        return Err("spec.sweep.space: a training takes at most one of epochs and steps".into());
    }
    Ok(FineTuneJobSpec {
        hyperparameters: Some(hyperparameters),
        sweep: None,
        schedule: None,
        suspend: false,
        ..spec.clone()
    })
}

/// The same rules that the schema has for fields of some methods.
fn applies(spec: &FineTuneJobSpec, path: &str) -> Result<(), String> {
    let (is_right, whose) = match path {
        _ if path.starts_with("lora.") => (
            matches!(spec.method, Method::LoRA | Method::QLoRA),
            "methods LoRA and QLoRA",
        ),
        "virtualTokens" => (spec.method == Method::Prefix, "method Prefix"),
        "bottleneck" => (spec.method == Method::Adapter, "method Adapter"),
        "beta" => (spec.objective == Objective::DPO, "objective DPO"),
        _ => (true, ""),
    };
    match is_right {
        true => Ok(()),
        false => Err(format!("spec.sweep.space[{path}] applies to {whose} only")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controllers::finetunejob::testing::job;

    fn all(sweep: Value) -> Result<Vec<Candidate>, String> {
        let spec = job(json!({"sweep": sweep})).spec;
        candidates(&spec, spec.sweep.as_ref().unwrap())
    }

    #[test]
    fn a_grid_is_all_combinations_in_order() {
        let space = json!([{"name": "learningRate", "values": ["1e-4", "1e-3"]}, {"name": "lora.r", "values": ["4", "8", "16"]}]);
        let found = all(json!({"algorithm": "Grid", "maxTrials": 10, "space": space})).unwrap();
        let short: Vec<_> = found
            .iter()
            .map(|it| format!("{}/{}", it["learningRate"], it["lora.r"]))
            .collect();
        assert_eq!(short, ["1e-4/4", "1e-4/8", "1e-4/16", "1e-3/4", "1e-3/8", "1e-3/16"]);
        let few = all(json!({"algorithm": "Grid", "maxTrials": 4, "space": space})).unwrap();
        assert_eq!(few, found[..4]);
    }

    #[test]
    fn random_settings_are_in_their_ranges_and_always_the_same() {
        let sweep = json!({"maxTrials": 200, "space": [
            {"name": "learningRate", "min": "1e-5", "max": "1e-2", "logarithmic": true},
            {"name": "lora.r", "min": "4", "max": "7"},
            {"name": "dropout", "min": "0", "max": "0.1"},
            {"name": "schedule", "values": ["Linear", "Cosine"]},
        ]});
        let found = all(sweep.clone()).unwrap();
        assert_eq!(found, all(sweep).unwrap());
        assert_eq!(found.len(), 200);
        let column = |name: &str| found.iter().map(|it| it[name].clone()).collect::<Vec<_>>();
        let rates: Vec<f64> = column("learningRate").iter().map(|it| it.parse().unwrap()).collect();
        assert!(rates.iter().all(|rate| (1e-5..=1e-2).contains(rate)), "{rates:?}");
        // Evenly over orders of magnitude: a third below 1e-4.
        let low = rates.iter().filter(|rate| **rate < 1e-4).count();
        assert!((40..=95).contains(&low), "{low} of 200");
        for rank in ["4", "5", "6", "7"] {
            let count = column("lora.r").iter().filter(|it| *it == rank).count();
            assert!((20..=90).contains(&count), "{count} times {rank}");
        }
        assert!(
            column("dropout")
                .iter()
                .all(|it| it.len() == 6 && it.parse::<f64>().unwrap() <= 0.1)
        );
    }

    #[test]
    fn a_small_space_has_few_trials() {
        let sweep = json!({"maxTrials": 50, "space": [{"name": "lora.r", "values": ["4", "8"]}]});
        assert_eq!(all(sweep).unwrap().len(), 2);
    }

    #[test]
    fn trials_get_typed_settings_beside_the_others() {
        let spec = job(json!({"hyperparameters": {"lora": {"alpha": 8}, "epochs": 2}, "suspend": true})).spec;
        let candidate = [("lora.r", "4"), ("learningRate", "1.000e-3"), ("packing", "true")];
        let candidate = candidate
            .map(|(path, value)| (path.to_owned(), value.to_owned()))
            .into();
        let trial = settled(&spec, &candidate).unwrap();
        let given = trial.hyperparameters.unwrap();
        let lora = given.lora.unwrap();
        assert_eq!((lora.r, lora.alpha, given.epochs), (Some(4), Some(8), Some(2)));
        assert_eq!(
            (given.learning_rate.as_deref(), given.packing),
            (Some("1.000e-3"), Some(true))
        );
        assert!(!trial.suspend);
    }

    #[test]
    fn settings_that_do_not_go_together_are_refused() {
        for (space, words) in [
            (json!({"name": "virtualTokens", "values": ["4"]}), "method Prefix only"),
            (json!({"name": "steps", "values": ["many"]}), "no value of that field"),
            (json!({"name": "optimizer", "values": ["Adagrad"]}), "Adagrad"),
            (
                json!({"name": "lora.r", "min": "4.2", "max": "4.8"}),
                "no integer from 4.2 to 4.8",
            ),
            (
                json!({"name": "lora.r", "values": ["0"]}),
                "spec.sweep.space[lora.r]: 0 is less than 1",
            ),
            (json!({"name": "batchTokens", "values": ["8"]}), "less than 16"),
            (json!({"name": "lora.r", "min": "1", "max": "5000"}), "more than 1024"),
            (json!({"name": "learningRate", "values": ["inf"]}), "has not the form"),
            (json!({"name": "dropout", "values": ["1.5"]}), "has not the form"),
            (json!({"name": "warmup", "values": ["soon"]}), "has not the form"),
            (
                json!({"name": "learningRate", "values": ["0"]}),
                "learningRate must be greater than 0",
            ),
            (
                json!({"name": "sequenceLength", "values": ["16384"]}),
                "more than batchTokens",
            ),
            (json!({"name": "optimizer", "min": "1", "max": "2"}), "list its values"),
            (
                json!({"name": "learningRate", "min": "0", "max": "1", "logarithmic": true}),
                "greater than 0",
            ),
        ] {
            let error = all(json!({"maxTrials": 3, "space": [space]})).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
