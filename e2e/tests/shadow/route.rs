//! Copies of requests that pass Atelier's gateway by.

use anyhow::{Result, ensure};
use api::conditions::{self, types};
use atelier_e2e::{Model, Namespace, Shadow, gateway_api, installation, model, shadow, wait, with_namespace};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use serde_json::{Value, json};

#[tokio::test]
async fn a_route_mirrors_to_the_candidate_and_stays_without_it() -> Result<()> {
    with_namespace("mirrored", async |namespace| {
        installation::with_contents().await?;
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
    let model = Model::create(namespace, "m", model::bundled()).await?;
    model.ready().await?;
    let other = model.version().await?;
    model
        .patch(json!({"spec": {"engine": {"atelier": {"maxConcurrentSequences": 3}}}}))
        .await?;
    model.ready().await?;
    let compare = json!({"primary": {"metric": "Errors", "margin": "10%"}});
    let stop = json!({"minPairs": 30, "maxPairs": 400});
    let mut spec = shadow::spec("m", &json!({"version": other}), &compare, &stop);
    spec["sample"] = json!({"percent": "12.5%"});
    spec["route"] = json!({"gatewayApi": {"parentRefs": [{"name": "public", "namespace": "edge"}], "hostnames": ["m.example.com"]}});
    let shadow = Shadow::create(namespace, "s", spec).await?;
    // Without the API everything else goes on.
    told(&shadow, "False", "GatewayApiMissing").await?;
    shadow.comparing().await?;

    gateway_api::add().await?;
    let serving = model.version().await?;
    ensure!(serving != other, "the change made no version");
    let mirror = json!([{"type": "RequestMirror", "requestMirror": {
        "backendRef": {"group": "", "kind": "Service", "name": format!("m-{other}"), "port": 8000},
        "fraction": {"numerator": 12_500_000, "denominator": 100_000_000},
    }}]);
    let rule = rule(namespace, |rule| rule["filters"] == mirror).await?;
    let backend = &rule["backendRefs"][0];
    ensure!(
        backend["name"] == format!("m-{serving}") && backend["weight"] == 100,
        "{rule}"
    );
    let policy: NetworkPolicy = namespace.api().get("s-route-m").await?;
    ensure!(json!(policy.spec).to_string().contains("\"edge\""), "{policy:?}");
    gateway_api::says(namespace, "s", "False", "NotAllowedByListeners").await?;
    told(&shadow, "False", "RouteRefused").await?;
    gateway_api::says(namespace, "s", "True", "Accepted").await?;
    told(&shadow, "True", "RouteAccepted").await?;

    // The share can be changed while it goes on.
    shadow.patch(json!({"spec": {"sample": {"percent": "50%"}}})).await?;
    rule_with(namespace, 50_000_000).await?;
    shadow.patch(json!({"spec": {"route": null}})).await?;
    wait::until("the route to be gone", async || {
        let found = gateway_api::routes(namespace).get_opt("s").await?;
        Ok(found.is_none().then_some(()))
    })
    .await
}

/// Waits until the rule of the route is as wanted.
async fn rule(namespace: &Namespace, is: impl Fn(&Value) -> bool) -> Result<Value> {
    wait::until("the rule of the HTTPRoute", async || {
        let route = gateway_api::routes(namespace).get("s").await?;
        let rule = route.data["spec"]["rules"][0].clone();
        ensure!(is(&rule), "{rule}");
        Ok(Some(rule))
    })
    .await
}

async fn rule_with(namespace: &Namespace, numerator: i64) -> Result<()> {
    let place = "/filters/0/requestMirror/fraction/numerator";
    rule(namespace, |rule| rule.pointer(place) == Some(&json!(numerator)))
        .await
        .map(drop)
}

/// Waits until the status says this of the route.
async fn told(shadow: &Shadow, status: &str, reason: &str) -> Result<()> {
    wait::until(&format!("RouteAccepted={status} with reason {reason}"), async || {
        let known = shadow.status().await?;
        let told = conditions::find(&known.conditions, types::ROUTE_ACCEPTED);
        let found = told.map(|it| (it.status.clone(), it.reason.clone()));
        ensure!(found == Some((status.into(), reason.into())), "{found:?}");
        Ok(Some(()))
    })
    .await
}
