//! JSON schemas of Kubernetes for kubeconform, from the API description in Kubernetes' own Go module.
//!
//! The module is what the local cluster is built from, so both always have the same version.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::home::{self, Home};
use crate::toolbox::go;
use crate::toolbox::table::KUBERNETES_VERSION;

/// Where kubeconform looks, in its template language.
const LAYOUT: &str = "{{.ResourceKind}}{{.KindSuffix}}.json";
const DEFINITIONS: &str = "_definitions.json";

/// Makes the schemas unless they are in the cache; returns the value of `-schema-location`.
pub fn ensure(home: &Home) -> Result<String> {
    let dir = home.cache.join(format!("schemas-{KUBERNETES_VERSION}"));
    if !dir.join(DEFINITIONS).is_file() {
        go::ensure_go()?;
        let module = go::module("k8s.io/kubernetes", KUBERNETES_VERSION)?;
        let work = home.fresh_work_dir("schemas")?;
        write(&module.join("api/openapi-spec/swagger.json"), &work)?;
        home::publish_dir(&work, &dir)?;
    }
    Ok(dir.join(LAYOUT).display().to_string())
}

/// Splits the API description into one small schema per kind, which all refer to one file of definitions.
fn write(swagger: &Path, dir: &Path) -> Result<()> {
    let text = std::fs::read(swagger).with_context(|| format!("failed to read {}", swagger.display()))?;
    let mut swagger: Value =
        serde_json::from_slice(&text).context("failed to read the API description of Kubernetes")?;
    let definitions = swagger.get_mut("definitions").and_then(Value::as_object_mut);
    let definitions = definitions.context("failed to read the API description of Kubernetes: it has no definitions")?;
    for (name, definition) in definitions.iter_mut() {
        make_strict(name, definition);
    }
    for (name, definition) in definitions.iter() {
        for kind in kinds(definition) {
            let schema = json!({"$ref": format!("{DEFINITIONS}#/definitions/{name}")});
            save(&dir.join(kind), &schema)?;
        }
    }
    save(&dir.join(DEFINITIONS), &json!({"definitions": definitions}))
}

fn save(path: &Path, schema: &Value) -> Result<()> {
    std::fs::write(path, schema.to_string()).with_context(|| format!("failed to write {}", path.display()))
}

/// File names of the kinds that a definition describes, in kubeconform's layout.
fn kinds(definition: &Value) -> Vec<String> {
    let kinds = definition
        .get("x-kubernetes-group-version-kind")
        .and_then(Value::as_array);
    let name = |kind: &Value| {
        let part = |key| kind.get(key).and_then(Value::as_str);
        let (group, version, kind) = (part("group")?, part("version")?, part("kind")?);
        let group = group.split('.').next().filter(|group| !group.is_empty());
        let group = group.map(|group| format!("-{group}")).unwrap_or_default();
        Some(format!("{}{group}-{version}.json", kind.to_lowercase()))
    };
    kinds.into_iter().flatten().filter_map(name).collect()
}

/// Unknown fields are errors, as they are for an apiserver that validates strictly; and two types
/// that are written as strings take numbers too.
fn make_strict(name: &str, definition: &mut Value) {
    let scalar = |types: &[&str]| json!({"oneOf": types.iter().map(|kind| json!({"type": kind})).collect::<Vec<_>>()});
    if name.ends_with(".IntOrString") {
        *definition = scalar(&["string", "integer"]);
    } else if name.ends_with(".Quantity") {
        *definition = scalar(&["string", "number"]);
    } else if let Some(object) = definition.as_object_mut()
        && object.contains_key("properties")
    {
        close(object);
    }
}

fn close(object: &mut Map<String, Value>) {
    object.insert("additionalProperties".into(), false.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_as_kubeconform_looks_for_them() {
        let definition = json!({"x-kubernetes-group-version-kind": [
            {"group": "networking.k8s.io", "version": "v1", "kind": "NetworkPolicy"},
            {"group": "", "version": "v1", "kind": "Service"},
            {"group": "apps", "version": "v1", "kind": "Deployment"},
        ]});
        assert_eq!(
            kinds(&definition),
            [
                "networkpolicy-networking-v1.json",
                "service-v1.json",
                "deployment-apps-v1.json"
            ]
        );
        assert!(kinds(&json!({"type": "object"})).is_empty());
    }

    #[test]
    fn objects_are_closed_and_quantities_take_numbers() {
        let mut object = json!({"properties": {"a": {"type": "string"}}});
        make_strict("io.k8s.api.core.v1.Pod", &mut object);
        assert_eq!(object["additionalProperties"], json!(false));
        let mut map = json!({"type": "object", "additionalProperties": {"type": "string"}});
        make_strict("io.k8s.api.core.v1.Labels", &mut map);
        assert_eq!(map["additionalProperties"], json!({"type": "string"}));
        let mut quantity = json!({"type": "string"});
        make_strict("io.k8s.apimachinery.pkg.api.resource.Quantity", &mut quantity);
        assert_eq!(quantity["oneOf"][1]["type"], "number");
    }
}
