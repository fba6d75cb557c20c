//! Rooms, which take the chart's database. Cases run side by side.

mod everyday;
mod gone;
mod matrix;
mod redteam;
mod revoked;

use anyhow::Result;
use atelier_e2e::{Model, Namespace, model, room, with_namespace};

/// The same as [`with_namespace`], with a database and an encoder called `minilm`.
async fn with_encoder(name: &str, case: impl AsyncFnOnce(Namespace) -> Result<()>) -> Result<()> {
    with_namespace(name, async |namespace| {
        room::with_database().await?;
        Model::create(&namespace, "minilm", model::encoder())
            .await?
            .ready()
            .await?;
        case(namespace).await
    })
    .await
}
