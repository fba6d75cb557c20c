//! Where the workers of our own engine send traces.

use k8s_openapi::api::core::v1::EnvVar;

use super::{
    Builder,
    pod::{literal, variable},
};
use crate::controllers::llmmodel::version::Version;

/// The collector, if the pods of this version are to tell it anything.
pub fn endpoint<'a>(builder: &'a Builder<'_>, version: &Version) -> Option<&'a str> {
    let is_ours = version.served.engine.is_none();
    builder.settings.otlp_endpoint.as_deref().filter(|_| is_ours)
}

/// The variables of a worker: what people set, and OpenTelemetry's own unless they set those.
pub fn variables(builder: &Builder<'_>, version: &Version) -> Vec<EnvVar> {
    let theirs = &builder.wanted.overrides.env;
    let is_theirs = |name: &str| theirs.iter().any(|variable| variable.name == name);
    let ours = endpoint(builder, version).map(|endpoint| {
        let resource = format!(
            "k8s.namespace.name={},atelier.model.name={},atelier.model.version={}",
            builder.owner.namespace, builder.owner.name, version.name
        );
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.to_owned()),
            ("OTEL_RESOURCE_ATTRIBUTES", resource),
        ]
    });
    let ours = ours.into_iter().flatten().filter(|(name, _)| !is_theirs(name));
    let ours = ours.map(|(name, value)| EnvVar {
        name: name.into(),
        value: Some(literal(&value)),
        value_from: None,
    });
    theirs.iter().map(variable).chain(ours).collect()
}
