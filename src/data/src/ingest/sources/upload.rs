//! What people have uploaded: the gateway knows it already.

use super::Listing;
use crate::documents;
use crate::failure::Result;
use crate::ingest::acl::Rights;
use crate::ingest::found::{Content, Found};

pub(super) async fn uploads(max_bytes: u64, listing: &Listing<'_>) -> Result<Vec<Found>> {
    let uploads = listing.filling.uploads(&listing.source.name).await?;
    let most = max_bytes.min(listing.limits.bytes);
    let found = uploads.into_iter().map(|upload| Found {
        name: upload.name,
        origin: None,
        media_type: Some(upload.media_type).filter(|media_type| !media_type.is_empty()),
        about: String::new(),
        bytes: upload.bytes,
        digest: upload.digest,
        rights: Rights {
            clearance: upload.clearance.max(listing.source.clearance),
            acl: upload.acl.map(|names| names.into_iter().collect()),
        },
        content: Content::Upload(upload.id),
        refused: (upload.bytes > most).then(|| documents::too_large(upload.bytes, most)),
        file: upload.file,
    });
    Ok(found.collect())
}
