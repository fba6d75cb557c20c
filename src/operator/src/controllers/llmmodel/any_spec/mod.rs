//! Whatever the schema lets through, the operator takes or refuses with a word on the field.

mod strategy;

use api::LlmModel;
use k8s_openapi::jiff::Timestamp;
use kube::{CustomResourceExt as _, ResourceExt as _};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    build::Builder,
    dereference::Observed,
    hosted,
    plan::{self, Plan},
    testing::{report, settings},
    validate::{owner, validate},
    version::Version,
};

fn schema() -> Value {
    let definition = serde_json::to_value(LlmModel::crd()).unwrap();
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
}

fn model(spec: &Value) -> LlmModel {
    let metadata = json!({"name": "m", "namespace": "ns", "uid": "model-uid", "generation": 1});
    let object = json!({"apiVersion": "atelier.dev/v1alpha1", "kind": "LlmModel", "metadata": metadata, "spec": spec});
    serde_json::from_value(object).unwrap_or_else(|error| panic!("the schema allows what the type does not: {error}"))
}

/// The plan for a model that has nothing yet, and for one whose weights are known and whose status tells of a route.
fn plans(model: &LlmModel) -> Result<[Plan; 2], String> {
    let wanted = validate(model).map_err(|trouble| trouble.message)?;
    let (owner, settings) = (owner(model).unwrap(), settings());
    let builder = Builder {
        owner: &owner,
        wanted: &wanted,
        settings: &settings,
    };
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let first = plan::decide(&builder, &Observed::default(), None, now);
    let version = Version::new(&wanted, report());
    let observed = Observed {
        revisions: vec![builder.children(&version, 1).revision],
        ..Observed::default()
    };
    let told = json!({
        "type": "RouteAccepted", "status": "Unknown", "reason": "RoutePending", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    let status = serde_json::from_value(json!({"conditions": [told]})).unwrap();
    Ok([first, plan::decide(&builder, &observed, Some(&status), now)])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_hosted_model_is_taken_or_refused_by_field(mut spec in strategy::of(&schema()), is_modest in any::<bool>()) {
        // As the CEL rule asks: exactly one service.
        let services = ["openAI", "azureOpenAI", "anthropic", "gemini", "openAICompatible"];
        let provider = spec["source"]["provider"].take();
        let drawn = services.into_iter().find(|it| !provider[it].is_null()).map(|it| json!({it: provider[it]}));
        let default = json!({"openAICompatible": {"url": "http://h/v1", "model": "m"}});
        let source = json!({"provider": drawn.unwrap_or(default)});
        let mut spec = match is_modest {
            true => json!({}),
            false => spec.take(),
        };
        spec["source"] = source;
        let model = model(&spec);
        let provider = model.spec.source.provider.clone().unwrap();
        match hosted::validate(&model, &provider) {
            Some(trouble) => prop_assert!(trouble.message.contains("spec."), "{:?} names no field", trouble.message),
            None => prop_assert!(spec.get("compress").is_none() && spec.get("rollout").is_none()),
        }
    }

    #[test]
    fn any_spec_is_planned_or_refused_by_field(mut spec in strategy::of(&schema()), source in 0..5_usize, is_modest in any::<bool>()) {
        // Most sources are refused as one of too many, which would leave the rest untried.
        let all = ["oci", "huggingFace", "http", "objectStore", "persistentVolumeClaim"];
        if let Some(Value::Object(sources)) = spec.get_mut("source") {
            let chosen = sources.get(all[source]).cloned();
            sources.clear();
            sources.insert(all[source].into(), chosen.unwrap_or_default());
            if sources[all[source]].is_null() {
                *sources = json!({"oci": {"image": "models/small:1"}}).as_object().cloned().unwrap();
            }
        }
        // And most specs ask for something that this release refuses.
        if is_modest {
            for field in ["base", "adapters", "guardrails", "monitoring", "version", "autoscaling"] {
                spec.as_object_mut().unwrap().remove(field);
            }
        }
        let model = model(&spec);
        match plans(&model) {
            Err(message) => prop_assert!(message.contains("spec."), "{message:?} names no field"),
            Ok(plans) => {
                let asks = model.spec.route.is_some();
                let has_version = plans[1].target.version().is_some();
                prop_assert_eq!(plans[1].route.is_some(), asks && has_version);
                for plan in &plans {
                    if let Some(route) = &plan.route {
                        prop_assert_eq!(route.spec.rules[0].backend_refs.len(), 1);
                        prop_assert!(!route.spec.parent_refs.is_empty());
                    }
                    prop_assert!(plan.delete.is_empty(), "{:?}", plan.delete);
                    for children in &plan.children {
                        let name = children.deployment.name_any();
                        prop_assert!(name.len() <= 63 && name.starts_with("m-v-"), "{name}");
                        prop_assert_eq!(children.deployment.owner_references().len(), 1);
                    }
                }
            }
        }
    }
}
