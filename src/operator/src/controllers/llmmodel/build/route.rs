//! How Gateways of others find the versions of a model, and how much each of them gets.

use api::{
    common::{GatewayApiRoute, ParentRef},
    names,
};
use protocol::ports::WORKER_API;

use super::Builder;
use crate::http_route::{BackendRef, HttpRoute, HttpRouteSpec, Match, ParentReference, PathMatch, Rule, Timeouts};

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
            parent_refs: asked.parent_refs.iter().map(parent).collect(),
            hostnames: asked.hostnames.clone(),
            rules: vec![Rule {
                // The API, and nothing else that a server of others may have.
                matches: vec![Match {
                    path: PathMatch {
                        type_: "PathPrefix".into(),
                        value: "/v1".into(),
                    },
                }],
                backend_refs: shares.iter().map(backend).collect(),
                // Answers stream for as long as they take, and many Gateways would cut them.
                timeouts: Some(Timeouts { request: "0s".into() }),
            }],
        },
        status: None,
    }
}

fn parent(asked: &ParentRef) -> ParentReference {
    ParentReference {
        name: asked.name.clone(),
        namespace: asked.namespace.clone(),
        section_name: asked.section_name.clone(),
    }
}
