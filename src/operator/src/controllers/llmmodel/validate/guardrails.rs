//! Guardrails, as the gateway would use them: what it cannot apply it would answer no request with.

use api::{LlmModelSpec, llmmodel::Task};
use guard::{Fault, Guardrails};

/// The parts of `spec.guardrails` that this release does not do.
pub fn unsupported(spec: &LlmModelSpec) -> Vec<String> {
    let mut found: Vec<_> = faults(spec)
        .into_iter()
        .filter_map(|fault| match fault {
            Fault::Unsupported(what) => Some(what),
            Fault::Invalid(_) => None,
        })
        .collect();
    let checks_answers = spec.guardrails.as_ref().is_some_and(|it| !it.output.is_empty());
    if checks_answers && spec.task != Task::Generate {
        found.push(format!("spec.guardrails.output with spec.task {:?}", spec.task));
    }
    found
}

/// The parts that make no sense, with what to do.
pub fn invalid(spec: &LlmModelSpec) -> Vec<String> {
    let invalid = faults(spec).into_iter().filter_map(|fault| match fault {
        Fault::Invalid(what) => Some(what),
        Fault::Unsupported(_) => None,
    });
    invalid.collect()
}

fn faults(spec: &LlmModelSpec) -> Vec<Fault> {
    let Some(guardrails) = &spec.guardrails else {
        return Vec::new();
    };
    let read = serde_json::to_value(guardrails).and_then(serde_json::from_value);
    match read.map(|spec: guard::Spec| Guardrails::compile(&spec)) {
        Ok(Ok(_)) => Vec::new(),
        Ok(Err(faults)) => faults,
        Err(error) => vec![Fault::Invalid(format!("spec.guardrails cannot be read: {error}"))],
    }
}

#[cfg(test)]
mod tests {
    use api::reasons;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::validate;
    use crate::controllers::llmmodel::testing::model;

    #[rstest]
    #[case(json!({"output": [{"name": "kind", "detector": "Toxicity"}]}), "spec.guardrails.output[kind].detector Toxicity")]
    #[case(
        json!({"input": [{"name": "judge", "detector": "Model", "model": {"name": "m"}}]}),
        "spec.guardrails.input[judge].detector Model"
    )]
    fn detectors_that_are_not_built_are_refused_by_name(#[case] guardrails: Value, #[case] field: &str) {
        let trouble = validate(&model(json!({"guardrails": guardrails}))).unwrap_err();
        assert_eq!(trouble.reason, reasons::NOT_SUPPORTED);
        assert!(trouble.message.contains(field), "{}", trouble.message);
    }

    #[rstest]
    #[case(json!({"input": [{"name": "x", "detector": "Pattern", "pattern": "(a"}]}), "spec.guardrails.input[x].pattern")]
    #[case(json!({"input": [{"name": "x", "detector": "Pattern", "pattern": "a*"}]}), "empty")]
    #[case(json!({"input": [{"name": "x", "detector": "Pattern", "pattern": "(\\w{99}){99}"}]}), "too large")]
    #[case(
        json!({"output": [{"name": "x", "detector": "Json"}], "onViolation": "Redact"}),
        "spec.guardrails.output[x].onViolation Redact"
    )]
    #[case(
        json!({"input": [{"name": "x", "detector": "Webhook", "webhook": {"url": "http://h/", "caSecretRef": {"name": "s", "key": "k"}}}]}),
        "spec.guardrails.input[x].webhook.caSecretRef"
    )]
    fn what_the_gateway_could_not_use_is_refused_with_its_field(#[case] guardrails: Value, #[case] text: &str) {
        let trouble = validate(&model(json!({"guardrails": guardrails}))).unwrap_err();
        assert_eq!(trouble.reason, reasons::INVALID_SPEC);
        assert!(trouble.message.contains(text), "{}", trouble.message);
    }

    #[test]
    fn vectors_have_no_text_to_check() {
        let checks = json!([{"name": "people", "detector": "PersonalData", "kinds": ["Iban"], "locales": ["PL"]}]);
        let validate = |guardrails: Value| validate(&model(json!({"task": "Embed", "guardrails": guardrails})));
        assert!(validate(json!({"input": checks})).is_ok());
        let trouble = validate(json!({"output": checks})).unwrap_err();
        assert!(trouble.message.contains("spec.guardrails.output with spec.task Embed"));
    }

    #[test]
    fn all_that_the_schema_names_is_known_or_refused_by_name() {
        let checks = [
            json!({"name": "a", "detector": "PersonalData", "threshold": "0.25", "onViolation": "Redact", "locales":
                ["DE", "ES", "FR", "GB", "IT", "NL", "PL", "US"],
                "kinds": ["Email", "Phone", "Iban", "PaymentCard", "NationalId"]}),
            json!({"name": "b", "detector": "Secrets"}),
            json!({"name": "c", "detector": "PromptInjection", "onViolation": "Annotate"}),
            json!({"name": "d", "detector": "Pattern", "pattern": "(?i)project x"}),
            json!({"name": "e", "detector": "InvisibleUnicode"}),
            json!({"name": "f", "detector": "Length", "maxLength": 100}),
            json!({"name": "h", "detector": "Webhook", "webhook": {
                "url": "https://guard.example.com/", "timeoutSeconds": 30, "failurePolicy": "Ignore",
                "credentialsSecretRef": {"name": "s", "key": "token"}, "caSecretRef": {"name": "s", "key": "ca.crt"},
            }}),
        ];
        let output = checks.iter().cloned().chain([json!({"name": "g", "detector": "Json"})]);
        let guardrails = json!({"input": checks, "output": output.collect::<Vec<_>>()});
        assert!(validate(&model(json!({"guardrails": guardrails}))).is_ok());
    }
}
