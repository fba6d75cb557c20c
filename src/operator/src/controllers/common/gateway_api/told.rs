//! What Gateways say of an HTTPRoute.

use api::{
    common::{GatewayApiRoute, ParentRef},
    conditions::{Finding, Status, types},
    reasons,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;

use super::asked::namespace_of;
use crate::http_route::{HttpRoute, ParentReference, ParentStatus};

/// Longest message of a Gateway's controller.
const MESSAGE_MAX: usize = 1024;

/// Whether all Gateways that are asked accept a route in `namespace`.
pub fn told(route: &HttpRoute, asked: &GatewayApiRoute, namespace: &str) -> Finding {
    let finding =
        |status: Status, reason: &str, message: String| Finding::new(types::ROUTE_ACCEPTED, status, reason, message);
    let words: Vec<_> = asked.parent_refs.iter().map(|it| word(route, it, namespace)).collect();
    let refused: Vec<_> = words.iter().filter_map(Word::refusal).collect();
    let waiting: Vec<_> = words.iter().filter_map(Word::wait).collect();
    match (refused.as_slice(), waiting.as_slice()) {
        ([], []) => {
            let message = format!("every Gateway of spec.route accepts HTTPRoute {}", route.name_any());
            finding(Status::True, reasons::ROUTE_ACCEPTED, message)
        }
        ([], waiting) => finding(Status::Unknown, reasons::ROUTE_PENDING, waiting.join("; ")),
        (refused, _) => finding(Status::False, reasons::ROUTE_REFUSED, refused.join("; ")),
    }
}

/// What is known of a route at one Gateway.
enum Word {
    Accepted,
    Waits(String),
    Refused(String),
}

impl Word {
    fn refusal(&self) -> Option<&str> {
        match self {
            Self::Refused(why) => Some(why),
            Self::Accepted | Self::Waits(_) => None,
        }
    }

    fn wait(&self) -> Option<&str> {
        match self {
            Self::Waits(why) => Some(why),
            Self::Accepted | Self::Refused(_) => None,
        }
    }
}

fn word(route: &HttpRoute, asked: &ParentRef, namespace: &str) -> Word {
    let name = route.name_any();
    let gateway = match &asked.section_name {
        Some(listener) => format!(
            "listener {listener} of Gateway {}/{}",
            namespace_of(asked, namespace),
            asked.name
        ),
        None => format!("Gateway {}/{}", namespace_of(asked, namespace), asked.name),
    };
    let is_it = |parent: &ParentReference| {
        let of_route = parent.namespace.as_deref().unwrap_or(namespace);
        (of_route, &parent.name, &parent.section_name)
            == (namespace_of(asked, namespace), &asked.name, &asked.section_name)
    };
    let parents = route.status.iter().flat_map(|status| &status.parents);
    let told: Vec<&ParentStatus> = parents.filter(|it| is_it(&it.parent_ref)).collect();
    // A condition of an earlier route says nothing about this one.
    let is_of_now = |it: &&Condition| match (it.observed_generation, route.metadata.generation) {
        (Some(seen), Some(generation)) => seen >= generation,
        _ => true,
    };
    let of = |parent: &ParentStatus, type_: &str| {
        let mut conditions = parent.conditions.iter().filter(|it| it.type_ == type_);
        conditions.find(is_of_now).cloned()
    };
    let mut conditions = told
        .iter()
        .flat_map(|parent| [of(parent, "Accepted"), of(parent, "ResolvedRefs")]);
    if let Some(no) = conditions.find_map(|it| it.filter(|it| it.status == "False")) {
        return Word::Refused(format!(
            "{gateway} does not take HTTPRoute {name} ({}): {}. Change spec.route.gatewayApi or the Gateway",
            no.reason,
            shortened(no.message.trim_end_matches('.'))
        ));
    }
    if told.is_empty() {
        return Word::Waits(format!(
            "no controller has looked at HTTPRoute {name} for the {gateway} of spec.route.gatewayApi.parentRefs: it \
             must exist, and its GatewayClass needs an implementation that runs"
        ));
    }
    let is_accepted = |parent: &&ParentStatus| of(parent, "Accepted").is_some_and(|it| it.status == "True");
    match told.iter().all(is_accepted) {
        true => Word::Accepted,
        false => Word::Waits(format!("{gateway} has not looked at HTTPRoute {name} as it is now")),
    }
}

fn shortened(message: &str) -> &str {
    &message[..message.floor_char_boundary(MESSAGE_MAX)]
}
