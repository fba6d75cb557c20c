//! Every field of an LlmModel, with what it does not mean: the API server refuses it by name.

use anyhow::{Result, ensure};
use api::LlmModel;
use atelier_e2e::{model, with_namespace};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{DynamicObject, PostParams};
use kube::core::ApiResource;
use kube::{Api, CustomResourceExt as _};
use serde_json::{Value, json};

/// Fields that are tried at the same time.
const AT_ONCE: usize = 8;
/// The longest text that is made too long: longer ones would only be slow.
const LONGEST: u64 = 4096;

#[tokio::test]
async fn every_field_refuses_what_it_does_not_mean() -> Result<()> {
    with_namespace("fields", async |namespace| {
        let definition = serde_json::to_value(LlmModel::crd())?;
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        let mut probes = Vec::new();
        collect(schema, &Place::default(), &mut probes);
        ensure!(probes.len() > 300, "only {} probes: the schema is not walked", probes.len());
        let resource = ApiResource::erase::<LlmModel>(&());
        let objects = Api::<DynamicObject>::namespaced_with(namespace.client.clone(), &namespace.name, &resource);
        let dry_run = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        futures::stream::iter(&probes)
            .map(Ok)
            .try_for_each_concurrent(AT_ONCE, async |probe: &Probe| {
                let object: DynamicObject = serde_json::from_value(json!({
                    "apiVersion": "atelier.dev/v1alpha1", "kind": "LlmModel", "metadata": {"name": "m"}, "spec": probe.spec(),
                }))?;
                let Err(error) = objects.create(&dry_run, &object).await else {
                    anyhow::bail!("{} is accepted as {}", probe.place.path(), probe.value)
                };
                let told = error.to_string();
                ensure!(told.contains(&probe.place.path()), "{} as {}: {told}", probe.place.path(), probe.value);
                Ok(())
            })
            .await
    })
    .await
}

/// A value that a field must refuse.
struct Probe {
    place: Place,
    value: Value,
}

/// Where a field is.
#[derive(Clone, Default)]
struct Place(Vec<Step>);

#[derive(Clone)]
enum Step {
    Field(String),
    /// The only item of a list.
    Item,
}

impl Place {
    fn then(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }

    /// As the API server writes it: `spec.rollout.canary.steps[0].weight`.
    fn path(&self) -> String {
        let steps = self.0.iter().map(|step| match step {
            Step::Field(name) => format!(".{name}"),
            Step::Item => "[0]".into(),
        });
        format!("spec{}", steps.collect::<String>())
    }
}

impl Probe {
    /// A spec in which this field has this value. What else would be missing around it is told beside it.
    fn spec(&self) -> Value {
        let mut spec = model::bundled();
        let mut at = &mut spec;
        for step in &self.place.0 {
            at = match step {
                Step::Field(name) => &mut at[name],
                Step::Item => {
                    *at = json!([null]);
                    &mut at[0]
                }
            };
        }
        *at = self.value.clone();
        spec
    }
}

fn collect(schema: &Value, place: &Place, probes: &mut Vec<Probe>) {
    let mut probe = |value: Value| {
        probes.push(Probe {
            place: place.clone(),
            value,
        });
    };
    let bound = |name: &str| schema[name].as_f64().map(|bound| bound as i64);
    match schema["type"].as_str() {
        Some("string") => {
            probe(json!({"not": "text"}));
            if schema["enum"].is_array() {
                probe(json!("Nonsense"));
            }
            if let Some(most) = schema["maxLength"].as_u64().filter(|most| *most <= LONGEST) {
                probe(json!("a".repeat(most as usize + 1)));
            }
        }
        Some("integer") => {
            probe(json!("many"));
            let beyond = [
                bound("minimum").map(|least| least - 1),
                bound("maximum").map(|most| most + 1),
            ];
            beyond.into_iter().flatten().for_each(|value| probe(value.into()));
        }
        Some("boolean") => probe(json!("perhaps")),
        Some("array") => {
            probe(json!("one"));
            collect(&schema["items"], &place.then(Step::Item), probes);
        }
        Some("object") => {
            if !place.0.is_empty() {
                probe(json!("nothing"));
            }
            if schema["additionalProperties"].is_object() {
                collect(
                    &schema["additionalProperties"],
                    &place.then(Step::Field("key".into())),
                    probes,
                );
            }
            for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                collect(field, &place.then(Step::Field(name.clone())), probes);
            }
        }
        _ => {}
    }
}
