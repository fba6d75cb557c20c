use std::collections::BTreeMap;

use super::*;
use crate::{limits::Limits, testing::model, usage::Usage};

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
            per_user: per_user.map(|limit| amount(limit).into()),
            per_group: groups
                .map(|(name, limit)| ((*name).into(), amount(*limit).into()))
                .collect(),
            ..Limits::default()
        },
        ..model("ns", "m")
    }
}

fn demand(answer: u32) -> Demand {
    Demand { prompt: 0, answer }
}

fn limiter() -> Limiter {
    Limiter::new(Arc::new(Peers::alone()), None)
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
    let limit = Amount {
        requests: u32::MAX,
        tokens: 100,
    };
    model.limits.per_user = Some(limit.into());
    let (limiter, jane) = (limiter(), caller("jane", &[]));
    let mut first = limiter.admit(&jane, &model, demand(90)).await.unwrap().unwrap();
    let error = limiter.admit(&jane, &model, demand(20)).await.err().unwrap();
    assert!(error.to_string().contains("100 tokens"), "{error}");
    first.used(Usage {
        prompt_tokens: 4,
        completion_tokens: 6,
    });
    drop(first);
    assert!(limiter.admit(&jane, &model, demand(90)).await.is_ok());
}

fn at_once(per_user: u32) -> Model {
    let mut model = limited(None, &[("interns", u32::MAX)]);
    let mut allowance = Allowance::from(Amount::UNLIMITED);
    allowance.concurrent = Some(per_user);
    model.limits.per_user = Some(allowance);
    model
}

#[tokio::test]
async fn so_many_requests_are_under_way_at_once() {
    let (limiter, model) = (limiter(), at_once(2));
    let (jane, joe) = (caller("jane", &[]), caller("joe", &[]));
    let first = limiter.admit(&jane, &model, demand(1)).await.unwrap();
    let _second = limiter.admit(&jane, &model, demand(1)).await.unwrap();
    let error = limiter.admit(&jane, &model, demand(1)).await.err().unwrap();
    assert_eq!(error.code(), "concurrency_limit_exceeded");
    assert!(error.to_string().contains("2 requests"), "{error}");
    assert!(limiter.admit(&joe, &model, demand(1)).await.is_ok());
    drop(first);
    let _third = limiter.admit(&jane, &model, demand(1)).await.unwrap();
    assert!(limiter.admit(&jane, &model, demand(1)).await.is_err());
}

#[tokio::test]
async fn what_is_refused_later_leaves_no_place_behind() {
    let (limiter, mut model) = (limiter(), at_once(1));
    let limit = Amount { requests: 0, tokens: 0 };
    model.limits.per_group = vec![(
        "interns".into(),
        Allowance {
            concurrent: Some(0),
            ..limit.into()
        },
    )];
    let intern = caller("jane", &["interns"]);
    for _ in 0..2 {
        let error = limiter.admit(&intern, &model, demand(1)).await.err().unwrap();
        assert!(error.to_string().contains("group \"interns\""), "{error}");
    }
    assert!(limiter.admit(&caller("jane", &[]), &model, demand(1)).await.is_ok());
}

#[tokio::test]
async fn money_cannot_be_counted_without_a_database() {
    let mut model = limited(None, &[]);
    let mut allowance = Allowance::from(Amount::UNLIMITED);
    allowance.per_month = Money::parse("5");
    model.limits.per_user = Some(allowance);
    let error = limiter()
        .admit(&caller("jane", &[]), &model, demand(1))
        .await
        .err()
        .unwrap();
    assert_eq!(error.code(), "limits_unusable");
    assert!(error.to_string().contains("--database-url-file"), "{error}");
}
