//! Why a call to the API server failed, and what that means.

use super::CALL_TIMEOUT;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The API server refused, or could not be reached.
    #[error("failed to {verb} {what}: {}", explain(source))]
    Api {
        /// What was tried.
        verb: &'static str,
        /// On which object.
        what: String,
        /// The answer.
        source: Box<kube::Error>,
    },
    /// No answer in time; the call may have taken effect.
    #[error("failed to {verb} {what}: no answer within {} s", CALL_TIMEOUT.as_secs())]
    Timeout {
        /// What was tried.
        verb: &'static str,
        /// On which object.
        what: String,
    },
    /// Not tried: another process may lead.
    #[error("did not {verb} {what}: this process does not lead any more")]
    NotLeading {
        /// What was to be done.
        verb: &'static str,
        /// On which object.
        what: String,
    },
    /// The API server answered from a cache that lags.
    #[error("read {what} as they were before what is known of them; trying again")]
    Behind {
        /// Which objects.
        what: String,
    },
}

impl ClusterError {
    /// The HTTP status of a refusal.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Api { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            Self::Timeout { .. } | Self::NotLeading { .. } | Self::Behind { .. } => None,
        }
    }

    /// Whether the same call will be refused again until somebody changes something.
    pub fn is_refusal(&self) -> bool {
        matches!(self.status(), Some(400..=428 | 430..=499)) && !matches!(self.status(), Some(404 | 408 | 409))
    }

    /// Whether the namespace is on its way out, or gone: nothing can be created in it any more. An object can outlive
    /// its namespace: while the API server starts, the cluster may not yet know all kinds that a namespace holds.
    pub fn is_namespace_leaving(&self) -> bool {
        let Self::Api { source, .. } = self else {
            return false;
        };
        let kube::Error::Api(status) = source.as_ref() else {
            return false;
        };
        let Some(details) = &status.details else {
            return false;
        };
        let is_gone = status.code == 404 && details.kind == "namespaces";
        is_gone
            || details
                .causes
                .iter()
                .any(|cause| cause.reason == "NamespaceTerminating")
    }

    /// A short name for metrics.
    pub fn category(&self) -> &'static str {
        match (self, self.status()) {
            (Self::Timeout { .. }, _) => "timeout",
            (Self::NotLeading { .. }, _) => "not_leading",
            (Self::Behind { .. }, _) => "behind",
            (_, Some(409)) => "conflict",
            (_, Some(403)) => "forbidden",
            (_, Some(400..=499)) => "refused",
            (_, Some(_)) => "server",
            (_, None) => "unreachable",
        }
    }
}

fn explain(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn refused(code: u16) -> ClusterError {
        ClusterError::Api {
            verb: "apply",
            what: "Deployment m".into(),
            source: Box::new(kube::Error::Api(Box::new(
                Status::failure("exceeded quota: pods", "Forbidden").with_code(code),
            ))),
        }
    }

    #[rstest]
    #[case(403, true, "forbidden")]
    #[case(422, true, "refused")]
    #[case(404, false, "refused")]
    #[case(409, false, "conflict")]
    #[case(429, false, "refused")]
    #[case(500, false, "server")]
    fn answers_are_told_apart(#[case] code: u16, #[case] refusal: bool, #[case] category: &str) {
        let error = refused(code);
        assert_eq!((error.is_refusal(), error.category()), (refusal, category));
    }

    #[rstest]
    #[case(json!({
        "status": "Failure", "code": 403, "reason": "Forbidden", "message": "because it is being terminated",
        "details": {"causes": [{"reason": "NamespaceTerminating", "message": "namespace ns is being terminated", "field": "metadata.namespace"}]},
    }))]
    #[case(json!({
        "status": "Failure", "code": 404, "reason": "NotFound", "message": "namespaces \"ns\" not found",
        "details": {"name": "ns", "kind": "namespaces"},
    }))]
    fn a_namespace_on_its_way_out_is_recognized(#[case] status: Value) {
        let leaving = ClusterError::Api {
            verb: "apply",
            what: "Deployment m".into(),
            source: Box::new(kube::Error::Api(serde_json::from_value(status).unwrap())),
        };
        assert!(leaving.is_namespace_leaving());
        assert!(!refused(403).is_namespace_leaving());
        assert!(!refused(404).is_namespace_leaving());
    }

    #[test]
    fn errors_name_the_object_and_the_answer() {
        assert_eq!(
            refused(403).to_string(),
            "failed to apply Deployment m: exceeded quota: pods"
        );
    }
}
