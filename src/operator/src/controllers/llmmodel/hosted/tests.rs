use api::{
    LlmModelStatus,
    conditions::{self, types},
};
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::controllers::llmmodel::{
    testing::{self, the_owner},
    validate::owner,
};

fn compatible() -> Value {
    json!({"openAICompatible": {
        "url": "https://models.example.com/v1", "model": "large",
        "credentialsSecretRef": {"name": "keys", "key": "api"},
    }})
}

fn hosted(provider: Value, mut spec: Value) -> LlmModel {
    spec["source"] = json!({"provider": provider});
    testing::model(spec)
}

fn trouble(model: &LlmModel) -> Option<Trouble> {
    validate(model, model.spec.source.provider.as_ref().unwrap())
}

fn status(model: &LlmModel) -> LlmModelStatus {
    status_with(model, false)
}

fn status_with(model: &LlmModel, has_route: bool) -> LlmModelStatus {
    let provider = model.spec.source.provider.as_ref().unwrap();
    let now = Time(Timestamp::from_second(1_800_000_000).unwrap());
    let owner = owner(model).unwrap();
    status::compute(
        &Facts {
            model,
            owner: &owner,
            provider,
            trouble: trouble(model).as_ref(),
            has_route,
            gateway_namespace: "atelier-system",
        },
        &now,
    )
}

#[rstest]
#[case::compress(json!({"compress": {"quantization": "Int4"}}), "spec.compress with spec.source.provider")]
#[case::engine(json!({"engine": {"atelier": {}}}), "spec.engine with spec.source.provider")]
#[case::adapters(json!({"adapters": [{"name": "a", "source": {"oci": {"image": "x"}}}]}), "spec.adapters with")]
#[case::prompt(json!({"prompt": {"system": "x"}}), "spec.prompt with spec.source.provider")]
#[case::resources(json!({"resources": {"cpu": "1"}}), "spec.resources with spec.source.provider")]
#[case::placement(json!({"placement": {"zones": ["a"]}}), "spec.placement with spec.source.provider")]
#[case::replicas(json!({"replicas": 2}), "spec.replicas other than 1 with spec.source.provider")]
#[case::rollout(json!({"rollout": {"strategy": "Recreate"}}), "spec.rollout with spec.source.provider")]
#[case::version(json!({"version": "v-0123456789"}), "spec.version with spec.source.provider")]
#[case::slo(json!({"monitoring": {"slo": {"errorRate": "1%"}}}), "spec.monitoring with spec.source.provider")]
#[case::pods(json!({"podOverrides": {}}), "spec.podOverrides with spec.source.provider")]
#[case::rerank(json!({"task": "Rerank"}), "spec.task Rerank with spec.source.provider")]
#[case::data(json!({"limits": {"dataPolicy": "LocalOnly"}}), "spec.limits.dataPolicy LocalOnly with spec.source.provider")]
#[case::guardrails(
    json!({"guardrails": {"output": [{"name": "kind", "detector": "Toxicity"}]}}),
    "spec.guardrails.output[kind].detector Toxicity"
)]
fn what_a_hosted_model_cannot_do_is_refused_by_field(#[case] spec: Value, #[case] field: &str) {
    let model = hosted(compatible(), spec);
    let trouble = trouble(&model).unwrap();
    assert_eq!(trouble.reason, reasons::NOT_SUPPORTED);
    assert!(trouble.message.contains(field), "{}", trouble.message);
    let status = status(&model);
    assert!(!conditions::is_true(&status.conditions, types::READY));
    let ready = conditions::find(&status.conditions, types::READY).unwrap();
    assert_eq!(ready.message, trouble.message);
}

#[rstest]
#[case::identity(
    json!({"endpoint": "http://h", "workloadIdentity": {"clientId": "c", "tenantId": "t", "serviceAccountName": "s"}}),
    "spec.source.provider.azureOpenAI.endpoint must begin with https://"
)]
#[case::plain(
    json!({"endpoint": "http://h", "credentialsSecretRef": {"name": "k", "key": "k"}}),
    "spec.source.provider.azureOpenAI.endpoint must begin with https://"
)]
fn azure_has_limits_of_its_own(#[case] fields: Value, #[case] text: &str) {
    let mut azure = json!({"endpoint": "https://x.openai.azure.com", "deployment": "d", "apiVersion": "2024-10-21"});
    azure
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    let trouble = trouble(&hosted(json!({"azureOpenAI": azure}), json!({}))).unwrap();
    assert!(trouble.message.contains(text), "{}", trouble.message);
}

#[test]
fn anthropic_has_no_vectors() {
    let key = json!({"name": "k", "key": "k"});
    let provider = json!({"anthropic": {"model": "m", "credentialsSecretRef": key}});
    let trouble = trouble(&hosted(provider, json!({"task": "Embed"}))).unwrap();
    assert!(
        trouble.message.contains("spec.source.provider.anthropic"),
        "{}",
        trouble.message
    );
    assert_eq!(
        super::tests::trouble(&hosted(compatible(), json!({"task": "Embed"}))),
        None
    );
}

#[test]
fn a_hosted_model_is_ready_and_says_who_reads_its_key() {
    let mut model = hosted(compatible(), json!({}));
    let status = status(&model);
    let ready = conditions::find(&status.conditions, types::READY).unwrap();
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("True", reasons::SERVING)
    );
    for part in ["large at https://models.example.com/v1", "key api of Secret keys"] {
        assert!(ready.message.contains(part), "{}", ready.message);
    }
    assert_eq!(
        status.url.as_deref(),
        Some("http://atelier-gateway.atelier-system.svc/v1")
    );
    // There are no pods to count, and there is no version to name.
    assert_eq!((&status.ready, &status.current_version), (&None, &None));
    let written = serde_json::to_value(&status).unwrap();
    model.status = Some(serde_json::from_value(written).unwrap());
    assert_eq!(super::tests::status(&model), status, "nothing new is nothing to write");
}

#[test]
fn what_is_left_of_workers_goes() {
    let owner = the_owner();
    let service = json!({"metadata": {"name": "m-v-0123456789", "uid": "u", "ownerReferences": [owner.reference]}});
    let observed = Observed {
        services: vec![serde_json::from_value(service).unwrap()],
        ..Observed::default()
    };
    let plan = Plan::clear(&observed);
    assert_eq!(plan.delete.len(), 1);
    assert_eq!(plan.delete[0].name, "m-v-0123456789");
}

#[test]
fn a_route_of_workers_before_is_told_until_it_is_gone() {
    let model = hosted(compatible(), json!({}));
    let told = |has_route| {
        let status = status_with(&model, has_route);
        conditions::find(&status.conditions, types::ROUTE_ACCEPTED).is_some()
    };
    assert!(told(true));
    assert!(!told(false));
}
