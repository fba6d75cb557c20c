//! The HTTPRoute of a model. No watch follows it, for a cluster may have no Gateway API, now or later: it is looked at
//! in each pass over a model that asks for one, and over no other.
//!
//! The condition RouteAccepted is written before the route: as long as it is there, the route is looked for, even if
//! the spec asks for none any more.

use std::time::Duration;

use api::{
    LlmModel, LlmModelStatus,
    conditions::{self, Status, types},
    names,
};

use super::validate::Owner;
use crate::{
    cluster::{Cluster, ClusterError},
    controllers::common::gateway_api::Routes,
};

/// Between looks at a route that is not as it should be.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// Between looks at one that is.
const LOOK: Duration = Duration::from_secs(60);

/// The HTTPRoutes of a model that has one, or is to have one.
///
/// # Errors
/// See [`ClusterError`].
pub async fn look(cluster: &Cluster, model: &LlmModel, owner: &Owner) -> Result<Routes, ClusterError> {
    if model.spec.route.is_none() && !is_told(model.status.as_ref()) {
        return Ok(Routes::default());
    }
    Routes::find(
        cluster,
        &owner.namespace,
        &names::model_labels(&owner.name),
        &owner.reference,
    )
    .await
}

/// Whether the status says that there may be a route.
pub fn is_told(status: Option<&LlmModelStatus>) -> bool {
    status.is_some_and(|status| conditions::find(&status.conditions, types::ROUTE_ACCEPTED).is_some())
}

/// When to look at the route again.
pub fn look_in(before: &LlmModelStatus, after: &LlmModelStatus) -> Option<Duration> {
    let now = conditions::find(&after.conditions, types::ROUTE_ACCEPTED)?;
    Some(match now.status == Status::True.as_str() {
        true => LOOK,
        // It may be written now.
        false if !is_told(Some(before)) => Duration::ZERO,
        false => LOOK_AGAIN,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn status(route: Option<&str>) -> LlmModelStatus {
        let condition = |status: &str| {
            json!({
                "type": "RouteAccepted", "status": status, "reason": "R", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        };
        serde_json::from_value(json!({"conditions": route.map(condition).into_iter().collect::<Vec<_>>()})).unwrap()
    }

    #[rstest]
    #[case::never_asked(None, None, None)]
    #[case::gone(Some("False"), None, None)]
    #[case::told_first(None, Some("Unknown"), Some(Duration::ZERO))]
    #[case::waits(Some("Unknown"), Some("Unknown"), Some(LOOK_AGAIN))]
    #[case::refused(Some("True"), Some("False"), Some(LOOK_AGAIN))]
    #[case::accepted(Some("Unknown"), Some("True"), Some(LOOK))]
    fn a_route_is_looked_at_as_often_as_it_needs(
        #[case] before: Option<&str>,
        #[case] after: Option<&str>,
        #[case] expected: Option<Duration>,
    ) {
        assert_eq!(look_in(&status(before), &status(after)), expected);
    }
}
