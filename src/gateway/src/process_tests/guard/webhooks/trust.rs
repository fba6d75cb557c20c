//! Keys and certificates.

use std::time::Duration;

use axum::http::StatusCode;

use super::{super::super::behind_tls::Certified, *};
use crate::hosted::NoKey;

async fn answering() -> Worker {
    Worker::answering(StatusCode::OK, "application/json", "{\"choices\":[]}").await
}

#[tokio::test]
async fn a_key_is_shown_when_there_is_one() {
    let (worker, judge) = (answering().await, Judge::finding("bad", "refuse").await);
    let mut guardrails = judge.guardrails("input");
    guardrails["input"][0]["webhook"]["credentialsSecretRef"] = json!({"name": "guard", "key": "token"});
    let gateway = gateway(&worker, guardrails).await;
    let ask = async || within(gateway.chat(&chat("hello").to_string())).await;
    refused(ask().await, 503, "guardrail_unavailable").await;
    assert!(judge.asked().is_empty());
    gateway.secrets.set("guard", Ok("first"));
    // That there is none is believed for a moment.
    within(async {
        while ask().await.status() != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert_eq!(judge.asked()[0].0["authorization"], "Bearer first");
    assert!(verdicts(&gateway, "secret") > 0);
}

#[tokio::test]
async fn a_key_that_was_changed_is_tried() {
    let worker = answering().await;
    let keyed = Router::new().fallback(
        async |headers: HeaderMap| match headers["authorization"] == "Bearer second" {
            true => said(&json!({"verdict": "allow"})),
            false => Response::builder().status(401).body("".into()).unwrap(),
        },
    );
    let listener = TcpListener::bind(ELSEWHERE).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, keyed).await });
    let webhook = json!({"url": url, "credentialsSecretRef": {"name": "guard", "key": "token"}});
    let gateway = gateway(
        &worker,
        json!({"input": [{"name": "ours", "detector": "Webhook", "webhook": webhook}]}),
    )
    .await;
    gateway.secrets.set("guard", Ok("first"));
    let ask = async || within(gateway.chat(&chat("hello").to_string())).await;
    refused(ask().await, 503, "guardrail_unavailable").await;
    gateway.secrets.set("guard", Ok("second"));
    assert_eq!(ask().await.status(), 200);
}

#[tokio::test]
async fn an_authority_of_one_s_own_is_trusted_by_those_who_name_it() {
    let worker = answering().await;
    let judging = Router::new().fallback(async || said(&json!({"verdict": "allow"})));
    let (address, pem) = Certified::start("127.0.0.2", judging).await;
    let asking = async |more: Value, secret: Result<&str, NoKey>| {
        let mut webhook = json!({"url": format!("https://{address}/")});
        webhook
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let guardrails = json!({"input": [{"name": "ours", "detector": "Webhook", "webhook": webhook}]});
        let gateway = gateway(&worker, guardrails).await;
        gateway.secrets.set("ca", secret);
        let response = within(gateway.chat(&chat("hello").to_string())).await;
        let outcome = ["allow", "unreachable", "secret"]
            .into_iter()
            .find(|it| verdicts(&gateway, it) == 1);
        (response.status().as_u16(), outcome.unwrap())
    };
    let ca = json!({"caSecretRef": {"name": "ca", "key": "ca.crt"}});
    assert_eq!(asking(ca.clone(), Ok(&pem)).await, (200, "allow"));
    assert_eq!(asking(json!({}), Ok(&pem)).await, (503, "unreachable"));
    let other = Certified::new("127.0.0.2").pem;
    assert_eq!(asking(ca.clone(), Ok(&other)).await, (503, "unreachable"));
    assert_eq!(asking(ca.clone(), Ok("no certificate")).await, (503, "secret"));
    assert_eq!(asking(ca, Err(NoKey::NoSecret)).await, (503, "secret"));
}
