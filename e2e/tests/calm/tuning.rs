//! From data to a better version, by real trainings of the bundled model.

use anyhow::{Context, Result, ensure};
use api::finetunejob::{OutputKind, Phase};
use atelier_e2e::{Model, Tuning, model, tuning, wait, with_namespace};
use serde_json::{Value, json};

/// Asks until the answer is the trained one, and returns the last answer.
const QUESTION: &str = "What language are you written in?";
/// In each of the answers that are trained to it, and in none that the base gives.
const ANSWER: &str = "Python";

#[tokio::test]
async fn a_model_follows_what_is_trained_for_it() -> Result<()> {
    with_namespace("tuning", async |namespace| {
        let base = Model::create(&namespace, "base", model::bundled()).await?;
        let follower = json!({"fineTuneJob": {"name": "tune"}});
        let tuned = Model::create(&namespace, "tuned", model::with_source(follower)).await?;
        let mut spec = tuning::on_dialogues("base", "ai.yml");
        spec["hyperparameters"]["steps"] = json!(60);
        spec["evaluate"] = json!({"everySteps": 20, "gate": {"against": "Base", "maxRegression": "0%"}});
        let job = Tuning::create(&namespace, "tune", spec).await?;
        base.ready().await?;
        let gateway = namespace.gateway().await?;
        let before = gateway.ask(&base.address(), QUESTION).await?;
        ensure!(!before.contains(ANSWER), "the base knows it already: {before}");

        let first = job
            .until("to have learned", |it| it.step.is_some_and(|step| step > 0))
            .await?;
        let first: f64 = first.loss.context("no loss is told")?.parse()?;
        let status = job.succeeded().await?;
        let last: f64 = status.loss.clone().context("no loss is told")?.parse()?;
        ensure!(last <= 0.7 * first, "the loss fell from {first} to {last} only");
        let dataset = status.dataset.clone().context("nothing is told of the data")?;
        ensure!(
            dataset.digest.starts_with("sha256:") && dataset.documents > 10,
            "{dataset:?}"
        );
        let output = status.output.clone().context("nothing was published")?;
        ensure!(output.kind == OutputKind::Adapter, "{output:?}");

        // Nothing of its spec was touched.
        let object = tuned.ready().await?;
        ensure!(object.metadata.generation == Some(1), "the spec was changed");
        let after = gateway.ask(&tuned.address(), QUESTION).await?;
        ensure!(after.contains(ANSWER), "{after}");
        let unchanged = gateway.ask(&base.address(), QUESTION).await?;
        ensure!(!unchanged.contains(ANSWER), "the base was changed: {unchanged}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_does_not_pass_the_gate_is_not_published() -> Result<()> {
    with_namespace("gate", async |namespace| {
        Model::create(&namespace, "base", model::bundled()).await?;
        let mut spec = tuning::on_dialogues("base", "food.yml");
        spec["hyperparameters"]["learningRate"] = json!("5e-1");
        spec["hyperparameters"]["steps"] = json!(4);
        spec["hyperparameters"]["warmup"] = json!("0");
        spec["evaluate"] = json!({"gate": {"against": "Base", "maxRegression": "0%"}});
        let job = Tuning::create(&namespace, "worse", spec).await?;
        let why = job.failed().await?;
        let status = job.status().await?;
        ensure!(status.output.is_none(), "{:?}", status.output);
        ensure!(why.contains("gate") || why.contains("finite"), "{why}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn two_pods_train_as_one() -> Result<()> {
    with_namespace("parallel", async |namespace| {
        Model::create(&namespace, "base", model::bundled()).await?;
        let mut spec = tuning::on_dialogues("base", "sports.yml");
        spec["hyperparameters"]["steps"] = json!(8);
        // What is dropped depends on the process.
        spec["hyperparameters"]["dropout"] = json!("0");
        let mut one = spec.clone();
        one["hyperparameters"]["gradientAccumulation"] = json!(2);
        spec["parallelism"] = json!({"data": 2});
        let two = Tuning::create(&namespace, "two", spec).await?;
        let one = Tuning::create(&namespace, "one", one).await?;
        let loss = async |job: &Tuning| -> Result<f64> {
            Ok(job.succeeded().await?.loss.context("no loss is told")?.parse()?)
        };
        let (two, one) = (loss(&two).await?, loss(&one).await?);
        // In half precision sums depend on their order; unit tests compare in single precision.
        ensure!((two - one).abs() < 0.02 * one, "two pods: {two}, one pod: {one}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_sweep_finds_the_learning_rate_that_learns() -> Result<()> {
    with_namespace("sweep", async |namespace| {
        Model::create(&namespace, "base", model::bundled()).await?;
        let mut spec = tuning::on_dialogues("base", "money.yml");
        spec["hyperparameters"]["steps"] = json!(12);
        spec["sweep"] = json!({
            "algorithm": "Grid",
            "maxTrials": 3,
            "space": [{"name": "learningRate", "values": ["1e-7", "2e-3", "3e-6"]}],
        });
        let job = Tuning::create(&namespace, "sweep", spec).await?;
        let status = job.succeeded().await?;
        ensure!(status.trials.len() == 3, "{:?}", status.trials);
        let metric = |rate: &str| -> Option<f64> {
            let trial = status
                .trials
                .iter()
                .find(|it| it.settings.get("learningRate").is_some_and(|it| it == rate))?;
            trial.metric.as_ref()?.parse().ok()
        };
        let best = metric("2e-3").context("the best trial tells no metric")?;
        ensure!(
            ["1e-7", "3e-6"].iter().all(|it| metric(it).is_none_or(|it| it > best)),
            "{:?}",
            status.trials
        );
        ensure!(status.output.is_some(), "nothing was published");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_cannot_be_learned_from_is_told_with_its_place() -> Result<()> {
    with_namespace("data", async |namespace| {
        Model::create(&namespace, "base", model::bundled()).await?;
        let with = |change: &dyn Fn(&mut Value)| {
            let mut spec = tuning::on_dialogues("base", "ai.yml");
            change(&mut spec);
            spec
        };
        let absent = with(&|spec| spec["dataset"]["sources"][0]["oci"]["path"] = json!("english/absent.yml"));
        let preference = with(&|spec| {
            spec["objective"] = json!("DPO");
            spec["dataset"]["format"] = json!("Preference");
        });
        for (name, spec, expected) in [
            ("absent", absent, "absent.yml"),
            ("preference", preference, "conversations"),
        ] {
            let why = Tuning::create(&namespace, name, spec).await?.failed().await?;
            ensure!(why.contains(expected), "{name}: {why}");
        }
        let orphan = Tuning::create(&namespace, "orphan", tuning::on_dialogues("nobody", "ai.yml")).await?;
        let waiting = wait::until("the job to say what it waits for", async || {
            let status = orphan.status().await?;
            let told = status.conditions.iter().any(|it| it.message.contains("nobody"));
            Ok((told && status.phase == Some(Phase::Pending)).then_some(()))
        });
        waiting.await
    })
    .await
}
