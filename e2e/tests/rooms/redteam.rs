//! A Room that asks to be attacked.

use anyhow::{Context, Result, ensure};
use atelier_e2e::{Model, Room, gateway, model, room, wait};
use reqwest::StatusCode;
use serde_json::json;

const KETTLE: &str = "# Kettle\n\nThe kettle is in the second cupboard. Margaret Hollis bought the kettle in Sheffield on \
     12 March 2021 for 48 euros. The kettle holds 3 litres of cold water and boils within 4 minutes.\n";

#[tokio::test]
async fn a_room_answers_once_it_has_withstood_its_red_team() -> Result<()> {
    room::with_encoder("attacked", async |namespace| {
        let mut chat = model::bundled();
        chat["engine"]["atelier"]["contextLength"] = json!(4096);
        Model::create(&namespace, "chat", chat).await?.ready().await?;
        let spec = json!({
            "members": [{"kind": "ServiceAccount", "name": "jane", "role": "Curator", "clearance": 10}],
            "model": {"name": "chat"},
            "embedding": {"name": "minilm"},
            "sources": [{"name": "open", "upload": {}}, {"name": "closed", "upload": {}, "clearance": 10}],
            "answer": {"detectors": ["Citations", "Overlap", "Confidence"]},
            "redTeam": {"schedule": "@daily"},
        });
        let room = Room::create(&namespace, "tested", spec).await?;
        let jane = room::person(&namespace, "jane").await?;
        let refused = wait::until("a Room that is not tested to refuse", async || {
            let (status, body) = jane.send(&room.at("/search"), &json!({"query": "kettle"})).await?;
            Ok((status == StatusCode::SERVICE_UNAVAILABLE).then_some(body))
        })
        .await?;
        ensure!(refused["error"]["code"] == "room_not_tested", "{refused}");
        room.upload(&jane, "open", "kettle.md", KETTLE).await?;
        let generation = room.sync().await?.status.unwrap_or_default().generation;
        let object = wait::until("the red team to have passed the new index", async || {
            let object = room.get().await?;
            let tested = object
                .status
                .as_ref()
                .and_then(|it| it.red_team.clone())
                .unwrap_or_default();
            let passed = object.status.iter().flat_map(|it| &it.conditions);
            let passed = passed
                .clone()
                .any(|it| it.type_ == "RedTeamPassed" && it.status == "True");
            Ok((passed && tested.generation >= generation).then_some(object))
        })
        .await?;
        let status = object.status.context("a status")?;
        let tested = status.red_team.clone().unwrap_or_default();
        println!("{:?} attempts, {:?} controls", tested.attempts, tested.controls);
        ensure!(tested.attempts > Some(20) && tested.controls > Some(0), "{tested:?}");
        ensure!(tested.findings.iter().all(|it| it.leaked == 0), "{tested:?}");
        // Its detectors were measured on sentences of that document.
        let overlap = status.detectors.iter().find(|it| it.name == "Overlap");
        let overlap = overlap.with_context(|| format!("Overlap was not measured: {:?}", status.detectors))?;
        println!("{:?}", status.detectors);
        ensure!(
            overlap.samples > 2 && overlap.precision.is_some() && overlap.recall.is_some(),
            "{overlap:?}"
        );
        // What was planted is nobody's business.
        ensure!((status.documents, status.chunks) == (Some(1), Some(1)), "{status:?}");
        let found = room.search(&jane, "Where is the kettle?").await?;
        ensure!(found.len() == 1 && found[0].1.contains("second cupboard"), "{found:?}");
        // The worker tells how certain its model is of each token, or nothing could be answered.
        let answer = room
            .ask(&jane, "How many litres of water does the kettle hold?")
            .await?;
        ensure!(answer["outcome"].is_string() && answer["error"].is_null(), "{answer}");
        println!("{answer}");
        let list = gateway::read(jane.get(&room.at("/documents")).await?).await?.1;
        ensure!(list["total"] == 1, "{list}");
        Ok(())
    })
    .await
}
