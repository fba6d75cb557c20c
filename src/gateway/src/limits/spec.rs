//! What a model's spec allows.

use api::llmmodel::{self, DataPolicy};

use super::{Amount, Money};

/// What one user may use, or all members of a group together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// In any minute.
    pub per_minute: Amount,
    /// Requests under way at once.
    pub concurrent: Option<u32>,
    /// Money in a calendar month.
    pub per_month: Option<Money>,
}

impl From<Amount> for Allowance {
    fn from(per_minute: Amount) -> Self {
        Self {
            per_minute,
            concurrent: None,
            per_month: None,
        }
    }
}

/// What a model allows, as its spec has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// What each user may use.
    pub per_user: Option<Allowance>,
    /// What the members of a group may use together.
    pub per_group: Vec<(String, Allowance)>,
    /// Longest answer in tokens.
    pub max_tokens: Option<u32>,
    /// Whether requests must not leave the cluster.
    pub is_local_only: bool,
}

impl TryFrom<llmmodel::Limits> for Limits {
    type Error = NoMoney;

    fn try_from(spec: llmmodel::Limits) -> Result<Self, NoMoney> {
        let allowance = |requests, tokens, concurrent: Option<i32>, per_month: Option<String>| {
            let per_month = per_month.map(|text| Money::parse(&text).ok_or(NoMoney)).transpose()?;
            Ok(Allowance {
                per_minute: Amount {
                    requests: count(requests),
                    tokens: count(tokens),
                },
                concurrent: concurrent.map(|limit| limit.try_into().unwrap_or(0)),
                per_month,
            })
        };
        let per_user = spec.per_user.map(|user| {
            allowance(
                user.requests_per_minute,
                user.tokens_per_minute,
                user.concurrent_requests,
                user.spend_per_month,
            )
        });
        let per_group = spec.per_group.into_iter().map(|group| {
            let allowance = allowance(
                group.requests_per_minute,
                group.tokens_per_minute,
                group.concurrent_requests,
                group.spend_per_month,
            );
            Ok((group.name, allowance?))
        });
        Ok(Self {
            per_user: per_user.transpose()?,
            per_group: per_group.collect::<Result<_, _>>()?,
            max_tokens: spec.max_tokens.map(|limit| limit.try_into().unwrap_or(0)),
            is_local_only: spec.data_policy == DataPolicy::LocalOnly,
        })
    }
}

/// A `spendPerMonth` is no amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMoney;

fn count(limit: Option<i32>) -> u32 {
    limit.map_or(u32::MAX, |limit| limit.try_into().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn limits(spec: serde_json::Value) -> Result<Limits, NoMoney> {
        serde_json::from_value::<llmmodel::Limits>(spec).unwrap().try_into()
    }

    #[test]
    fn a_spec_without_numbers_allows_anything() {
        let limits = limits(json!({"perUser": {}})).unwrap();
        assert_eq!(limits.per_user, Some(Amount::UNLIMITED.into()));
        assert!(!limits.is_local_only && limits.max_tokens.is_none());
    }

    #[test]
    fn every_field_has_its_limit() {
        let all =
            json!({"requestsPerMinute": 1, "tokensPerMinute": 2, "concurrentRequests": 3, "spendPerMonth": "4.5"});
        let mut group = all.clone();
        group["name"] = json!("interns");
        let expected = Allowance {
            per_minute: Amount { requests: 1, tokens: 2 },
            concurrent: Some(3),
            per_month: Money::parse("4.5"),
        };
        let limits = limits(json!({"perUser": all, "perGroup": [group]})).unwrap();
        assert_eq!(limits.per_user, Some(expected));
        assert_eq!(limits.per_group, [("interns".to_owned(), expected)]);
    }

    #[test]
    fn what_is_no_money_is_no_limit_to_pass_over() {
        assert_eq!(limits(json!({"perUser": {"spendPerMonth": "much"}})), Err(NoMoney));
        assert_eq!(
            limits(json!({"perGroup": [{"name": "g", "spendPerMonth": "1e999"}]})),
            Err(NoMoney)
        );
    }
}
