//! The way in beside Atelier's gateway.

use api::LlmModelStatus;

use super::{
    super::{build::Builder, dereference::Observed, drift, route},
    Plan,
};

/// Plans the HTTPRoute: the version that serves gets everything but the share of the one on trial. Before any serves,
/// the first one gets it, so that Gateways look at the route in the meantime.
pub fn plan(plan: &mut Plan, builder: &Builder<'_>, observed: &Observed, status: Option<&LlmModelStatus>) {
    let Some(asked) = &builder.wanted.route else {
        return;
    };
    // The status tells of the route before it is there, and where there can be none.
    if !route::is_told(status) || observed.routes.trouble.is_some() {
        return;
    }
    let current = status.and_then(|status| status.current_version.as_deref());
    let first = plan.target.version().map(|version| version.name.as_str());
    let Some(serves) = current.or(first) else {
        return;
    };
    let canary = plan.canary(status.and_then(|status| status.canary.as_ref()), current);
    let trial = canary.filter(|it| it.version != serves);
    let shares = match &trial {
        Some(it) => vec![(serves, 100 - it.weight), (it.version.as_str(), it.weight)],
        None => vec![(serves, 100)],
    };
    plan.route = Some(drift::stamped(builder.route(asked, &shares)));
}
