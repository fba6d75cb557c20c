//! The number of replicas follows the load: up, down, to zero, and back at the first request.

use anyhow::{Context, Result, ensure};
use api::conditions::types;
use api::names;
use atelier_e2e::traffic::Traffic;
use atelier_e2e::{Model, kubectl, model, wait, with_namespace};
use futures::future::join_all;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use serde_json::json;

#[tokio::test]
async fn replicas_follow_the_requests_in_flight() -> Result<()> {
    with_namespace("autoscaling", async |namespace| {
        let mut spec = model::bundled();
        spec["autoscaling"] = json!({
            "minReplicas": 1,
            "maxReplicas": 5,
            "targets": [{"metric": "InFlight", "value": "2"}],
            "behavior": {"scaleDownStabilizationSeconds": 6},
        });
        let model = Model::create(&namespace, "m", spec).await?;
        model.ready().await?;
        let generation = model.get().await?.metadata.generation;
        let gateway = namespace.gateway().await?;
        // Somebody asks all the time: neither change may cost a request.
        let always = Traffic::start(&gateway, &model.address(), 1).await?;
        for (users, replicas) in [(9, 5), (0, 1)] {
            let many = match users {
                0 => None,
                _ => Some(Traffic::start(&gateway, &model.address(), users).await?),
            };
            wait::until(&format!("{replicas} replicas"), async || {
                let status = model.get().await?.status.unwrap_or_default();
                Ok((status.ready == Some(format!("{replicas}/{replicas}"))).then_some(()))
            })
            .await?;
            if let Some(many) = many {
                many.answers(6).await?;
                many.stop_without_failure().await?;
            }
        }
        always.answers(2).await?;
        always.stop_without_failure().await?;

        let object = model.get().await?;
        ensure!(object.metadata.generation == generation, "the operator wrote the spec");
        let name = names::version_child("m", &model.version().await?);
        let hpa = namespace.api::<HorizontalPodAutoscaler>().get(&name).await?;
        let status = hpa.status.context("the autoscaler has not looked")?;
        ensure!(status.current_metrics.is_some(), "the autoscaler has measured nothing");
        let events = kubectl::succeed(&["get", "events", "--namespace", &namespace.name], "").await?;
        ensure!(events.contains("SuccessfulRescale"), "{events}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_model_that_sleeps_answers_everybody_who_wakes_it() -> Result<()> {
    with_namespace("sleep", async |namespace| {
        let mut spec = model::bundled();
        spec["autoscaling"] = json!({
            "minReplicas": 0,
            "maxReplicas": 1,
            "scaleToZero": {"idleSeconds": 10, "holdSeconds": 120},
        });
        let model = Model::create(&namespace, "m", spec).await?;
        model.ready().await?;
        let version = model.version().await?;
        let gateway = namespace.gateway().await?;
        gateway.ask(&model.address(), "Hello").await?;
        let message = model.condition(types::READY, "True", "ScaledToZero").await?.message;
        ensure!(message.contains("next request"), "{message}");
        wait::until("the pods to be gone", async || {
            Ok(namespace.serving_pods("m", &version).await?.is_empty().then_some(()))
        })
        .await?;
        let args = ["get", "llm", "m", "--namespace", &namespace.name, "--no-headers"];
        let shown = kubectl::succeed(&args, "").await?;
        ensure!(shown.contains("ScaledToZero") && shown.contains("0/0"), "{shown}");

        let address = model.address();
        let answers = join_all((0..50).map(|_| gateway.stream(&address, "Count from one to ten.", 4))).await;
        for answer in answers {
            let answer = answer?;
            ensure!(
                answer.done && answer.error.is_none() && !answer.text.is_empty(),
                "{answer:?}"
            );
        }
        model.condition(types::READY, "True", "Serving").await?;
        ensure!(model.version().await? == version, "to sleep is no new version");
        Ok(())
    })
    .await
}
