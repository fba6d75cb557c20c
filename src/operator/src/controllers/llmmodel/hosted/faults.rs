//! What makes no sense with `spec.source.provider`, by field.

use api::{
    LlmModelSpec,
    llmmodel::{DataPolicy, Provider, Task},
};

use crate::controllers::llmmodel::validate::guardrails;

/// The fields that a hosted model cannot fulfil.
pub fn unsupported(spec: &LlmModelSpec, provider: &Provider) -> Vec<String> {
    // Without `..`: a new field must be decided upon here.
    let LlmModelSpec {
        task,
        source: _,
        base,
        adapters,
        compress,
        engine,
        prompt,
        resources,
        placement,
        replicas,
        autoscaling,
        rollout,
        route,
        version,
        guardrails: _,
        limits,
        fallback: _,
        monitoring,
        pod_overrides,
    } = spec;
    let with_provider = |field: &str| format!("{field} with spec.source.provider");
    let fields = [
        ("spec.base", base.is_some()),
        ("spec.adapters", !adapters.is_empty()),
        ("spec.compress", compress.is_some()),
        ("spec.engine", engine.is_some()),
        ("spec.prompt", prompt.is_some()),
        ("spec.resources", resources.is_some()),
        ("spec.placement", placement.is_some()),
        ("spec.replicas other than 1", *replicas != 1),
        ("spec.autoscaling", autoscaling.is_some()),
        ("spec.rollout", rollout.is_some()),
        ("spec.route", route.is_some()),
        ("spec.version", version.is_some()),
        ("spec.monitoring", monitoring.is_some()),
        ("spec.podOverrides", pod_overrides.is_some()),
        ("spec.task Rerank", *task == Task::Rerank),
        (
            "spec.limits.dataPolicy LocalOnly",
            limits
                .as_ref()
                .is_some_and(|it| it.data_policy == DataPolicy::LocalOnly),
        ),
    ];
    let present = fields.into_iter().filter(|(_, present)| *present);
    let mut found: Vec<_> = present.map(|(field, _)| with_provider(field)).collect();
    if *task == Task::Embed && provider.anthropic.is_some() {
        found.push("spec.task Embed with spec.source.provider.anthropic".into());
    }
    found.extend(guardrails::unsupported(spec));
    found
}

/// What contradicts itself.
pub fn faults(spec: &LlmModelSpec, provider: &Provider) -> Vec<String> {
    let azure = provider.azure_open_ai.as_ref();
    let is_plain = azure.is_some_and(|azure| !azure.endpoint.starts_with("https://"));
    let plain = is_plain.then(|| {
        "spec.source.provider.azureOpenAI.endpoint must begin with https://: a key would cross the network in the clear"
            .to_owned()
    });
    plain.into_iter().chain(guardrails::invalid(spec)).collect()
}
