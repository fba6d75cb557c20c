//! A model that sleeps: requests wait for its first worker.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use futures::future::join_all;
use rstest::rstest;

use super::{CHAT, refused, within};
use crate::{
    catalog::{Model, Readiness},
    testing::{TestGateway, VERSION, Worker, model},
};

fn sleeping(hold: Duration) -> Model {
    Model {
        hold: Some(hold),
        readiness: Readiness {
            ready: true,
            reason: "ScaledToZero".into(),
            message: "nobody asks".into(),
        },
        ..model("ns", "m")
    }
}

async fn gateway(hold: Duration, places: usize) -> TestGateway {
    let gateway = TestGateway::start(&[], |timing| {
        timing.max_held = places;
        timing.patience = Duration::from_millis(50);
    })
    .await;
    gateway.catalog.apply_model(sleeping(hold));
    gateway
}

/// Waits until so many requests are held, as the operator would see it.
async fn until_held(gateway: &TestGateway, count: u64) {
    within(async {
        while gateway.catalog.held().of("ns", "m") != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn all_that_wait_are_answered_by_the_first_worker() {
    let worker = Worker::answering(StatusCode::OK, "application/json", "{}").await;
    let gateway = gateway(Duration::from_secs(60), 64).await;
    let requests = join_all((0..50).map(|_| gateway.chat(CHAT)));
    let wake = async {
        until_held(&gateway, 50).await;
        // It starts: not ready any more, which turns nobody away.
        let mut waking = sleeping(Duration::from_secs(60));
        waking.readiness = Readiness {
            ready: false,
            reason: "ReplicasNotReady".into(),
            message: "0 of 1 replicas are ready".into(),
        };
        gateway.catalog.apply_model(waking);
        tokio::task::yield_now().await;
        assert_eq!(gateway.catalog.held().of("ns", "m"), 50);
        gateway.set_workers("m", VERSION, &[worker.address]);
    };
    let (responses, ()) = within(futures::future::join(requests, wake)).await;
    assert!(responses.iter().all(|response| response.status() == StatusCode::OK));
    assert_eq!(worker.received().len(), 50);
    until_held(&gateway, 0).await;
}

#[tokio::test]
async fn a_first_worker_that_is_full_is_asked_again() {
    let answered = AtomicUsize::new(0);
    let worker = Worker::start(move || {
        let is_full = answered.fetch_add(1, Ordering::Relaxed) < 3;
        let status = if is_full {
            StatusCode::TOO_MANY_REQUESTS
        } else {
            StatusCode::OK
        };
        Response::builder().status(status).body(Body::from("{}")).unwrap()
    })
    .await;
    let gateway = gateway(Duration::from_secs(60), 64).await;
    let requests = join_all((0..3).map(|_| gateway.chat(CHAT)));
    let wake = async {
        until_held(&gateway, 3).await;
        gateway.set_workers("m", VERSION, &[worker.address]);
    };
    let (responses, ()) = within(futures::future::join(requests, wake)).await;
    assert!(responses.iter().all(|response| response.status() == StatusCode::OK));
    assert_eq!(worker.received().len(), 6);
    // Whoever asks a model that is awake is told that it is full.
    let worker = Worker::answering(StatusCode::TOO_MANY_REQUESTS, "application/json", "{}").await;
    gateway.set_workers("m", VERSION, &[worker.address]);
    assert_eq!(within(gateway.chat(CHAT)).await.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn waiting_has_an_end_and_a_limit() {
    let gateway = gateway(Duration::from_millis(400), 2).await;
    let waiting = join_all((0..2).map(|_| gateway.chat(CHAT)));
    let third = async {
        until_held(&gateway, 2).await;
        let response = gateway.chat(CHAT).await;
        assert_eq!(response.headers()["retry-after"], "5");
        refused(response, 503, "too_many_held").await;
    };
    let (responses, ()) = within(futures::future::join(waiting, third)).await;
    for response in responses {
        assert!(response.headers().contains_key("retry-after"));
        let message = refused(response, 503, "model_not_ready").await;
        assert!(message.contains("ScaledToZero"), "{message}");
    }
    until_held(&gateway, 0).await;
}

#[tokio::test]
async fn a_client_that_leaves_is_not_waited_for() {
    let gateway = gateway(Duration::from_secs(60), 64).await;
    let request = tokio::spawn(
        gateway
            .request(reqwest::Method::POST, "/v1/chat/completions")
            .body(CHAT)
            .send(),
    );
    until_held(&gateway, 1).await;
    let seen = gateway.catalog.traffic();
    assert_eq!(seen.of_model("ns", "m").unwrap().held, 1);
    assert_eq!(seen.idle_seconds("ns", "m"), Some(0));
    request.abort();
    until_held(&gateway, 0).await;
}

#[rstest]
#[case::broken("ImagePullFailed", Some(60), true)]
#[case::off("ScaledToZero", None, true)]
#[case::never_served("RollingOut", Some(60), false)]
#[tokio::test]
async fn what_will_not_start_is_not_waited_for(
    #[case] reason: &str,
    #[case] hold: Option<u64>,
    #[case] has_served: bool,
) {
    let gateway = gateway(Duration::from_secs(60), 64).await;
    let mut model = sleeping(Duration::from_secs(60));
    model.hold = hold.map(Duration::from_secs);
    model.readiness.ready = false;
    model.readiness.reason = reason.into();
    model.current_version = model.current_version.filter(|_| has_served);
    gateway.catalog.apply_model(model);
    let message = refused(within(gateway.chat(CHAT)).await, 503, "model_not_ready").await;
    assert!(message.contains(reason), "{message}");
}
