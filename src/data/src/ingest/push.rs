//! Documents on their way into the generation.

use std::path::Path;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use protocol::quarantine::Reason;
use protocol::rooms::ingest::{NewChunk, NewDocument, Placed};
use protocol::rooms::{MAX_PICTURE, vector};

use super::chunks::Chunk;
use super::gateway::{Embedder, Filling, Unembedded};
use super::read::Read;
use super::report::Counts;
use crate::documents::{PagePicture, Refused};
use crate::failure::{Result, disk};

/// Chunks that are embedded and brought in one go: what is in memory of a document.
const WINDOW: usize = 256;
/// Pictures that are brought at once.
const PICTURES: usize = 4;
/// Bytes of titles, origins and reasons.
const LINE: usize = 1024;
const ORIGIN: usize = 4096;

/// Where documents go.
pub struct Push<'a> {
    /// The generation.
    pub filling: &'a Filling,
    /// The model.
    pub embedder: &'a Embedder,
    /// What is counted.
    pub counts: &'a Counts,
    /// The source.
    pub source: &'a str,
    /// When its rights were read.
    pub read: i64,
}

impl Push<'_> {
    /// Brings documents of the source.
    ///
    /// # Errors
    /// When the gateway or the model is not there.
    pub async fn documents(&self, documents: Vec<Read>) -> Result<()> {
        let placed = self
            .filling
            .place(self.source, self.read, documents.iter().map(described).collect())
            .await?;
        for (document, placed) in documents.into_iter().zip(placed) {
            self.counts.looked(1);
            match placed {
                Placed::Here { id } => self.document(id, document).await?,
                // A curator has spoken.
                Placed::Barred => {}
                Placed::Quarantined => self.counts.still_quarantined("Curator"),
            }
        }
        Ok(())
    }

    async fn document(&self, id: i64, mut document: Read) -> Result<()> {
        self.counts.count(|source| source.bytes += document.found.bytes);
        let directory = document.directory.take();
        if let Some(directory) = &directory {
            self.pictures(id, &document.pictures, directory.path()).await?;
        }
        if document.refused.is_none() {
            let chunks = std::mem::take(&mut document.chunks);
            match self.chunks(id, &chunks).await? {
                None => {
                    self.counts.count(|source| source.documents += 1);
                    return Ok(());
                }
                Some(said) => {
                    document.refused = Some(Refused {
                        reason: Reason::EmbeddingRefused,
                        detail: format!("has text that the embedding model does not take: {said}"),
                    });
                    // Placed once more, it has no chunks.
                    self.filling
                        .place(self.source, self.read, vec![described(&document)])
                        .await?;
                }
            }
        }
        if let Some(refused) = &document.refused {
            self.counts.quarantined(&document.found.name, refused);
        }
        Ok(())
    }

    /// Embeds and brings chunks; what the model says, if it does not take them.
    async fn chunks(&self, document: i64, chunks: &[Chunk]) -> Result<Option<String>> {
        let mut ordinal = 0;
        for window in chunks.chunks(WINDOW) {
            let texts: Vec<&str> = window.iter().map(|chunk| chunk.embedded.as_str()).collect();
            let vectors = match self.embedder.embed(&texts).await {
                Ok(vectors) => vectors,
                Err(Unembedded::Refused(said)) => return Ok(Some(said)),
                Err(Unembedded::Failed(failure)) => return Err(failure),
            };
            let new = window.iter().zip(vectors).map(|(chunk, components)| {
                ordinal += 1;
                NewChunk {
                    document,
                    ordinal: ordinal - 1,
                    text: chunk.text.clone(),
                    vector: vector::encode(&components),
                    place: chunk.place.clone(),
                    tokens: chunk.tokens,
                }
            });
            let added = self.filling.add(new.collect()).await?;
            self.counts.brought(added);
        }
        Ok(None)
    }

    async fn pictures(&self, document: i64, pictures: &[PagePicture], directory: &Path) -> Result<()> {
        let bring = pictures.iter().map(|picture| async move {
            let path = directory.join(&picture.file);
            let bytes = tokio::fs::read(&path).await.map_err(disk("read", &path))?;
            match bytes.len() > MAX_PICTURE {
                true => Ok(()),
                false => self.filling.picture(document, picture.page, "image/jpeg", bytes).await,
            }
        });
        // A list, and no mapped stream: only so does the compiler see that it may change threads.
        stream::iter(bring.collect::<Vec<_>>())
            .buffer_unordered(PICTURES)
            .try_collect::<()>()
            .await
    }
}

fn described(read: &Read) -> NewDocument {
    let cut = |text: &str, most: usize| text[..text.floor_char_boundary(most.min(text.len()))].replace('\0', "");
    NewDocument {
        name: read.found.name.clone(),
        digest: read.found.digest.clone(),
        clearance: read.found.rights.clearance,
        acl: read
            .found
            .rights
            .acl
            .as_ref()
            .map(|names| names.iter().cloned().collect()),
        title: read.title.as_deref().map(|title| cut(title, LINE)),
        origin: read.found.origin.as_deref().map(|origin| cut(origin, ORIGIN)),
        bytes: read.found.bytes,
        pages: read.pages,
        chunks: match read.refused {
            Some(_) => 0,
            None => read.chunks.len() as u32,
        },
        quarantined: read.refused.as_ref().map(|refused| refused.reason.to_string()),
    }
}
