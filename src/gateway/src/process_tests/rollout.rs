//! Another version takes over: no request may fail, whatever news comes first.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use axum::http::StatusCode;
use futures::future;
use rstest::rstest;

use super::{CHAT, within};
use crate::testing::{TestGateway, VERSION, Worker, model};

const NEXT: &str = "v-9876543210";

async fn answering(body: &'static str) -> Worker {
    Worker::answering(StatusCode::OK, "application/json", body).await
}

/// What an operator and its cluster do in a roll-out, in the order in which the gateway hears of it.
#[derive(Clone, Copy)]
enum News {
    /// The status names the next version.
    Status,
    /// The workers of the next version are there.
    Up,
    /// Those of the version before are gone.
    Down,
}

struct Rollout {
    gateway: TestGateway,
    old: Worker,
    new: Worker,
}

impl Rollout {
    async fn start() -> Self {
        let (old, new) = (answering("old").await, answering("new").await);
        let gateway = TestGateway::with_workers(&[&old]).await;
        Self { gateway, old, new }
    }

    fn hear(&self, news: News) {
        match news {
            News::Status => self.status(NEXT),
            News::Up => self.gateway.set_workers("m", NEXT, &[self.new.address]),
            News::Down => self.gateway.set_workers("m", VERSION, &[]),
        }
    }

    fn status(&self, version: &str) {
        let mut switched = model("ns", "m");
        switched.current_version = Some(version.into());
        self.gateway.catalog.apply_model(switched);
    }

    async fn ask(&self) -> String {
        let response = within(self.gateway.chat(CHAT)).await;
        assert_eq!(response.status(), 200);
        response.text().await.unwrap()
    }
}

#[rstest]
#[case::as_planned(&[News::Up, News::Status, News::Down], &["old", "new", "new"])]
#[case::endpoints_come_late(&[News::Status, News::Up, News::Down], &["old", "new", "new"])]
#[tokio::test]
async fn the_version_before_goes_on_until_the_next_is_seen(#[case] news: &[News], #[case] answers: &[&str]) {
    let rollout = Rollout::start().await;
    assert_eq!(rollout.ask().await, "old");
    for (news, answer) in news.iter().zip(answers) {
        rollout.hear(*news);
        assert_eq!(rollout.ask().await, *answer);
    }
}

#[rstest]
#[case::endpoints_come_late(&[News::Status, News::Down], News::Up)]
#[case::endpoints_come_last(&[News::Down, News::Status], News::Up)]
#[case::status_comes_late(&[News::Up, News::Down], News::Status)]
#[tokio::test]
async fn with_no_version_in_sight_requests_wait(#[case] before: &[News], #[case] after: News) {
    let rollout = Rollout::start().await;
    for news in before {
        rollout.hear(*news);
    }
    let late = async {
        // Any time is right; after the request has begun to wait is the interesting one.
        tokio::time::sleep(Duration::from_millis(50)).await;
        rollout.hear(after);
    };
    let (answer, ()) = future::join(rollout.ask(), late).await;
    assert_eq!(answer, "new");
}

#[tokio::test]
async fn a_version_that_was_seen_ready_is_not_stood_in_for_later() {
    let rollout = Rollout::start().await;
    rollout.hear(News::Status);
    rollout.hear(News::Up);
    assert_eq!(rollout.ask().await, "new");
    // What was rolled away from stays away, however bad things get.
    rollout.gateway.set_workers("m", NEXT, &[]);
    let back = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        rollout.hear(News::Up);
    };
    let (answer, ()) = future::join(rollout.ask(), back).await;
    assert_eq!(answer, "new");
}

#[tokio::test]
async fn traffic_goes_on_through_many_roll_outs() {
    let rollout = Rollout::start().await;
    let over = AtomicBool::new(false);
    let traffic = future::join_all((0..4).map(async |_| {
        while !over.load(Ordering::Relaxed) {
            rollout.ask().await;
        }
    }));
    let sides = [(VERSION, rollout.old.address), (NEXT, rollout.new.address)];
    let operator = async {
        for round in 0..40 {
            let [(from, _), (to, address)] = [sides[round % 2], sides[(round + 1) % 2]];
            let workers = |version, addresses| rollout.gateway.set_workers("m", version, addresses);
            match round % 3 {
                0 => (workers(to, &[address]), rollout.status(to), workers(from, &[])),
                1 => (rollout.status(to), workers(to, &[address]), workers(from, &[])),
                _ => (rollout.status(to), workers(from, &[]), workers(to, &[address])),
            };
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        over.store(true, Ordering::Relaxed);
    };
    future::join(traffic, operator).await;
    assert!(!rollout.old.received().is_empty() && !rollout.new.received().is_empty());
}
