//! What a caller may do: SubjectAccessReviews.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use api::names::VERB_INFER;
use prometheus::IntCounterVec;

use crate::{
    cache::Cache,
    error::Error,
    identity::{Fingerprint, Identity},
    review::{Access, Resource, Reviewer},
};

/// How long a decision on models holds, whichever it is; a changed RoleBinding works after this time, or when
/// the API server is back ([`cache::KEPT_IN_OUTAGE`](crate::cache::KEPT_IN_OUTAGE) at most).
const TTL: Duration = Duration::from_secs(10);
/// On Rooms, decisions are acted upon for [`rooms::grant::LIFETIME`]: whoever gets one from here has half of that left.
const ROOMS_TTL: Duration = Duration::from_secs(5);
const CACHED_DECISIONS: usize = 16_384;

/// What was decided, and when it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is allowed.
    pub allowed: bool,
    /// Before the question went out.
    pub asked: Instant,
}

/// Decides by Kubernetes' authorizers. Without an answer nothing is allowed.
pub struct Authorizer {
    reviewer: Arc<dyn Reviewer>,
    cache: Cache<(Fingerprint, Access), Decision>,
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
            resource: Resource::LlmModels,
            verb: VERB_INFER,
            namespace: namespace.into(),
            name: name.into(),
        };
        Ok(self.decide(identity, access).await?.allowed)
    }

    /// What is decided on `access`. While the API server does not answer that may be an old decision: whoever must not
    /// act on it looks at [`Decision::asked`].
    ///
    /// # Errors
    /// [`Error::AuthorizationUnavailable`] when nobody can tell.
    pub async fn decide(&self, identity: &Identity, access: Access) -> Result<Decision, Error> {
        let ttl = match access.resource {
            Resource::LlmModels | Resource::ShadowDeployments => TTL,
            Resource::Rooms => ROOMS_TTL,
        };
        let key = (identity.fingerprint(), access.clone());
        let ask = || {
            let asked = Instant::now();
            let review = self.reviewer.review_access(identity, &access);
            async move {
                let allowed = review.await?;
                Ok((Decision { allowed, asked }, ttl))
            }
        };
        self.cache
            .get(key, ask)
            .await
            .map_err(|_| Error::AuthorizationUnavailable)
    }

    /// Forgets what was decided on Rooms, also what is being asked at this moment: rights have changed. Decisions on models
    /// go on to hold for their time, for they outlast an API server that restarts.
    pub fn forget_rooms(&self) {
        self.cache
            .forget_where(|(_, access)| access.resource == Resource::Rooms);
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

    fn search(name: &str) -> Access {
        Access {
            resource: Resource::Rooms,
            verb: "search",
            namespace: "ns".into(),
            name: name.into(),
        }
    }

    #[tokio::test]
    async fn what_changes_on_rooms_is_asked_anew_at_once() {
        let reviewer = Arc::new(ScriptedReviewer::default().allow("jane", "ns", "m"));
        reviewer.allow_in("jane", "search", "ns", "hr");
        let authz = Authorizer::new(reviewer.clone(), Metrics::default().cache_lookups.clone());
        let jane = named("jane");
        let allowed = async || authz.decide(&jane, search("hr")).await.unwrap().allowed;
        assert!(allowed().await && authz.may_infer(&jane, "ns", "m").await.unwrap());
        reviewer.revoke("jane");
        assert!(allowed().await, "nobody has told of it");
        authz.forget_rooms();
        assert!(!allowed().await);
        assert_eq!(reviewer.access_reviews(), 3, "the model was not asked for again");
        assert!(authz.may_infer(&jane, "ns", "m").await.unwrap());
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
