use kube::core::cel::{ErrorKind, ValidationErrors};
use serde::de::DeserializeOwned;

use super::*;
use crate::{FineTuneJob, LlmModel, Room, ShadowDeployment, crd::structural};

fn definition(plural: &str) -> Value {
    crd::all().into_iter().find(|it| crd::plural(it) == plural).unwrap()
}

/// `check` on an object read as its type, and on the one that it updates.
macro_rules! checked {
    ($type:ty, $object:expr, $existing:expr) => {{
        let object: $type = read($object);
        match $existing {
            Some(existing) => object.validate_cel_update(&read::<$type>(existing)),
            None => object.validate_cel(),
        }
    }};
}

fn read<T: DeserializeOwned>(object: &Value) -> T {
    serde_json::from_value(object.clone()).unwrap_or_else(|error| panic!("{error}: {object}"))
}

fn validate(plural: &str, object: &Value, existing: Option<&Value>) -> Result<(), ValidationErrors> {
    match plural {
        "llmmodels" => checked!(LlmModel, object, existing),
        "finetunejobs" => checked!(FineTuneJob, object, existing),
        "shadowdeployments" => checked!(ShadowDeployment, object, existing),
        _ => checked!(Room, object, existing),
    }
}

#[test]
fn every_rule_has_a_case() {
    let cases = all();
    for definition in crd::all() {
        let plural = crd::plural(&definition);
        for message in messages(&definition) {
            let covered = cases
                .iter()
                .any(|case| case.plural == plural && case.message == message);
            assert!(covered, "{plural}: no case for \"{message}\"");
        }
    }
}

/// The objects differ from valid ones in what the rule forbids and in nothing else.
#[test]
fn the_objects_have_the_right_structure() {
    for case in all() {
        let definition = definition(&case.plural);
        let objects = [Some(&case.accepted), Some(&case.rejected), case.existing.as_ref()];
        for object in objects.into_iter().flatten() {
            let errors = structural::errors(crd::schema(&definition), object);
            assert!(errors.is_empty(), "{}: {errors:?}: {object}", case.message);
        }
    }
}

#[test]
fn rules_accept_and_refuse() {
    for case in all() {
        let existing = case.existing.as_ref();
        if let Err(errors) = validate(&case.plural, &case.accepted, existing) {
            panic!("\"{}\" refused {}: {errors:?}", case.message, case.accepted);
        }
        let errors = validate(&case.plural, &case.rejected, existing).expect_err(&case.message);
        let found: BTreeSet<_> = errors.iter().map(|error| error.message.as_str()).collect();
        assert_eq!(found, BTreeSet::from([case.message.as_str()]), "{}", case.rejected);
        assert!(
            errors.iter().all(|error| error.kind == ErrorKind::ValidationFailure),
            "{errors:?}"
        );
    }
}
