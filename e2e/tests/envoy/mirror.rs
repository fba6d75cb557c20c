//! A ShadowDeployment's route: Envoy copies a share of what users ask to the candidate, and they notice nothing.

use anyhow::{Result, ensure};
use api::conditions::{self, types};
use atelier_e2e::envoy::{self, CONTROLLER, Envoy, with_envoy};
use atelier_e2e::gateway_api::routes;
use atelier_e2e::traffic::{Tally, Traffic};
use atelier_e2e::{Model, Namespace, Shadow, installation, model, shadow, wait, with_namespace};
use serde_json::json;

use crate::ALONE;
use crate::count::{Work, grows, is_share, question, settled, so_far, told};

/// Answers that the share is counted from.
const ANSWERS: u64 = 400;
/// Answers of which none must be copied.
const QUIET: u64 = 60;
/// Users at work while the mirror comes and goes.
const USERS: u64 = 2;
const HOST: &str = "m.example.com";

#[tokio::test]
#[ignore = "builds Envoy Gateway: cargo xtask e2e envoy"]
async fn envoy_mirrors_a_share_to_the_candidate_for_as_long_as_it_is_wished_for() -> Result<()> {
    let _alone = ALONE.lock().await;
    with_namespace("mirror", async |namespace| {
        installation::with_database().await?;
        with_envoy(async |envoy| go_through(&namespace, &envoy).await).await
    })
    .await
}

async fn go_through(namespace: &Namespace, envoy: &Envoy) -> Result<()> {
    let mut spec = model::bundled();
    spec["engine"]["atelier"]["maxConcurrentSequences"] = json!(4);
    // The host of the ShadowDeployment is narrower, so its route goes first; without it users come by this one.
    spec["route"] = envoy::route(&["*.example.com"]);
    let model = Model::create(namespace, "m", spec).await?;
    model.ready().await?;
    let candidate = model.version().await?;
    // A version that is asked by the same words, and so by as many tokens.
    let change = json!({"engine": {"atelier": {"maxConcurrentSequences": 8}}});
    model.patch(json!({"spec": change})).await?;
    model.ready().await?;
    let serving = model.version().await?;
    ensure!(serving != candidate, "the change made no version");
    model.condition(types::ROUTE_ACCEPTED, "True", "RouteAccepted").await?;
    let users = envoy.users(HOST)?;
    wait::until("an answer by Envoy", async || users.ask("m", "Hello").await.map(Some)).await?;

    let always = Traffic::asking(&users, USERS, question).await?;
    let compare = json!({"primary": {"metric": "Errors", "margin": "10%"}});
    let stop = json!({"minPairs": 30, "maxPairs": 400});
    let mut spec = shadow::spec("m", &json!({"version": candidate}), &compare, &stop);
    spec["sample"] = json!({"percent": "25%"});
    spec["route"] = envoy::route(&[HOST]);
    let shadow = Shadow::create(namespace, "s", spec).await?;
    shadow.comparing().await?;
    accepted(namespace, &shadow).await?;
    grows(namespace, "m", &candidate).await?;
    let begun = always.stop_without_failure().await?;

    let (all, live, copies) = batch(namespace, envoy, (&serving, &candidate), ANSWERS).await?;
    is_share("the mirror", copies.answers, all, 0.25)?;
    ensure!(
        live.answers == all,
        "users got {all} answers, and the model gave {live:?}"
    );
    // Not only requests came, but all of their bodies.
    ensure!(
        copies.prompt_tokens * live.answers == live.prompt_tokens * copies.answers,
        "{live:?} and {copies:?}"
    );

    // Without its route nothing is copied, though the candidate still runs.
    let always = Traffic::asking(&users, USERS, question).await?;
    shadow.patch(json!({"spec": {"route": null}})).await?;
    stopped(namespace, envoy).await?;
    let left = gone_with_the_route(always.stop().await?)?;
    let (all, live, copies) = batch(namespace, envoy, (&serving, &candidate), QUIET).await?;
    println!("without the route: {} of {all} requests were copied", copies.answers);
    ensure!(
        copies.answers == 0 && live.answers == all,
        "{live:?} and {copies:?} of {all}"
    );

    // Back again, and gone with the ShadowDeployment for good.
    let always = Traffic::asking(&users, USERS, question).await?;
    shadow.patch(json!({"spec": {"route": envoy::route(&[HOST])}})).await?;
    accepted(namespace, &shadow).await?;
    grows(namespace, "m", &candidate).await?;
    ensure!(
        !envoy.mirrors(&namespace.client).await?.is_empty(),
        "Envoy tells of no mirror"
    );
    shadow.delete().await?;
    stopped(namespace, envoy).await?;
    // What was under way still ends, and the candidate goes; while users ask on, nothing more comes to it.
    let mut before = None;
    wait::until("copies to end", async || {
        always.answers(QUIET).await?;
        let now = so_far(namespace, "m", &candidate).await.ok();
        let earlier = before.replace(now);
        Ok((earlier == Some(now)).then_some(()))
    })
    .await?;
    let ended = gone_with_the_route(always.stop().await?)?;
    println!("{begun} answers while the mirror came; {left} while it went and {ended} while it came and went");
    Ok(())
}

/// What users got while a route went. Envoy Gateway 1.9 takes the cluster of a route from Envoy a moment before the route
/// itself, whosever it is, and what comes in that moment is answered 503 by Envoy: at most one request of each user. See
/// <https://github.com/envoyproxy/gateway/issues/9029>.
fn gone_with_the_route(tally: Tally) -> Result<String> {
    let Tally { answered, failures } = tally;
    let is_known = |told: &String| told == "the stream answered 503 Service Unavailable: ";
    ensure!(
        failures.iter().all(is_known) && failures.len() as u64 <= USERS,
        "{failures:#?}"
    );
    Ok(format!("{answered} (and {} times 503)", failures.len()))
}

/// Lets users ask without a break: so many answers they got, and what the two versions did.
async fn batch(
    namespace: &Namespace,
    envoy: &Envoy,
    (serving, candidate): (&str, &str),
    answers: u64,
) -> Result<(u64, Work, Work)> {
    let before = (
        settled(namespace, "m", serving).await?,
        settled(namespace, "m", candidate).await?,
    );
    let traffic = Traffic::asking(&envoy.users(HOST)?, 4, question).await?;
    traffic.answers(answers).await?;
    let all = traffic.stop_without_failure().await?;
    let live = settled(namespace, "m", serving).await? - before.0;
    let copies = settled(namespace, "m", candidate).await? - before.1;
    Ok((all, live, copies))
}

/// Waits until the status says that the route is accepted, which Envoy Gateway must have said.
async fn accepted(namespace: &Namespace, shadow: &Shadow) -> Result<()> {
    wait::until("RouteAccepted=True", async || {
        let known = shadow.status().await?.conditions;
        let found = conditions::find(&known, types::ROUTE_ACCEPTED);
        ensure!(found.is_some_and(|it| it.status == "True"), "{found:?}");
        Ok(Some(()))
    })
    .await?;
    let told = told(namespace, &shadow.name).await?;
    let [(controller, conditions)] = &told[..] else {
        anyhow::bail!("not one controller has looked at the route: {told:?}");
    };
    ensure!(
        controller == CONTROLLER && conditions.contains(&"ResolvedRefs".into()),
        "{told:?}"
    );
    let rule = &routes(namespace).get(&shadow.name).await?.data["spec"]["rules"][0];
    let fraction = &rule["filters"][0]["requestMirror"]["fraction"];
    ensure!(
        *fraction == json!({"numerator": 25_000_000, "denominator": 100_000_000}),
        "{rule}"
    );
    Ok(())
}

/// Waits until the route is gone, and Envoy knows of no mirror.
async fn stopped(namespace: &Namespace, envoy: &Envoy) -> Result<()> {
    wait::until("the mirror to end", async || {
        let found = routes(namespace).get_opt("s").await?;
        let mirrors = envoy.mirrors(&namespace.client).await?;
        ensure!(found.is_none() && mirrors.is_empty(), "{mirrors:?}");
        Ok(Some(()))
    })
    .await
}
