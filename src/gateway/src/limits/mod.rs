//! What callers may use of a model: requests and tokens in any minute, by user and by group.
//!
//! A request is noted before it is sent, with an estimate of its tokens, and corrected when it has ended. With
//! several replicas, one of them counts for each key: see [`peers`].

mod admission;
pub mod peers;
mod quota;
pub mod routes;
mod spending;
pub mod watch;
mod window;

use std::sync::Arc;

use api::llmmodel::{self, DataPolicy};
use axum::Router;

pub use admission::Admission;
pub use quota::{Quotas, Settlement, Verdict, Wish};
pub use spending::Spending;
pub use window::Amount;

use crate::{auth::Authenticator, catalog::Model, error::Error, identity::Identity};
use peers::{Peers, Token};

/// A token of most languages has about so many bytes.
const BYTES_PER_TOKEN: usize = 4;
/// Tokens that an answer is first noted with when the request sets no limit.
const UNSTATED_ANSWER: u64 = 256;

/// What a model allows, as its spec has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// What each user may use in any minute.
    pub per_user: Option<Amount>,
    /// What the members of a group may use together in any minute.
    pub per_group: Vec<(String, Amount)>,
    /// Longest answer in tokens.
    pub max_tokens: Option<u32>,
    /// Whether requests must not leave the cluster.
    pub is_local_only: bool,
}

impl From<llmmodel::Limits> for Limits {
    fn from(spec: llmmodel::Limits) -> Self {
        let count = |limit: Option<i32>| limit.map_or(u32::MAX, |limit| limit.try_into().unwrap_or(0));
        let amount = |requests, tokens| Amount {
            requests: count(requests),
            tokens: count(tokens),
        };
        let groups = spec.per_group.into_iter();
        Self {
            per_user: spec
                .per_user
                .map(|user| amount(user.requests_per_minute, user.tokens_per_minute)),
            per_group: groups
                .map(|group| (group.name, amount(group.requests_per_minute, group.tokens_per_minute)))
                .collect(),
            max_tokens: spec.max_tokens.map(|limit| limit.try_into().unwrap_or(0)),
            is_local_only: spec.data_policy == DataPolicy::LocalOnly,
        }
    }
}

/// Tokens that a request is first noted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    prompt: u32,
    answer: u32,
}

impl Demand {
    /// What a body of so many bytes asks for, with an answer of at most so many tokens.
    pub fn of(body: usize, answer: Option<u64>) -> Self {
        let answer = answer.unwrap_or(UNSTATED_ANSWER);
        Self {
            prompt: u32::try_from(body / BYTES_PER_TOKEN).unwrap_or(u32::MAX),
            answer: u32::try_from(answer).unwrap_or(u32::MAX),
        }
    }

    fn tokens(self) -> u32 {
        self.prompt.saturating_add(self.answer)
    }
}

/// Keeps to what models allow.
pub struct Limiter {
    peers: Arc<Peers>,
}

impl Limiter {
    /// A limiter that counts with `peers`.
    pub fn new(peers: Arc<Peers>) -> Self {
        Self { peers }
    }

    /// What other replicas ask this one.
    pub fn routes(&self, authenticator: Arc<Authenticator>, token: Token) -> Router {
        routes::router(self.peers.clone(), authenticator, token)
    }

    /// Notes a request of `demand`; `None` where the model has no limits for its caller.
    ///
    /// # Errors
    /// [`Error::RateLimited`] when a limit is reached.
    pub async fn admit(&self, caller: &Identity, model: &Model, demand: Demand) -> Result<Option<Admission>, Error> {
        let wishes = wishes(caller, model, demand.tokens());
        if wishes.is_empty() {
            return Ok(None);
        }
        let mut admission = Admission::new(self.peers.clone(), demand);
        for (whom, wish) in wishes {
            let (verdict, counter) = self.peers.take(&wish).await;
            if verdict.wait > 0 {
                // What was noted under other keys is given back with the admission.
                return Err(refusal(model, whom, &wish, verdict));
            }
            admission.note(wish, verdict, counter);
        }
        admission.begin();
        Ok(Some(admission))
    }
}

/// What is counted for a request, and for whom.
fn wishes(caller: &Identity, model: &Model, tokens: u32) -> Vec<(String, Wish)> {
    let limits = &model.limits;
    let wanted = Amount { requests: 1, tokens };
    let user = limits.per_user.map(|limit| {
        let key = format!("u/{}/{}", model.qualified(), caller.pseudonym());
        ("you".to_owned(), Wish { key, limit, wanted })
    });
    let groups = limits.per_group.iter();
    let groups = groups.filter(|(name, _)| caller.groups().contains(name));
    let groups = groups.map(|(name, limit)| {
        let key = format!("g/{}/{name}", model.qualified());
        let wish = Wish {
            key,
            limit: *limit,
            wanted,
        };
        (format!("the members of group \"{name}\""), wish)
    });
    user.into_iter().chain(groups).collect()
}

fn refusal(model: &Model, whom: String, wish: &Wish, verdict: Verdict) -> Error {
    let (limit, what) = match verdict.left.requests {
        0 => (wish.limit.requests, "requests"),
        _ => (wish.limit.tokens, "tokens"),
    };
    Error::RateLimited {
        model: model.qualified(),
        whom,
        limit,
        what,
        wait: verdict.wait,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::testing::model;

    fn caller(user: &str, groups: &[&str]) -> Identity {
        let groups = groups.iter().map(ToString::to_string).collect();
        Identity::new(user.into(), String::new(), groups, BTreeMap::new())
    }

    fn limited(per_user: Option<u32>, per_group: &[(&str, u32)]) -> Model {
        let amount = |requests| Amount {
            requests,
            tokens: u32::MAX,
        };
        let groups = per_group.iter();
        Model {
            limits: Limits {
                per_user: per_user.map(amount),
                per_group: groups.map(|(name, limit)| ((*name).into(), amount(*limit))).collect(),
                ..Limits::default()
            },
            ..model("ns", "m")
        }
    }

    fn demand(answer: u32) -> Demand {
        Demand { prompt: 0, answer }
    }

    fn limiter() -> Limiter {
        Limiter::new(Arc::new(Peers::alone()))
    }

    #[tokio::test]
    async fn every_user_has_a_window_of_their_own() {
        let (limiter, model) = (limiter(), limited(Some(2), &[]));
        for user in ["jane", "joe"] {
            let caller = caller(user, &[]);
            for _ in 0..2 {
                assert!(limiter.admit(&caller, &model, demand(1)).await.unwrap().is_some());
            }
            let error = limiter.admit(&caller, &model, demand(1)).await.err().unwrap();
            assert_eq!(error.code(), "rate_limit_exceeded");
            assert!(error.to_string().contains("2 requests"), "{error}");
        }
    }

    #[tokio::test]
    async fn members_of_a_group_share_and_others_are_not_concerned() {
        let (limiter, model) = (limiter(), limited(None, &[("interns", 1)]));
        assert!(
            limiter
                .admit(&caller("jane", &["interns"]), &model, demand(1))
                .await
                .unwrap()
                .is_some()
        );
        let error = limiter
            .admit(&caller("joe", &["interns"]), &model, demand(1))
            .await
            .err()
            .unwrap();
        assert!(error.to_string().contains("group \"interns\""), "{error}");
        assert!(
            limiter
                .admit(&caller("boss", &[]), &model, demand(1))
                .await
                .unwrap()
                .is_none()
        );
    }

    #[tokio::test]
    async fn what_a_group_refuses_costs_the_user_nothing() {
        let (limiter, model) = (limiter(), limited(Some(2), &[("interns", 1)]));
        let (jane, joe) = (caller("jane", &["interns"]), caller("joe", &["interns"]));
        let _kept = limiter.admit(&jane, &model, demand(1)).await.unwrap();
        for _ in 0..5 {
            assert!(limiter.admit(&joe, &model, demand(1)).await.is_err());
        }
        let freed = limited(Some(2), &[]);
        assert!(limiter.admit(&joe, &freed, demand(1)).await.is_ok());
        assert!(limiter.admit(&joe, &freed, demand(1)).await.is_ok());
    }

    #[tokio::test]
    async fn tokens_are_noted_before_and_corrected_after() {
        let mut model = limited(None, &[]);
        model.limits.per_user = Some(Amount {
            requests: u32::MAX,
            tokens: 100,
        });
        let (limiter, jane) = (limiter(), caller("jane", &[]));
        let mut first = limiter.admit(&jane, &model, demand(90)).await.unwrap().unwrap();
        let error = limiter.admit(&jane, &model, demand(20)).await.err().unwrap();
        assert!(error.to_string().contains("100 tokens"), "{error}");
        first.used(10);
        drop(first);
        assert!(limiter.admit(&jane, &model, demand(90)).await.is_ok());
    }

    #[test]
    fn a_spec_without_numbers_allows_anything() {
        let spec: llmmodel::Limits = serde_json::from_value(serde_json::json!({"perUser": {}})).unwrap();
        let limits = Limits::from(spec);
        assert_eq!(
            limits.per_user,
            Some(Amount {
                requests: u32::MAX,
                tokens: u32::MAX
            })
        );
        assert!(!limits.is_local_only && limits.max_tokens.is_none());
    }
}
