//! The files of `examples/` against the definitions, without a cluster.

use std::{fs, path::Path};

use kube::core::cel::{Validator, apply_defaults};
use serde::Deserialize;
use serde_json::Value;

use super::{INSTALLED, all, plural, schema, structural};
use crate::names;

/// The documents of each file, with the file's name.
fn documents() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        for document in serde_yaml_ng::Deserializer::from_str(&text) {
            found.push((name.clone(), Value::deserialize(document).unwrap()));
        }
    }
    found
}

#[test]
fn examples_are_valid() {
    let definitions = all();
    let ours: Vec<_> = documents()
        .into_iter()
        .filter(|(_, object)| {
            object["apiVersion"]
                .as_str()
                .is_some_and(|it| it.starts_with(names::GROUP))
        })
        .collect();
    assert!(!ours.is_empty());
    for (file, object) in ours {
        let definition = definitions
            .iter()
            .find(|it| it["spec"]["names"]["kind"] == object["kind"] && INSTALLED.contains(&plural(it)))
            .unwrap_or_else(|| panic!("{file}: no controller for {}", object["kind"]));
        let schema = schema(definition);
        assert_eq!(structural::errors(schema, &object), [""; 0], "{file}");
        let object = apply_defaults(schema, &object);
        if let Err(errors) = Validator::new().validate(schema, &object, None) {
            panic!("{file}: {errors:?}");
        }
    }
}
