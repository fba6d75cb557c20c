//! What a caller may use: SubjectAccessReviews.

use std::{sync::Arc, time::Duration};

use prometheus::IntCounterVec;

use crate::{
    cache::Cache,
    error::Error,
    identity::{Fingerprint, Identity},
    review::{Access, Reviewer},
};

/// How long a decision holds, whichever it is; a changed RoleBinding works after this time, or when
/// the API server is back ([`cache::KEPT_IN_OUTAGE`](crate::cache::KEPT_IN_OUTAGE) at most).
const TTL: Duration = Duration::from_secs(10);
const CACHED_DECISIONS: usize = 16_384;

/// Decides by Kubernetes' authorizers. Without an answer nothing is allowed.
pub struct Authorizer {
    reviewer: Arc<dyn Reviewer>,
    cache: Cache<(Fingerprint, Access), bool>,
}

impl Authorizer {
    /// Authorizes through `reviewer`. `lookups` counts cache use.
    pub fn new(reviewer: Arc<dyn Reviewer>, lookups: IntCounterVec) -> Self {
        Self {
            reviewer,
            cache: Cache::new("access", CACHED_DECISIONS, lookups),
        }
    }

    /// Whether `identity` may infer on the LlmModel `name` in `namespace`. An empty namespace asks
    /// for a permission that holds in all namespaces.
    ///
    /// # Errors
    /// [`Error::AuthorizationUnavailable`] when nobody can tell.
    pub async fn may_infer(&self, identity: &Identity, namespace: &str, name: &str) -> Result<bool, Error> {
        let access = Access {
            namespace: namespace.into(),
            name: name.into(),
        };
        let key = (identity.fingerprint(), access.clone());
        let ask = || {
            let review = self.reviewer.review_access(identity, &access);
            async move { Ok((review.await?, TTL)) }
        };
        self.cache
            .get(key, ask)
            .await
            .map_err(|_| Error::AuthorizationUnavailable)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{metrics::Metrics, testing::ScriptedReviewer};

    fn named(user: &str) -> Identity {
        Identity::new(user.into(), String::new(), Vec::new(), BTreeMap::new())
    }

    #[tokio::test]
    async fn decisions_are_kept_for_each_caller_and_model() {
        let reviewer = Arc::new(ScriptedReviewer::default().allow("jane", "ns", "m"));
        let authz = Authorizer::new(reviewer.clone(), Metrics::default().cache_lookups.clone());
        for _ in 0..2 {
            assert_eq!(authz.may_infer(&named("jane"), "ns", "m").await, Ok(true));
            assert_eq!(authz.may_infer(&named("jane"), "ns", "other").await, Ok(false));
            assert_eq!(authz.may_infer(&named("joe"), "ns", "m").await, Ok(false));
        }
        assert_eq!(reviewer.access_reviews(), 3);
    }

    #[tokio::test]
    async fn an_outage_allows_nothing() {
        let reviewer = Arc::new(ScriptedReviewer::default().allow("jane", "ns", "m"));
        let authz = Authorizer::new(reviewer.clone(), Metrics::default().cache_lookups.clone());
        reviewer.set_down(true);
        let outcome = authz.may_infer(&named("jane"), "ns", "m").await;
        assert_eq!(outcome, Err(Error::AuthorizationUnavailable));
        reviewer.set_down(false);
        assert_eq!(authz.may_infer(&named("jane"), "ns", "m").await, Ok(true));
    }
}
