//! The way in beside Atelier's gateway, in a cluster that gets Gateway API and loses it again. The case itself speaks
//! for the Gateway's controller.

use anyhow::{Result, ensure};
use api::conditions::{self, types};
use api::names::ANNOTATION_PROMOTE;
use atelier_e2e::gateway_api::routes;
use atelier_e2e::{Model, Namespace, gateway_api, model, wait, with_namespace};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{DeleteParams, DynamicObject, PostParams};
use serde_json::{Value, json};

fn route() -> Value {
    let parents = json!([{"name": "public", "namespace": "edge", "sectionName": "https"}]);
    json!({"gatewayApi": {"parentRefs": parents, "hostnames": ["m.example.com"]}})
}

#[tokio::test]
async fn a_route_follows_the_rollout_and_the_api_that_it_needs() -> Result<()> {
    with_namespace("route", async |namespace| {
        // An earlier run may have been cut off.
        gateway_api::remove().await?;
        let result = go_through(&namespace).await;
        // Also after a failure: what this case added must not stay.
        gateway_api::remove().await?;
        result
    })
    .await
}

async fn go_through(namespace: &Namespace) -> Result<()> {
    let mut spec = model::bundled();
    spec["rollout"] = json!({"strategy": "Canary", "canary": {"steps": [{"weight": 30, "gate": "Manual"}]}});
    spec["route"] = route();
    let model = Model::create(namespace, "m", spec).await?;
    // Without the API everything else goes on.
    model.ready().await?;
    let missing = model
        .condition(types::ROUTE_ACCEPTED, "False", "GatewayApiMissing")
        .await?;
    ensure!(missing.message.contains("spec.route"), "{}", missing.message);

    gateway_api::add().await?;
    let first = model.version().await?;
    shares(namespace, &[(&first, 100)]).await?;
    let waits = model
        .condition(types::ROUTE_ACCEPTED, "Unknown", "RoutePending")
        .await?;
    ensure!(waits.message.contains("Gateway edge/public"), "{}", waits.message);
    reaches_workers(namespace, &first, true).await?;

    gateway_api::says(namespace, "m", "False", "NotAllowedByListeners").await?;
    let refused = model.condition(types::ROUTE_ACCEPTED, "False", "RouteRefused").await?;
    ensure!(refused.message.contains("NotAllowedByListeners"), "{}", refused.message);
    gateway_api::says(namespace, "m", "True", "Accepted").await?;
    model.condition(types::ROUTE_ACCEPTED, "True", "RouteAccepted").await?;
    stays_as_it_is(namespace, &model).await?;

    // A canary's share is a weight.
    model
        .patch(json!({"spec": {"prompt": {"system": "Be brief."}}}))
        .await?;
    let second = wait::until("the canary", async || {
        let status = model.get().await?.status.unwrap_or_default();
        Ok(status.canary.map(|canary| canary.version))
    })
    .await?;
    shares(namespace, &[(&first, 70), (&second, 30)]).await?;
    let word = format!("{second}/1");
    model
        .patch(json!({"metadata": {"annotations": {ANNOTATION_PROMOTE: word}}}))
        .await?;
    shares(namespace, &[(&second, 100)]).await?;
    model.ready().await?;
    ensure!(model.version().await? == second);

    // The route goes with its field, and so does the way to the workers.
    model.patch(json!({"spec": {"route": null}})).await?;
    wait::until("the HTTPRoute to be gone", async || {
        let found = routes(namespace).get_opt("m").await?;
        Ok(found.is_none().then_some(()))
    })
    .await?;
    forgotten(&model).await?;
    reaches_workers(namespace, &second, false).await?;

    // What belongs to others is left alone.
    let metadata = json!({"name": "m"});
    let theirs =
        json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": metadata, "spec": {}});
    let theirs: DynamicObject = serde_json::from_value(theirs)?;
    let theirs = routes(namespace).create(&PostParams::default(), &theirs).await?;
    model.patch(json!({"spec": {"route": route()}})).await?;
    let taken = model.condition(types::ROUTE_ACCEPTED, "False", "NameConflict").await?;
    ensure!(taken.message.contains("HTTPRoute m"), "{}", taken.message);
    let now = routes(namespace).get("m").await?;
    ensure!(now.metadata.resource_version == theirs.metadata.resource_version);
    routes(namespace).delete("m", &DeleteParams::default()).await?;
    shares(namespace, &[(&second, 100)]).await?;

    // The API goes, and the model serves on.
    gateway_api::remove().await?;
    model
        .condition(types::ROUTE_ACCEPTED, "False", "GatewayApiMissing")
        .await?;
    model.ready().await?;
    model.patch(json!({"spec": {"route": null}})).await?;
    forgotten(&model).await
}

/// Waits until the HTTPRoute gives versions these shares.
async fn shares(namespace: &Namespace, expected: &[(&str, i64)]) -> Result<()> {
    let expected: Vec<_> = expected
        .iter()
        .map(|(version, weight)| (format!("m-{version}"), *weight))
        .collect();
    wait::until(&format!("an HTTPRoute with the shares {expected:?}"), async || {
        let route = routes(namespace).get("m").await?;
        let backends = route.data["spec"]["rules"][0]["backendRefs"].as_array();
        let found = backends.into_iter().flatten().filter_map(|it| {
            let name = it["name"].as_str()?.to_owned();
            Some((name, it["weight"].as_i64()?))
        });
        let found: Vec<_> = found.collect();
        ensure!(found == expected, "{found:?}");
        Ok(Some(()))
    })
    .await
}

/// Whether pods of the Gateway's namespace may reach the workers of a version.
async fn reaches_workers(namespace: &Namespace, version: &str, expected: bool) -> Result<()> {
    let what = format!("the network policy of {version} to let the Gateway in: {expected}");
    wait::until(&what, async || {
        let policy: NetworkPolicy = namespace.api().get(&format!("m-{version}")).await?;
        let ingress = json!(policy.spec.and_then(|spec| spec.ingress));
        Ok((ingress.to_string().contains("\"edge\"") == expected).then_some(()))
    })
    .await
}

/// A pass over a model whose route is as it should be leaves the route alone.
async fn stays_as_it_is(namespace: &Namespace, model: &Model) -> Result<()> {
    let before = routes(namespace).get("m").await?.metadata.resource_version;
    model.patch(json!({"spec": {"rollout": {"historyLimit": 7}}})).await?;
    model.condition(types::ROUTE_ACCEPTED, "True", "RouteAccepted").await?;
    let after = routes(namespace).get("m").await?.metadata.resource_version;
    ensure!(before == after, "the HTTPRoute was written again");
    Ok(())
}

/// Waits until the status says nothing of a route any more.
async fn forgotten(model: &Model) -> Result<()> {
    wait::until("the status to say nothing of a route", async || {
        let status = model.get().await?.status.unwrap_or_default();
        let told = conditions::find(&status.conditions, types::ROUTE_ACCEPTED);
        Ok(told.is_none().then_some(()))
    })
    .await
}
