//! Where data to train on come from, and what happens when they do not come.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use api::finetunejob::Phase;
use atelier_e2e::database::DatabaseServer;
use atelier_e2e::s3::{self, S3Server};
use atelier_e2e::{Model, Tuning, model, tuning, with_namespace};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

const ROWS: usize = 120;

/// A short training on one source.
fn on(source: Value, format: &str) -> Value {
    let mut spec = tuning::on_dialogues("base", "unused");
    spec["dataset"]["sources"] = json!([source]);
    spec["dataset"]["format"] = json!(format);
    spec["hyperparameters"]["steps"] = json!(3);
    spec["hyperparameters"]["batchTokens"] = json!(128);
    if format == "Text" {
        spec["objective"] = json!("CausalLM");
    }
    spec
}

#[tokio::test]
async fn rows_of_a_database_are_learned_and_left_alone() -> Result<()> {
    with_namespace("sql", async |namespace| {
        Model::create(&namespace, "base", model::bundled()).await?;
        let database = DatabaseServer::start(&namespace).await?;
        let made = format!(
            "CREATE TABLE parts (id int PRIMARY KEY, name text, price numeric);\n\
             INSERT INTO parts SELECT n, 'bolt number ' || n || ' of the long shelf', n / 2.0 \
             FROM generate_series(1, {ROWS}) AS n;\n\
             ALTER TABLE parts OWNER TO reader;\n"
        );
        database.sql(&made).await?;
        let source = |query: &str| {
            json!({"name": "parts", "sql": {
                "connectionSecretRef": database.connection(), "query": query,
                "descriptions": {"name": "Name of the part", "price": "Price in euros"},
            }})
        };
        let reads = on(source("SELECT name, price FROM parts ORDER BY id"), "Text");
        let reads = Tuning::create(&namespace, "reads", reads).await?;
        let writes = "WITH gone AS (DELETE FROM parts RETURNING name, price) SELECT * FROM gone";
        let writes = Tuning::create(&namespace, "writes", on(source(writes), "Text")).await?;
        let breaks = "SELECT 1) AS one; DELETE FROM parts; SELECT (2";
        let breaks = Tuning::create(&namespace, "breaks", on(source(breaks), "Text")).await?;

        let why = writes.failed().await?;
        ensure!(why.contains("tries to write"), "{why}");
        let why = breaks.failed().await?;
        ensure!(why.contains("sql.query"), "{why}");
        let status = reads.succeeded().await?;
        let dataset = status.dataset.context("nothing is told of the data")?;
        ensure!(usize::try_from(dataset.documents)? == ROWS, "{dataset:?}");
        let left = database.sql("SELECT count(*) FROM parts").await?;
        ensure!(left == ROWS.to_string(), "{left} rows are left");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_store_that_is_away_is_waited_for() -> Result<()> {
    with_namespace("store-away", async |namespace| {
        Model::create(&namespace, "base", model::bundled()).await?;
        let mut server = S3Server::start().await?;
        let mut lines = String::new();
        for n in 0..40 {
            let record = json!({"prompt": format!("What is {n} plus {n}?"), "completion": format!("It is {}.", n + n)});
            writeln!(lines, "{record}")?;
        }
        server.put("sums.jsonl", lines.clone()).await?;
        let incomplete = "{\"prompt\": \"What is missing here?\"}\n".repeat(80);
        server.put("incomplete.jsonl", format!("{lines}{incomplete}")).await?;
        server.stop()?;
        let secret = json!({"metadata": {"name": "store"}, "stringData": server.settings()});
        namespace.create_object::<Secret>(secret).await?;
        let source = |key: &str| {
            let uri = format!("s3://{}/{key}", s3::BUCKET);
            json!({"name": "sums", "objectStore": {"uri": uri, "credentialsSecretRef": {"name": "store"}}})
        };

        let mut sums = on(source("sums.jsonl"), "PromptCompletion");
        sums["suspend"] = json!(true);
        let sums = Tuning::create(&namespace, "sums", sums).await?;
        sums.until("to be suspended", |status| status.phase == Some(Phase::Suspended))
            .await?;
        sums.patch(json!({"spec": {"suspend": false}})).await?;
        sums.until("to be told that the store is away", |status| {
            let told = |text: &str| status.conditions.iter().any(|it| it.message.contains(text));
            status.phase == Some(Phase::Preparing) && told("sums.jsonl")
        })
        .await?;
        server.start_again().await?;
        let status = sums.succeeded().await?;
        ensure!(status.output.is_some(), "{status:?}");

        let incomplete = on(source("incomplete.jsonl"), "PromptCompletion");
        let why = Tuning::create(&namespace, "incomplete", incomplete)
            .await?
            .failed()
            .await?;
        ensure!(
            why.contains("incomplete.jsonl:41") && why.contains("completion"),
            "{why}"
        );
        Ok(())
    })
    .await
}
