use kube::core::cel::{ErrorKind, Validator, apply_defaults, compile_schema};

use super::*;
use crate::{FineTuneJob, LlmModel, Room, ShadowDeployment, crd::structural};

/// Each kind's schema with the cases for it.
fn kinds() -> Vec<(Value, Vec<Case>)> {
    let definitions = crd::all();
    definitions
        .iter()
        .map(|definition| (crd::schema(definition).clone(), of_kind(definition)))
        .collect()
}

fn objects(case: &Case) -> impl Iterator<Item = &Value> {
    [&case.accepted, &case.rejected].into_iter().chain(&case.existing)
}

/// What the types make of an object: read and written again.
fn through_type(plural: &str, object: &Value) -> Value {
    macro_rules! through {
        ($type:ty) => {{
            let typed: $type = serde_json::from_value(object.clone()).unwrap();
            serde_json::to_value(typed).unwrap()
        }};
    }
    match plural {
        "llmmodels" => through!(LlmModel),
        "finetunejobs" => through!(FineTuneJob),
        "shadowdeployments" => through!(ShadowDeployment),
        _ => through!(Room),
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
    for (schema, cases) in kinds() {
        for case in &cases {
            for object in objects(case) {
                let errors = structural::errors(&schema, object);
                assert!(errors.is_empty(), "{}: {errors:?}: {object}", case.message);
            }
        }
    }
}

#[test]
fn types_and_schemas_have_the_same_defaults() {
    for (schema, cases) in kinds() {
        for case in &cases {
            for object in objects(case) {
                assert_eq!(through_type(&case.plural, object), apply_defaults(&schema, object));
            }
        }
    }
}

#[test]
fn rules_accept_and_refuse() {
    for (schema, cases) in kinds() {
        let rules = compile_schema(&schema);
        assert!(!rules.has_errors(), "{:?}", rules.compilation_errors());
        for case in &cases {
            let existing = case.existing.as_ref().map(|object| apply_defaults(&schema, object));
            let validate = |object: &Value| {
                let object = apply_defaults(&schema, object);
                Validator::new().validate_compiled(&rules, &object, existing.as_ref())
            };
            if let Err(errors) = validate(&case.accepted) {
                panic!("\"{}\" refused {}: {errors:?}", case.message, case.accepted);
            }
            let errors = validate(&case.rejected).expect_err(&case.message);
            let found: BTreeSet<_> = errors.iter().map(|error| error.message.as_str()).collect();
            assert_eq!(found, BTreeSet::from([case.message.as_str()]), "{}", case.rejected);
            assert!(
                errors.iter().all(|error| error.kind == ErrorKind::ValidationFailure),
                "{errors:?}"
            );
        }
    }
}
