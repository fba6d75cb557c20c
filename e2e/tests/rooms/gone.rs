//! A Room that is deleted leaves nothing behind.

use anyhow::{Result, ensure};
use atelier_e2e::{Room, installation, room, wait};
use serde_json::json;

/// Rows of all tables but those of the audit trail that have one of two texts in them.
const ROWS: &str = "select coalesce(sum((xpath('/row/n/text()', query_to_xml(format('select count(*) as n from %I.%I t \
    where to_jsonb(t)::text ~ %L', table_schema, table_name, 'WORD|HEX'), false, true, '')))[1]::text::bigint), 0) \
    from information_schema.tables where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', \
    'information_schema') and table_name not like 'audit%'";

/// How many rows have a word, as text or as bytes, which PostgreSQL prints in hexadecimal.
async fn rows_with(word: &str) -> Result<u64> {
    let statement = ROWS.replace("WORD", word).replace("HEX", &hex::encode(word));
    Ok(installation::sql(&statement).await?.trim().parse()?)
}

#[tokio::test]
async fn a_room_that_is_deleted_leaves_nothing_behind() -> Result<()> {
    room::with_encoder("gone", async |namespace| {
        let spec = json!({
            "members": [{"kind": "ServiceAccount", "name": "jane", "role": "Curator"}],
            "embedding": {"name": "minilm"},
            "sources": [{"name": "desk", "upload": {"maxSize": "1Mi"}}],
        });
        let room = Room::create(&namespace, "short", spec.clone()).await?;
        let jane = room::person(&namespace, "jane").await?;
        wait::until("the curator to be let in", async || {
            Ok(jane.get(&room.at("")).await?.status().is_success().then_some(()))
        })
        .await?;
        let word = format!("xylophone{}", namespace.name.replace('-', ""));
        room.upload(
            &jane,
            "desk",
            "note.txt",
            &format!("The instrument is a {word}, in blue."),
        )
        .await?;
        room.sync().await?;
        let found = room.search(&jane, "Which instrument is it?").await?;
        ensure!(found.len() == 1 && found[0].1.contains(&word), "{found:?}");
        let before = rows_with(&word).await?;
        ensure!(before > 0, "the test looks where nothing is");

        room.delete().await?;
        let after = rows_with(&word).await?;
        ensure!(after == 0, "{after} rows still have the word");

        // Another one of the same name begins with nothing.
        let room = Room::create(&namespace, "short", spec).await?;
        room.sync().await?;
        let found = room.search(&jane, "Which instrument is it?").await?;
        ensure!(found.is_empty(), "{found:?}");
        Ok(())
    })
    .await
}
