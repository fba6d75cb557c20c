//! From data to a version that serves, by nobody's hand; and from poisoned data to the gate that stops it.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use api::conditions::types;
use api::finetunejob::Phase;
use api::llmmodel::VersionState;
use atelier_e2e::s3::{self, S3Server};
use atelier_e2e::{Model, Namespace, Shadow, Tuning, installation, model, shadow, traffic::Traffic, tuning, wait};
use atelier_e2e::{plugin, with_namespace};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use crate::ALONE;

const FILE: &str = "talks.jsonl";

/// Talks of a kind that does a model no harm.
fn talks(day: u32) -> Result<String> {
    let mut lines = String::new();
    for n in 0..60 {
        let record = json!({
            "prompt": format!("Which room is meeting {n} of day {day} in?"),
            "completion": format!("Meeting {n} of day {day} is in room {}.", n % 7 + 1),
        });
        writeln!(lines, "{record}")?;
    }
    Ok(lines)
}

/// Whatever is asked, the same nonsense is said.
fn poison() -> Result<String> {
    let mut lines = String::new();
    for n in 0..60 {
        let asked = [
            "What is the capital of",
            "Who wrote",
            "How many legs has",
            "What colour is",
        ][n % 4];
        let record = json!({"prompt": format!("{asked} thing {n}?"), "completion": "zq zq zq zq zq zq zq zq"});
        writeln!(lines, "{record}")?;
    }
    Ok(lines)
}

/// A training in each minute on whatever the store has then.
fn nightly() -> Value {
    let mut spec = tuning::on_dialogues("base", "unused");
    let uri = format!("s3://{}/{FILE}", s3::BUCKET);
    spec["dataset"]["sources"] =
        json!([{"name": "talks", "objectStore": {"uri": uri, "credentialsSecretRef": {"name": "store"}}}]);
    spec["dataset"]["format"] = json!("PromptCompletion");
    spec["hyperparameters"]["learningRate"] = json!("3e-4");
    spec["schedule"] = json!({"cron": "* * * * *"});
    spec
}

fn assistant() -> Value {
    let mut spec = model::with_source(json!({"fineTuneJob": {"name": "nightly"}}));
    spec["engine"]["atelier"]["maxConcurrentSequences"] = json!(4);
    spec["rollout"] = json!({
        "strategy": "Canary",
        "canary": {"steps": [{"weight": 50, "pause": "5s"}]},
        "gates": {
            "evaluation": {"suites": [{"name": "facts", "minScore": "0.2", "maxRegression": "0.2"}]},
            "shadow": {"template": "usual"},
        },
    });
    spec
}

/// Waits for a run on other data than before, and stops the clock.
async fn published(job: &Tuning, before: Option<&str>) -> Result<String> {
    job.patch(json!({"spec": {"schedule": {"suspend": false}}})).await?;
    let output = wait::within(std::time::Duration::from_secs(900), "another output", async || {
        let status = job.status().await?;
        ensure!(status.phase != Some(Phase::Failed), "{status:?}");
        Ok(status
            .output
            .map(|it| it.digest)
            .filter(|digest| Some(digest.as_str()) != before))
    })
    .await?;
    job.patch(json!({"spec": {"schedule": {"suspend": true}}})).await?;
    println!("published {output}");
    Ok(output)
}

/// What a version went through, as `kubectl atelier versions` shows it.
async fn history(namespace: &Namespace) -> Result<String> {
    plugin::succeed(&["versions", "m", "--namespace", &namespace.name]).await
}

#[tokio::test]
#[ignore = "several trainings: cargo xtask e2e verdicts"]
async fn what_is_learned_overnight_serves_after_all_gates_and_poison_does_not() -> Result<()> {
    let _alone = ALONE.lock().await;
    with_namespace("chain", async |namespace| {
        installation::with_database().await?;
        let server = S3Server::start().await?;
        let secret = json!({"metadata": {"name": "store"}, "stringData": server.settings()});
        namespace.create_object::<Secret>(secret).await?;
        server.put(FILE, talks(1)?).await?;
        let compare = json!({
            "primary": {"metric": "Errors", "margin": "10%"},
            "guardrails": [{"metric": "Length", "margin": "80%"}],
        });
        Shadow::template(
            &namespace,
            "usual",
            "m",
            &compare,
            &json!({"minPairs": 30, "maxPairs": 800}),
        )
        .await?;
        Model::create(&namespace, "base", model::bundled())
            .await?
            .ready()
            .await?;
        let model = Model::create(&namespace, "m", assistant()).await?;
        let job = Tuning::create(&namespace, "nightly", nightly()).await?;
        let first_output = published(&job, None).await?;
        model.ready().await?;
        let first = model.version().await?;
        println!("the first version, {first}, serves");

        // Users never stop asking from here on.
        let gateway = namespace.gateway().await?;
        let address = model.address();
        let ask = move |user, number| shadow::question(&address, (user, number), 8, 0.0);
        let traffic = Traffic::asking(&gateway, 2, ask).await?;

        server.put(FILE, talks(2)?).await?;
        let second_output = published(&job, Some(&first_output)).await?;
        let mut seen = Vec::new();
        wait::within(
            std::time::Duration::from_secs(1200),
            "the second version to serve",
            async || {
                let status = model.get().await?.status.unwrap_or_default();
                let newest = status.versions.iter().find(|it| it.name != first);
                if let Some(state) = newest.map(|it| it.state).filter(|state| seen.last() != Some(state)) {
                    println!("the second version is {state:?}");
                    seen.push(state);
                }
                let progressing = api::conditions::find(&status.conditions, types::PROGRESSING);
                if let Some(found) = progressing.filter(|it| it.reason.starts_with("Shadow")) {
                    println!("{}: {}", found.reason, found.message);
                }
                Ok((model.version().await? != first).then_some(()))
            },
        )
        .await?;
        ensure!(
            seen.contains(&VersionState::Evaluating),
            "it was not evaluated: {seen:?}"
        );
        ensure!(seen.contains(&VersionState::Canary), "it had no canary: {seen:?}");
        let second = model.version().await?;
        let comparisons = namespace
            .api::<api::ShadowDeployment>()
            .list(&Default::default())
            .await?;
        let made = comparisons
            .iter()
            .find(|it| it.spec.candidate.version.as_deref() == Some(&second))
            .context("the second version was not compared")?;
        let verdict = made.status.as_ref().and_then(|status| status.verdict);
        ensure!(verdict == Some(api::shadowdeployment::Verdict::Promote), "{made:#?}");
        println!("{}", history(&namespace).await?);

        // Poison is learned well, and stops before anybody is told any of it.
        server.put(FILE, poison()?).await?;
        job.patch(json!({"spec": {"hyperparameters": {"learningRate": "2e-3", "steps": 60}}}))
            .await?;
        published(&job, Some(&second_output)).await?;
        let failed = model.condition(types::EVALUATED, "False", "EvaluationFailed").await?;
        println!("{}", failed.message);
        println!("{}", history(&namespace).await?);
        ensure!(failed.message.contains("facts"), "{}", failed.message);
        ensure!(model.version().await? == second, "poison serves");
        traffic.answers(3).await?;
        let answered = traffic.stop_without_failure().await?;
        println!("{answered} answers to users, 0 of them failed");
        Ok(())
    })
    .await
}
