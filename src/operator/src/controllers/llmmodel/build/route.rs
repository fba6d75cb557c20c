//! How Gateways of others find the versions of a model, and how much each of them gets.

use api::{common::GatewayApiRoute, names};
use protocol::ports::WORKER_API;

use super::Builder;
use crate::{
    controllers::common::gateway_api,
    http_route::{BackendRef, HttpRoute, HttpRouteSpec, Rule},
};

/// The HTTPRoute of a model whose versions get these shares, in percent.
pub fn build(builder: &Builder<'_>, asked: &GatewayApiRoute, shares: &[(&str, i32)]) -> HttpRoute {
    let name = &builder.owner.name;
    let backend = |(version, weight): &(&str, i32)| BackendRef {
        name: names::version_child(name, version),
        port: WORKER_API.into(),
        weight: *weight,
    };
    HttpRoute {
        metadata: builder.metadata(name.clone(), names::model_labels(name)),
        spec: HttpRouteSpec {
            parent_refs: gateway_api::parents(asked),
            hostnames: asked.hostnames.clone(),
            rules: vec![Rule::of_models(shares.iter().map(backend).collect())],
        },
        status: None,
    }
}
