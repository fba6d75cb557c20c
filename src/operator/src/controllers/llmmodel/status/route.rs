//! Whether Gateways of others lead requests to the model.

use api::{
    conditions::{Finding, Status, types},
    reasons,
};
use kube::ResourceExt;

use super::Facts;
use crate::{controllers::common::gateway_api::told, http_route::HttpRoute};

/// Whether all Gateways of `spec.route` accept the route; nothing where the spec has none, and none is left.
pub fn finding(facts: &Facts<'_>) -> Option<Finding> {
    let finding = |status: Status, reason: &str, message: String| {
        Some(Finding::new(types::ROUTE_ACCEPTED, status, reason, message))
    };
    let routes = &facts.observed.routes;
    let name = &facts.owner.name;
    let Some(asked) = &facts.model.spec.route else {
        if routes.found.is_empty() {
            return None;
        }
        let message = format!("spec.route is not set: HTTPRoute {name} is being deleted");
        return finding(Status::False, reasons::ROUTE_PENDING, message);
    };
    if let Some(trouble) = &routes.trouble {
        return finding(Status::False, &trouble.reason, trouble.message.clone());
    }
    let ours = |it: &&HttpRoute| it.name_any() == *name && it.metadata.deletion_timestamp.is_none();
    let Some(route) = routes.found.iter().find(ours) else {
        let message = format!("HTTPRoute {name} is written as soon as a version is rolled out");
        return finding(Status::Unknown, reasons::ROUTE_PENDING, message);
    };
    Some(told(route, &asked.gateway_api, &facts.owner.namespace))
}

#[cfg(test)]
mod tests;
