//! The bundled model from an image volume: what `cargo xtask up` shows.

use anyhow::{Result, ensure};
use api::conditions::types;
use atelier_e2e::{Model, model, with_namespace};

const QUESTION: &str = "Name the capital city of France.";

#[tokio::test]
async fn the_bundled_model_answers() -> Result<()> {
    with_namespace("quickstart", async |namespace| {
        let model = Model::create(&namespace, "smollm2", model::bundled()).await?;
        let object = model.ready().await?;
        let gateway = namespace.gateway().await?;

        let streamed = gateway.stream(&model.address(), QUESTION, 32).await?;
        ensure!(streamed.text.contains("Paris"), "{streamed:?}");
        ensure!(
            streamed.done && streamed.finish_reason.as_deref() == Some("stop"),
            "{streamed:?}"
        );
        let whole = gateway.ask(&model.address(), QUESTION).await?;
        ensure!(whole == streamed.text, "streamed {:?}, whole {whole:?}", streamed.text);
        // By the shortest name that means it alone among those this caller may ask.
        ensure!(gateway.models().await? == [model.name.as_str()]);

        let status = object.status.unwrap_or_default();
        for type_ in [types::READY, types::WEIGHTS_READY, types::SERVING] {
            let found = api::conditions::is_true(&status.conditions, type_);
            ensure!(found, "{type_} is not true: {:#?}", status.conditions);
        }
        let [version] = &status.versions[..] else {
            anyhow::bail!("one version is expected: {:#?}", status.versions)
        };
        ensure!(Some(&version.name) == status.current_version.as_ref());
        let digest = version.digest.as_deref().unwrap_or_default();
        ensure!(digest.starts_with("sha256:b179c9523d0e6a0f"), "{digest}");
        let weights = version
            .weights
            .as_ref()
            .map(|weights| (&weights.architecture[..], &weights.quantization[..]));
        ensure!(weights == Some(("llama", "Q4_1")), "{weights:?}");
        let estimate = status.estimate.unwrap_or_default();
        // 30 blocks, 3 key-value heads of 64, keys and values, 2 bytes each.
        ensure!(estimate.kv_per_token == 30 * 3 * 64 * 2 * 2, "{estimate:?}");
        ensure!(status.ready_replicas == Some(1));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn kubectl_shows_version_state_url_and_age() -> Result<()> {
    with_namespace("columns", async |namespace| {
        let model = Model::create(&namespace, "smollm2", model::bundled()).await?;
        model.ready().await?;
        let args = ["get", "llm", "--namespace", &namespace.name];
        let table = atelier_e2e::kubectl::succeed(&args, "").await?;
        let mut lines = table.lines();
        let header: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
        for column in ["NAME", "VERSION", "STATE", "READY", "URL", "AGE"] {
            ensure!(header.contains(&column), "no column {column} in\n{table}");
        }
        let row = lines.next().unwrap_or_default();
        ensure!(
            row.contains(&model.version().await?) && row.contains("Serving"),
            "{table}"
        );
        ensure!(!row.contains("<none>"), "{table}");
        let events = ["get", "events", "--namespace", &namespace.name];
        let events = atelier_e2e::kubectl::succeed(&events, "").await?;
        ensure!(events.contains("llmmodel/smollm2"), "{events}");
        Ok(())
    })
    .await
}
