//! Whether settings of a trial are such that the API server takes them: it says so once the trial is made, hours later.
//! Pure.

use std::sync::LazyLock;

use api::{FineTuneJob, finetunejob::Hyperparameters};
use kube::CustomResourceExt;
use regex::Regex;
use serde_json::Value;

/// Where the definition has the settings of a training.
const PLACE: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/hyperparameters";

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let definition = serde_json::to_value(FineTuneJob::crd()).expect("definitions are plain data");
    definition.pointer(PLACE).cloned().unwrap_or_default()
});

/// Looks at the bounds and forms of all settings.
///
/// # Errors
/// The first setting that is out of its bounds.
pub fn check(settings: &Hyperparameters) -> Result<(), String> {
    let settings = serde_json::to_value(settings).expect("our own types are representable as JSON");
    within("", &SCHEMA, &settings)
}

fn within(path: &str, schema: &Value, value: &Value) -> Result<(), String> {
    let fault = |what: String| Err(format!("spec.sweep.space[{path}]: {value} {what}"));
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
                let Some(schema) = schema.pointer(&format!("/properties/{name}")) else {
                    continue;
                };
                let dot = if path.is_empty() { "" } else { "." };
                within(&format!("{path}{dot}{name}"), schema, value)?;
            }
            Ok(())
        }
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or_default();
            match (bound("minimum"), bound("maximum")) {
                (Some(least), _) if number < least => {
                    fault(format!("is less than {least}, which the field takes at least"))
                }
                (_, Some(most)) if number > most => {
                    fault(format!("is more than {most}, which the field takes at most"))
                }
                _ => Ok(()),
            }
        }
        Value::String(text) => {
            if bound("maxLength").is_some_and(|most| text.chars().count() as f64 > most) {
                return fault("is too long for that field".into());
            }
            let pattern = schema.get("pattern").and_then(Value::as_str);
            // The API server would not have taken a pattern that is none.
            let form = pattern.and_then(|pattern| Regex::new(pattern).ok());
            match form.is_none_or(|form| form.is_match(text)) {
                true => Ok(()),
                false => fault("has not the form of that field".into()),
            }
        }
        _ => Ok(()),
    }
}
