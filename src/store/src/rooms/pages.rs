//! Pictures of pages, for citations of scans and for what was set aside.

use rooms::{Grant, Verb};
use sqlx::Row as _;

use super::enter::{Access, Purpose, Sees, enter};
use super::error::{Error, Unfit};
use super::inside::names;
use super::limits;
use crate::Database;

/// A picture of a page.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// `image/png`, `image/jpeg` or `image/webp`: nothing that a browser would run.
    pub media_type: String,
    /// Its bytes, 4 MiB at most.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({}, {} bytes)", self.media_type, self.bytes.len())
    }
}

impl Picture {
    pub(super) fn check(&self) -> Result<(), Error> {
        if !["image/png", "image/jpeg", "image/webp"].contains(&&*self.media_type) {
            return Err(Unfit::Stranger("a picture of this type").into());
        }
        let (found, most) = (self.bytes.len(), limits::PICTURE);
        if found > most {
            let what = "a picture";
            return Err(Unfit::Long { what, found, most }.into());
        }
        Ok(())
    }
}

/// Those of what is set aside are for curators alone.
const SELECT: &str = "
    SELECT d.room, d.id, d.clearance, d.acl, p.clearance AS marked, p.media_type, p.picture
    FROM room_document d
    JOIN room_content k ON k.room = $1 AND k.generation = $2 AND k.document = d.id
    JOIN room_page p ON p.room = $1 AND p.document = d.id AND p.digest = k.digest AND p.page = $7
    WHERE d.room = $1 AND d.source = $3 AND d.name = $4 AND d.clearance <= $5 AND (d.acl IS NULL OR d.acl && $6)
        AND ($8 AND d.state <> 'deleted' OR d.state = 'present' AND k.reason IS NULL)";

/// The picture of a page of a document of the generation that answers, if there is one. One that is hidden and one that is
/// not there are the same.
///
/// # Errors
/// See [`Error`].
pub async fn picture(
    database: &Database,
    grant: &Grant,
    source: &str,
    name: &str,
    page: u32,
) -> Result<Option<Picture>, Error> {
    let purpose = Purpose {
        verbs: &[Verb::Search, Verb::Ask, Verb::RedTeam, Verb::Curate],
        sees: Sees::Granted,
        access: Access::Read,
    };
    let (Ok(page), false) = (i32::try_from(page), source.contains('\0') || name.contains('\0')) else {
        return Ok(None);
    };
    let mut inside = enter(database, grant, purpose).await?;
    let row = sqlx::query(SELECT)
        .bind(inside.room)
        .bind(inside.head.live)
        .bind(source)
        .bind(name)
        .bind(i16::from(grant.clearance().0))
        .bind(names(grant))
        .bind(page)
        .bind(grant.verb() == Verb::Curate)
        .fetch_optional(&mut *inside.transaction)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let id = row.try_get("id")?;
    let (clearance, _) = inside.seen(grant, &row, "a page", id)?;
    if row.try_get::<i16, _>("marked")? != i16::from(clearance.0) {
        return Err(inside.disagree("a page", id));
    }
    Ok(Some(Picture {
        media_type: row.try_get("media_type")?,
        bytes: row.try_get("picture")?,
    }))
}
