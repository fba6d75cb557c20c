//! What is planted for the red team: a canary for each source, and baits beside the first one.
//!
//! They go the way of all other documents, from a file through a process of its own to chunks with vectors, and differ from
//! them by their lists of names alone: nobody is whom those name ([`rooms::redteam`]). What a canary says is drawn for this
//! generation and kept nowhere else.

use std::path::Path;

use protocol::ingest::IngestSource;
use rooms::redteam::{Bait, Canary, bait_acl, canary_acl};
use rooms::{Acl, Clearance};
use sha2::{Digest as _, Sha256};

use super::acl::Rights;
use super::found::{Content, Found};
use super::push::Push;
use super::read::read;
use super::source::Filler;
use crate::failure::{Result, disk};

/// Plants what belongs to these sources, in the Room with this uid.
///
/// # Errors
/// When the gateway or the model is not there. A source that the gateway takes nothing of gets nothing.
pub async fn plant(filler: &Filler<'_>, room: &str, sources: &[IngestSource], directory: &Path) -> Result<()> {
    let generation = filler.filling.generation();
    let mut is_baited = false;
    for source in sources {
        let secret: [u8; 32] = rand::random();
        let clearance = Clearance(source.clearance);
        let canary = Canary::planted(&secret, room, generation, &source.name, clearance);
        let mut documents = vec![(canary.document(), canary.text(), canary_acl())];
        if !is_baited {
            let baits = Bait::of(&canary).into_iter();
            documents.extend(baits.map(|bait| (bait.document, bait.text, bait_acl())));
        }
        filler.counts.begin(&source.name);
        let planted = source_of(filler, source, documents, directory).await;
        // Nobody has brought them, so nobody is told.
        filler.counts.end();
        match planted {
            Ok(()) => is_baited = true,
            Err(failure) if failure.retryable => return Err(failure),
            // A spec may have changed since the plan was made. Whoever looks for what is missing finds it missing.
            Err(failure) => tracing::warn!(source = source.name, "nothing is planted: {}", failure.message),
        }
    }
    Ok(())
}

async fn source_of(
    filler: &Filler<'_>,
    source: &IngestSource,
    documents: Vec<(String, String, Acl)>,
    directory: &Path,
) -> Result<()> {
    let mut read_documents = Vec::new();
    for (name, text, acl) in documents {
        let path = directory.join(&name);
        std::fs::write(&path, &text).map_err(disk("write", &path))?;
        let found = found(&name, &text, source.clearance, &acl, &path);
        // As if a curator had released it: it tells models what to do, and is to get to them.
        let released = Some(found.digest.clone());
        read_documents.push(read(filler.readers.clone(), found, None, released, filler.filling).await?);
    }
    let push = Push {
        filling: filler.filling,
        embedder: filler.embedder,
        counts: filler.counts,
        source: &source.name,
        read: filler.filling.begun_at(),
    };
    push.documents(read_documents).await
}

fn found(name: &str, text: &str, clearance: u8, acl: &Acl, path: &Path) -> Found {
    Found {
        name: name.to_owned(),
        file: name.to_owned(),
        media_type: Some("text/plain".into()),
        origin: None,
        about: String::new(),
        bytes: text.len() as u64,
        digest: hex::encode(Sha256::digest(text)),
        rights: Rights {
            clearance,
            acl: acl.names().cloned(),
        },
        content: Content::File(path.to_owned()),
        refused: None,
    }
}
