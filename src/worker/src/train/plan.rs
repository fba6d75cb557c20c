//! The plan of a training: where it comes from, and what it may not say.

use std::path::Path;

use protocol::tune::{Gate, Method, Objective, PLAN_VARIABLE, TrainFailure, TrainPlan};
use sha2::{Digest as _, Sha256};

use super::failure::{io_at, permanent, reasons};

/// Changes when states, tokens or orders of another version cannot be gone on with.
const VERSION: u64 = 2;
/// Fields of a plan that say where things are, how often states are saved or what becomes of the result, and nothing
/// that a state depends on.
const ASIDE: [&str; 13] = [
    "run",
    "model",
    "digest",
    "baseName",
    "dataset",
    "checkpoint",
    "gate",
    "suites",
    "suiteLimits",
    "checkpoints",
    "outputs",
    "members",
    "keepBefore",
];

/// Reads the plan from a file, or from the environment.
///
/// # Errors
/// When there is none, or it is none.
pub fn read(file: Option<&Path>) -> Result<TrainPlan, TrainFailure> {
    let (text, place) = match file {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(io_at("read the plan", path))?;
            (text, path.display().to_string())
        }
        None => {
            let text = std::env::var(PLAN_VARIABLE).map_err(|_| {
                let message = format!("there is no plan: set {PLAN_VARIABLE}, or give --plan FILE");
                permanent(reasons::INVALID_PLAN, message)
            })?;
            (text, PLAN_VARIABLE.into())
        }
    };
    let plan = serde_json::from_str(&text).map_err(|error| {
        permanent(
            reasons::INVALID_PLAN,
            format!("failed to read the plan in {place}: {error}"),
        )
    })?;
    check(&plan)?;
    Ok(plan)
}

/// Looks at what can be seen in the plan alone.
fn check(plan: &TrainPlan) -> Result<(), TrainFailure> {
    let refuse = |what: String| Err(permanent(reasons::INVALID_PLAN, what));
    let settings = &plan.hyperparameters;
    for (field, value) in [
        ("batchTokens", settings.batch_tokens),
        ("gradientAccumulation", settings.gradient_accumulation),
        ("epochs", if settings.steps.is_some() { 1 } else { settings.epochs }),
        ("steps", settings.steps.unwrap_or(1)),
        ("sequenceLength", settings.sequence_length.unwrap_or(1)),
        ("evaluateEvery", plan.evaluate_every.unwrap_or(1)),
        ("checkpoint.everySteps", plan.checkpoint.every_steps.unwrap_or(1)),
    ] {
        if value == 0 {
            return refuse(format!("{field} is 0: it must be at least 1"));
        }
    }
    if let Some(length) = settings.sequence_length
        && length > settings.batch_tokens
    {
        return refuse(format!(
            "sequenceLength {length} is more than the batchTokens {}: one sequence has to fit a pass",
            settings.batch_tokens
        ));
    }
    if settings.packing && plan.objective == Objective::DPO {
        return refuse("packing is for single texts: pairs of the objective DPO have rows of their own".into());
    }
    if !plan.suites.is_empty() && matches!(plan.method, Method::Adapter | Method::Prefix) {
        return refuse(format!(
            "suites are asked by the engine that serves, which cannot load the outputs of {:?}: leave suites out, or use \
             LoRA, QLoRA or Full",
            plan.method
        ));
    }
    if plan.suites.len() > 16 {
        return refuse(format!(
            "{} suites are too many: at most 16 are asked",
            plan.suites.len()
        ));
    }
    for (name, limits) in &plan.suite_limits {
        let is_asked = |suite: &String| suite == name || suite.starts_with(&format!("{name}="));
        if !plan.suites.iter().any(is_asked) {
            return refuse(format!("suiteLimits.{name} is of a suite that is not asked"));
        }
        if limits.max_regression.is_some() && plan.gate.is_none() {
            return refuse(format!(
                "suiteLimits.{name}.maxRegression needs a gate, which says what a score is compared with"
            ));
        }
    }
    match &plan.gate {
        Some(Gate { max_regression, .. }) if !max_regression.is_finite() || *max_regression < 0.0 => refuse(format!(
            "gate.maxRegression is {max_regression}: it must be a share, 0 or more"
        )),
        _ => Ok(()),
    }
}

/// A digest of all that a state depends on.
pub fn key(plan: &TrainPlan, dataset: &str, base: &str) -> [u8; 32] {
    let mut value = serde_json::to_value(plan).expect("a plan has text keys only");
    if let Some(fields) = value.as_object_mut() {
        ASIDE.iter().for_each(|name| drop(fields.remove(*name)));
        fields.insert("processes".into(), processes(plan).into());
        fields.insert("data".into(), dataset.into());
        fields.insert("base".into(), base.into());
        fields.insert("version".into(), VERSION.into());
    }
    // Names in an order of their own, whatever the order of the fields.
    sorted(&value)
}

fn sorted(value: &serde_json::Value) -> [u8; 32] {
    let mut hasher = Sha256::new();
    match value {
        serde_json::Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort();
            for name in names {
                hasher.update(Sha256::digest(name));
                hasher.update(sorted(&fields[name]));
            }
        }
        other => hasher.update(other.to_string()),
    }
    hasher.finalize().into()
}

/// Processes of the training.
pub fn processes(plan: &TrainPlan) -> usize {
    plan.members
        .as_ref()
        .map_or(1, |members| members.addresses.len().max(1))
}

/// A digest of what tokens depend on beside the records.
pub fn tokens_key(plan: &TrainPlan, dataset: &str, base: &str, length: usize) -> String {
    let text = serde_json::json!({
        "version": VERSION, "data": dataset, "base": base, "length": length,
        "objective": plan.objective, "template": plan.template,
    });
    hex::encode(&sorted(&text)[..8])
}

#[cfg(test)]
pub mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    /// A plan of LoRA with these changes of fields.
    pub fn plan(changes: &[(&str, Value)]) -> TrainPlan {
        let mut plan = json!({
            "run": "r", "model": "/m", "baseName": "base", "method": "LoRA", "objective": "SFT", "dataset": "/d",
            "hyperparameters": {
                "learningRate": 0.001, "schedule": "Constant", "warmup": {"steps": 0}, "batchTokens": 256,
                "gradientAccumulation": 1, "epochs": 1, "weightDecay": 0.0, "dropout": 0.0, "clip": 1.0, "seed": 1,
                "lora": {"r": 4, "alpha": 8.0, "targets": []},
            },
            "checkpoint": {"keep": 2}, "checkpoints": "/c", "outputs": "/o",
        });
        for (path, value) in changes {
            let place = path.split('.').fold(&mut plan, |value, name| &mut value[name]);
            *place = value.clone();
        }
        serde_json::from_value(plan).unwrap()
    }

    #[rstest]
    #[case("hyperparameters.batchTokens", json!(0), "batchTokens is 0")]
    #[case("hyperparameters.epochs", json!(0), "epochs is 0")]
    #[case("hyperparameters.steps", json!(0), "steps is 0")]
    #[case("hyperparameters.sequenceLength", json!(257), "more than the batchTokens 256")]
    #[case("evaluateEvery", json!(0), "evaluateEvery is 0")]
    #[case("gate", json!({"against": "Base", "maxRegression": -0.1}), "gate.maxRegression")]
    fn what_cannot_be_is_refused(#[case] field: &str, #[case] value: Value, #[case] expected: &str) {
        let failure = check(&plan(&[(field, value)])).unwrap_err();
        assert!(failure.message.contains(expected) && !failure.retryable, "{failure}");
    }

    #[test]
    fn suites_need_outputs_that_can_be_served() {
        let suites = ("suites", json!(["facts"]));
        check(&plan(std::slice::from_ref(&suites))).unwrap();
        let failure = check(&plan(&[suites, ("method", json!("Prefix"))])).unwrap_err();
        assert!(failure.message.contains("suites"), "{failure}");
    }

    #[rstest]
    #[case(json!({"manners": {"minScore": 0.5}}), "suiteLimits.manners is of a suite that is not asked")]
    #[case(json!({"mine": {"maxRegression": 0.5}}), "suiteLimits.mine.maxRegression needs a gate")]
    fn limits_are_of_what_is_asked(#[case] limits: Value, #[case] expected: &str) {
        let suites = ("suites", json!(["facts", "mine=/q.jsonl"]));
        let failure = check(&plan(&[suites.clone(), ("suiteLimits", limits)])).unwrap_err();
        assert!(failure.message.contains(expected) && !failure.retryable, "{failure}");
        check(&plan(&[suites, ("suiteLimits", json!({"mine": {"minScore": 0.5}}))])).unwrap();
    }

    #[rstest]
    #[case("run", json!("other"), true)]
    #[case("keepBefore", json!(["r-1"]), true)]
    #[case("suiteLimits", json!({"facts": {"minScore": 0.5}}), true)]
    #[case("model", json!("/elsewhere"), true)]
    #[case("checkpoint", json!({"keep": 7, "everySteps": 3}), true)]
    #[case("gate", json!({"against": "Base", "maxRegression": 0.1}), true)]
    #[case("hyperparameters.learningRate", json!(0.002), false)]
    #[case("hyperparameters.seed", json!(2), false)]
    #[case("evaluateEvery", json!(3), false)]
    #[case("members", json!({"addresses": ["a:1", "b:1"]}), false)]
    fn states_of_other_plans_have_other_keys(#[case] field: &str, #[case] value: Value, #[case] same: bool) {
        let (one, other) = (plan(&[]), plan(&[(field, value)]));
        assert_eq!(key(&one, "d", "b") == key(&other, "d", "b"), same);
        assert_ne!(key(&one, "d", "b"), key(&one, "e", "b"));
        assert_ne!(key(&one, "d", "b"), key(&one, "d", "c"));
    }

    #[test]
    fn a_plan_comes_from_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plan.json");
        std::fs::write(&path, serde_json::to_string(&plan(&[])).unwrap()).unwrap();
        assert_eq!(read(Some(&path)).unwrap(), plan(&[]));
        std::fs::write(&path, r#"{"run": "x", "modle": 1}"#).unwrap();
        let failure = read(Some(&path)).unwrap_err();
        assert!(
            failure.message.contains("plan.json") && failure.message.contains("modle"),
            "{failure}"
        );
    }
}
