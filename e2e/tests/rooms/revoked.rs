//! Somebody who is let out in the middle of an answer.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use api::conditions::types;
use atelier_e2e::hosted::{Hosted, let_the_gateway_read};
use atelier_e2e::{Model, Room, room, wait};
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

const KEY: &str = "sk-of-this-test";
const SENTENCE: &str = "Every employee has 27 days of paid annual leave each year [1]. ";

#[tokio::test]
async fn an_answer_ends_when_its_reader_is_let_out() -> Result<()> {
    room::with_encoder("revoked", async |namespace| {
        let hosted = Hosted::endless(KEY, SENTENCE).await?;
        namespace
            .create_object::<Secret>(json!({"metadata": {"name": "keys"}, "stringData": {"api": KEY}}))
            .await?;
        let_the_gateway_read(&namespace).await?;
        Model::create(&namespace, "chat", hosted.spec()).await?;
        let curator = json!({"kind": "ServiceAccount", "name": "jane", "role": "Curator"});
        let reader = json!({"kind": "ServiceAccount", "name": "staff", "role": "Reader"});
        let spec = json!({
            "members": [curator, reader],
            "model": {"name": "chat"},
            "embedding": {"name": "minilm"},
            "sources": [{"name": "handbook", "upload": {}}],
            // What goes round in circles would end the answer, and is marked here.
            "answer": {"ungrounded": "Annotate"},
        });
        let room = Room::create(&namespace, "handbook", spec).await?;
        let (jane, staff) = (
            room::person(&namespace, "jane").await?,
            room::person(&namespace, "staff").await?,
        );
        wait::until("the curator to be let in", async || {
            Ok(jane.get(&room.at("")).await?.status().is_success().then_some(()))
        })
        .await?;
        room.upload(&jane, "handbook", "leave.md", &format!("# Leave\n\n{SENTENCE}\n"))
            .await?;
        room.sync().await?;
        room.condition(types::READY, "True").await?;

        let body = json!({"question": "How many days of leave does every employee have?", "stream": true});
        let mut stream = wait::until("an answer that goes on", async || {
            let response = staff.post(&room.at("/ask"), body.to_string()).await?;
            let status = response.status();
            match status.is_success() {
                true => Ok(Some(response)),
                false => anyhow::bail!("{status}: {}", response.text().await?),
            }
        })
        .await?;
        let mut told = String::new();
        while told.matches("27 days").count() < 3 {
            let piece = stream
                .chunk()
                .await?
                .with_context(|| format!("the answer ended by itself: {told}"))?;
            told += &String::from_utf8_lossy(&piece);
        }
        room.patch(json!({"spec": {"members": [curator]}})).await?;
        let since = Instant::now();
        while let Some(piece) = stream.chunk().await? {
            told += &String::from_utf8_lossy(&piece);
        }
        println!(
            "the answer ended {:.1} s after its reader was let out",
            since.elapsed().as_secs_f64()
        );
        ensure!(told.contains("room_not_found"), "it did not end for that: {told}");
        ensure!(
            !told.contains("\"citations\":[{"),
            "citations came all the same: {told}"
        );
        Ok(())
    })
    .await
}
