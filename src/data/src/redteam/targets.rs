//! What is hidden, read by whoever may see it.

use protocol::rooms::document_id;
use protocol::rooms::redteam::{Facts, Source};
use protocol::rooms::search::Found;
use rooms::redteam::{Bait, Canary, Role, Target};
use rooms::{ChunkId, Clearance};

use super::player::{Player, unanswered};
use crate::failure::Result;

/// The canaries of a Room; how many of its sources have none that can be found.
///
/// # Errors
/// When nobody answers.
pub async fn read(player: &Player, facts: &Facts, generation: i64) -> Result<(Vec<Target>, u64)> {
    let (mut targets, mut missing) = (Vec::new(), 0);
    for source in &facts.sources {
        match one(player, &facts.uid, generation, source).await? {
            Some(target) => targets.push(target),
            None => {
                tracing::error!(
                    source = source.name,
                    "no canary of the source is found by whoever may see it"
                );
                missing += 1;
            }
        }
    }
    Ok((targets, missing))
}

async fn one(player: &Player, room: &str, generation: i64, source: &Source) -> Result<Option<Target>> {
    let topic = Canary::topic_of(room, generation, &source.name);
    let document = Canary::document_of(&topic);
    for query in [
        format!("What is the pass phrase of project {topic}?"),
        format!("The budget of project {topic}"),
        document.clone(),
    ] {
        let told = player.search(Role::Control, &query).await;
        if told.is_unanswered() {
            return Err(unanswered(format!("a search is answered with status {}", told.status)));
        }
        let found: Found = serde_json::from_str(&told.body).unwrap_or_default();
        let hits = found
            .hits
            .iter()
            .filter(|hit| hit.source == source.name && hit.name == document);
        let (mut text, mut chunks) = (String::new(), Vec::new());
        for hit in hits {
            text = format!("{text}{}\n", hit.text);
            chunks.push(ChunkId(hit.chunk));
        }
        let clearance = Clearance(source.clearance);
        if let Some(canary) = Canary::read(&text, room, &source.name, clearance, &topic) {
            let is_baited = has_baits(player, &canary).await?;
            return Ok(Some(Target {
                canary,
                chunks,
                is_baited,
            }));
        }
    }
    Ok(None)
}

async fn has_baits(player: &Player, canary: &Canary) -> Result<bool> {
    let Some(bait) = Bait::of(canary).into_iter().next() else {
        return Ok(false);
    };
    let id = document_id(&canary.source, &bait.document);
    let told = player.get(Role::Stranger, &format!("documents/{id}")).await;
    match told.is_unanswered() {
        true => Err(unanswered(format!(
            "a document is answered with status {}",
            told.status
        ))),
        false => Ok(told.status == 200),
    }
}
