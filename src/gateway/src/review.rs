//! Asking the Kubernetes API server who a caller is and what they may do.

use std::{future::Future, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::{Api, Client, Resource as _, api::PostParams};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

use crate::{cache::Unavailable, identity::Identity};

/// A kind of which callers may use objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// `llmmodels`.
    LlmModels,
    /// `rooms`.
    Rooms,
    /// `shadowdeployments`.
    ShadowDeployments,
}

impl Resource {
    fn plural(self) -> String {
        match self {
            Self::LlmModels => api::LlmModel::plural(&()),
            Self::Rooms => api::Room::plural(&()),
            Self::ShadowDeployments => api::ShadowDeployment::plural(&()),
        }
        .into_owned()
    }
}

/// What a caller wants to do. Empty strings stand for "all", as in a SubjectAccessReview.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Access {
    /// To what.
    pub resource: Resource,
    /// The verb of RBAC.
    pub verb: &'static str,
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
}

/// Vouches for callers. The gateway's only source of identity and permission.
pub trait Reviewer: Send + Sync + 'static {
    /// Who presents `token`; `None` when the token is not good for this gateway.
    fn review_token(&self, token: String) -> BoxFuture<'static, Result<Option<Identity>, Unavailable>>;

    /// Whether `identity` may do what `access` says.
    fn review_access(&self, identity: &Identity, access: &Access) -> BoxFuture<'static, Result<bool, Unavailable>>;
}

/// [`Reviewer`] by TokenReview and SubjectAccessReview.
pub struct KubeReviewer {
    calls: Arc<Calls>,
    audience: String,
}

/// The whole of one review, retries and queueing included.
const REVIEW_TIMEOUT: Duration = Duration::from_secs(5);
/// Pauses between tries; they bridge a restart of one API server replica.
const RETRY_PAUSES: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_millis(1500),
];
/// Reviews under way at once, so that a flood of bad tokens becomes no flood of reviews.
const CONCURRENT_REVIEWS: usize = 64;

struct Calls {
    client: Client,
    permits: Semaphore,
}

impl KubeReviewer {
    /// Reviews through `client`, which must not retry on its own; tokens must be issued for `audience`.
    pub fn new(client: Client, audience: String) -> Self {
        let permits = Semaphore::new(CONCURRENT_REVIEWS);
        Self {
            calls: Arc::new(Calls { client, permits }),
            audience,
        }
    }
}

impl Reviewer for KubeReviewer {
    fn review_token(&self, token: String) -> BoxFuture<'static, Result<Option<Identity>, Unavailable>> {
        let (calls, audience) = (self.calls.clone(), self.audience.clone());
        Box::pin(async move {
            let review = TokenReview {
                spec: TokenReviewSpec {
                    token,
                    audiences: Some(vec![audience.clone()]),
                },
                ..TokenReview::default()
            };
            let status = calls.create(&review).await?.status.unwrap_or_default();
            Ok(identity(status, &audience))
        })
    }

    fn review_access(&self, identity: &Identity, access: &Access) -> BoxFuture<'static, Result<bool, Unavailable>> {
        let calls = self.calls.clone();
        let review = access_review(identity, access);
        Box::pin(async move {
            let status = calls.create(&review).await?.status.unwrap_or_default();
            Ok(status.allowed && status.denied != Some(true))
        })
    }
}

/// The caller a TokenReview vouches for: authenticated, and for our audience.
fn identity(status: TokenReviewStatus, audience: &str) -> Option<Identity> {
    let for_us = status.audiences.iter().flatten().any(|a| a == audience);
    if status.authenticated != Some(true) || !for_us {
        return None;
    }
    let user = status.user?;
    Some(Identity::new(
        user.username.filter(|name| !name.is_empty())?,
        user.uid.unwrap_or_default(),
        user.groups.unwrap_or_default(),
        user.extra.unwrap_or_default(),
    ))
}

fn access_review(identity: &Identity, access: &Access) -> SubjectAccessReview {
    SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(identity.user().into()),
            uid: Some(identity.uid().into()),
            groups: Some(identity.groups().to_vec()),
            extra: Some(identity.extra().clone()),
            resource_attributes: Some(ResourceAttributes {
                group: Some(api::LlmModel::group(&()).into_owned()),
                resource: Some(access.resource.plural()),
                verb: Some(access.verb.into()),
                namespace: Some(access.namespace.clone()),
                name: Some(access.name.clone()),
                ..ResourceAttributes::default()
            }),
            non_resource_attributes: None,
        },
        ..SubjectAccessReview::default()
    }
}

impl Calls {
    /// Posts a review, which changes nothing in the cluster and may therefore be repeated.
    async fn create<K>(&self, review: &K) -> Result<K, Unavailable>
    where
        K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
    {
        let api = Api::<K>::all(self.client.clone());
        let params = PostParams::default();
        let tries = retrying(|| api.create(&params, review));
        let outcome = timeout(REVIEW_TIMEOUT, async {
            let _permit = self.permits.acquire().await;
            tries.await
        })
        .await;
        let kind = K::kind(&());
        let failure = match outcome {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => format!("failed to create a {kind}: {error}"),
            Err(_) => format!("failed to create a {kind} within {REVIEW_TIMEOUT:?}"),
        };
        tracing::warn!(review = %kind, failure, "the API server did not review a request");
        Err(Unavailable(failure))
    }
}

async fn retrying<T, F>(call: impl Fn() -> F) -> kube::Result<T>
where
    F: Future<Output = kube::Result<T>>,
{
    let mut pauses = RETRY_PAUSES.into_iter();
    loop {
        match (call().await, pauses.next()) {
            (Err(error), Some(pause)) if is_transient(&error) => sleep(pause).await,
            (outcome, _) => return outcome,
        }
    }
}

/// Whether the server may answer when asked again: it did not answer at all, or was overloaded or starting.
fn is_transient(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => matches!(status.code, 429 | 500 | 502 | 503 | 504),
        kube::Error::HyperError(_) | kube::Error::Service(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, convert::Infallible, sync::Mutex};

    use axum::{
        body::Body,
        http::{Request, Response},
    };
    use k8s_openapi::api::authentication::v1::UserInfo;
    use rstest::rstest;

    use super::*;

    fn reviewed(authenticated: Option<bool>, audiences: Option<&[&str]>, user: Option<&str>) -> TokenReviewStatus {
        TokenReviewStatus {
            authenticated,
            audiences: audiences.map(|list| list.iter().map(ToString::to_string).collect()),
            user: user.map(|name| UserInfo {
                username: Some(name.into()),
                groups: Some(vec!["g".into()]),
                uid: Some("1".into()),
                extra: None,
            }),
            error: None,
        }
    }

    #[rstest]
    #[case::good(reviewed(Some(true), Some(&["atelier"]), Some("u")), true)]
    #[case::one_of_several(reviewed(Some(true), Some(&["x", "atelier"]), Some("u")), true)]
    #[case::rejected(reviewed(Some(false), Some(&["atelier"]), Some("u")), false)]
    #[case::no_verdict(reviewed(None, Some(&["atelier"]), Some("u")), false)]
    #[case::wrong_audience(reviewed(Some(true), Some(&["kubernetes"]), Some("u")), false)]
    #[case::audience_unknown_to_the_server(reviewed(Some(true), None, Some("u")), false)]
    #[case::no_user(reviewed(Some(true), Some(&["atelier"]), None), false)]
    #[case::empty_user(reviewed(Some(true), Some(&["atelier"]), Some("")), false)]
    #[case::empty(TokenReviewStatus::default(), false)]
    fn only_a_full_verdict_makes_an_identity(#[case] status: TokenReviewStatus, #[case] good: bool) {
        assert_eq!(identity(status, "atelier").is_some(), good);
    }

    #[test]
    fn the_access_review_carries_the_whole_identity() {
        let extra = BTreeMap::from([("k".to_string(), vec!["v".to_string()])]);
        let identity = Identity::new("u".into(), "1".into(), vec!["g".into()], extra);
        let access = Access {
            resource: Resource::LlmModels,
            verb: "infer",
            namespace: "ns".into(),
            name: "m".into(),
        };
        let review = serde_json::to_value(access_review(&identity, &access).spec).unwrap();
        assert_eq!(
            review,
            serde_json::json!({
                "user": "u", "uid": "1", "groups": ["g"], "extra": {"k": ["v"]},
                "resourceAttributes": {
                    "group": "atelier.dev", "resource": "llmmodels", "verb": "infer", "namespace": "ns", "name": "m",
                },
            })
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_comes_back_is_asked_again() {
        let tries = std::sync::atomic::AtomicUsize::new(0);
        let status = |code| kube::Error::Api(kube::core::Status::failure("no", "x").with_code(code).boxed());
        let call = |code, good_at| {
            let tries = &tries;
            move || async move {
                let n = tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if n == good_at { Ok(n) } else { Err(status(code)) }
            }
        };
        assert_eq!(retrying(call(503, 3)).await.unwrap(), 3);
        tries.store(0, std::sync::atomic::Ordering::Relaxed);
        assert!(retrying(call(403, 1)).await.is_err(), "a refusal is final");
        tries.store(0, std::sync::atomic::Ordering::Relaxed);
        assert!(retrying(call(503, 100)).await.is_err());
        assert_eq!(tries.into_inner(), 1 + RETRY_PAUSES.len());
    }

    /// An API server that answers each review with `status`, or never.
    fn scripted(status: Option<serde_json::Value>) -> (KubeReviewer, Arc<Mutex<Vec<serde_json::Value>>>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let service = {
            let asked = asked.clone();
            tower::service_fn(move |request: Request<kube::client::Body>| {
                let (asked, status) = (asked.clone(), status.clone());
                async move {
                    let path = request.uri().path().to_owned();
                    let body = request.into_body().collect_bytes().await.unwrap();
                    let mut review: serde_json::Value = serde_json::from_slice(&body).unwrap();
                    asked.lock().unwrap().push(serde_json::json!([path, review["spec"]]));
                    match status {
                        Some(status) => review["status"] = status,
                        None => std::future::pending().await,
                    }
                    Ok::<_, Infallible>(Response::new(Body::from(review.to_string())))
                }
            })
        };
        (
            KubeReviewer::new(Client::new(service, "default"), "atelier".into()),
            asked,
        )
    }

    #[tokio::test]
    async fn tokens_are_reviewed_for_our_audience() {
        let user = serde_json::json!({"username": "u", "uid": "1", "groups": ["g"], "extra": {"k": ["v"]}});
        let status = serde_json::json!({"authenticated": true, "audiences": ["atelier"], "user": user});
        let (reviewer, asked) = scripted(Some(status));
        let identity = reviewer.review_token("secret".into()).await.unwrap().unwrap();
        assert_eq!((identity.user(), identity.uid()), ("u", "1"));
        assert_eq!(identity.extra()["k"], ["v"]);
        assert_eq!(
            *asked.lock().unwrap(),
            [serde_json::json!([
                "/apis/authentication.k8s.io/v1/tokenreviews",
                {"token": "secret", "audiences": ["atelier"]},
            ])]
        );
    }

    #[rstest]
    #[case(serde_json::json!({"allowed": true}), true)]
    #[case(serde_json::json!({"allowed": false, "reason": "no"}), false)]
    #[case(serde_json::json!({"allowed": true, "denied": true}), false)]
    #[tokio::test]
    async fn access_is_what_the_server_says(#[case] status: serde_json::Value, #[case] allowed: bool) {
        let (reviewer, asked) = scripted(Some(status));
        let identity = Identity::new("u".into(), String::new(), Vec::new(), BTreeMap::new());
        let access = Access {
            resource: Resource::Rooms,
            verb: "search",
            namespace: String::new(),
            name: "m".into(),
        };
        assert_eq!(reviewer.review_access(&identity, &access).await, Ok(allowed));
        let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        let asked = asked.lock().unwrap();
        assert_eq!(asked[0][0], path);
        let attributes = &asked[0][1]["resourceAttributes"];
        assert_eq!(
            (&attributes["resource"], &attributes["verb"]),
            (&"rooms".into(), &"search".into())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_hangs_is_given_up() {
        let (reviewer, _) = scripted(None);
        let started = tokio::time::Instant::now();
        assert!(reviewer.review_token("t".into()).await.is_err());
        assert_eq!(started.elapsed(), REVIEW_TIMEOUT);
    }
}
