//! How a contribution comes.

use std::fmt::Write as _;

use rooms::{Acl, Clearance, Grant};
use sha2::{Digest as _, Sha256};

use super::{CONTRIBUTE, Stored, read};
use crate::Database;
use crate::rooms::enter::{Access, Purpose, enter};
use crate::rooms::error::{Error, Unfit};
use crate::rooms::inside::column;
use crate::rooms::limits;
use crate::rooms::writer::DocumentId;

/// Of a part's bytes.
pub const MAX_PART: usize = 4 << 20;
/// Of a file's name.
const FILE: usize = 1024;

/// A document that somebody contributes.
#[derive(Clone, Debug, PartialEq)]
pub struct Upload {
    /// The source that takes it, as `spec.sources[].name` says.
    pub source: String,
    /// What its file is called.
    pub file: String,
    /// What its bytes are said to be.
    pub media_type: String,
    /// Clearance that it needs: its source's. Nobody adds what they would not see.
    pub clearance: Clearance,
    /// Who may see it.
    pub acl: Acl,
    /// Bytes of all contributions to the source, this one among them, past which nothing more is taken.
    pub most_of_all: u64,
}

/// A contribution that has not arrived yet.
#[derive(Debug)]
pub struct Arriving {
    database: Database,
    id: i64,
    source: String,
    most_of_all: u64,
    parts: i32,
    bytes: u64,
    sum: Sha256,
}

const BEGIN: &str = "
    INSERT INTO room_upload (room, id, source, name, file, media_type, author, clearance, acl)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/// Their author's alone.
const PART: &str = "
    WITH one AS (
        UPDATE room_upload SET parts = parts + 1, bytes = bytes + $5, at = now()
        WHERE room = $1 AND id = $2 AND author = $3 AND parts = $4 AND digest IS NULL
        RETURNING clearance
    )
    INSERT INTO room_upload_part (room, upload, part, clearance, content) SELECT $1, $2, $4, clearance, $6 FROM one";

/// What is on its way counts, and so does what will be replaced: until then there are both.
const ALL: &str = "SELECT coalesce(sum(bytes), 0)::bigint FROM room_upload WHERE room = $1 AND source = $2";

const REPLACED: [&str; 2] = [
    "DELETE FROM room_upload_part p USING room_upload o, room_upload n
    WHERE n.room = $1 AND n.id = $2 AND o.room = $1 AND o.source = n.source AND o.name = n.name AND o.digest IS NOT NULL
        AND p.room = $1 AND p.upload = o.id",
    "DELETE FROM room_upload o USING room_upload n
    WHERE n.room = $1 AND n.id = $2 AND o.room = $1 AND o.source = n.source AND o.name = n.name AND o.digest IS NOT NULL",
];

const FINISH: &str = "
    UPDATE room_upload SET digest = $5, at = now()
    WHERE room = $1 AND id = $2 AND author = $3 AND parts = $4 AND digest IS NULL
    RETURNING *";

impl Upload {
    /// Begins it. Each call takes a grant of its own: whoever is thrown out meanwhile does not finish.
    ///
    /// # Errors
    /// [`Error::Unfit`] for names that cannot be kept, and for a clearance above the grant's.
    pub async fn begin(&self, database: &Database, grant: &Grant) -> Result<Arriving, Error> {
        limits::name("the name of a source", &self.source, limits::SOURCE)?;
        limits::name("the name of a file", &self.file, FILE)?;
        limits::text("a media type", &self.media_type, limits::LINE)?;
        limits::rights(self.clearance, &self.acl)?;
        if self.clearance > grant.clearance() {
            return Err(Unfit::Stranger("a document that its author would not see").into());
        }
        let author = &grant.principal().user;
        let mut inside = enter(database, grant, CONTRIBUTE).await?;
        let id = DocumentId::draw().0;
        sqlx::query(BEGIN)
            .bind(inside.room)
            .bind(id)
            .bind(&self.source)
            .bind(name(author, &self.file))
            .bind(&self.file)
            .bind(&self.media_type)
            .bind(author)
            .bind(i16::from(self.clearance.0))
            .bind(column(&self.acl))
            .execute(&mut *inside.transaction)
            .await?;
        inside.commit().await?;
        Ok(Arriving {
            database: database.clone(),
            id,
            source: self.source.clone(),
            most_of_all: self.most_of_all,
            parts: 0,
            bytes: 0,
            sum: Sha256::new(),
        })
    }
}

/// The author as a digest: names of users are nobody's business.
fn name(author: &str, file: &str) -> String {
    let mut name = String::new();
    for byte in &Sha256::digest(author)[..8] {
        let _ = write!(name, "{byte:02x}");
    }
    name.push('/');
    name.push_str(file);
    name
}

impl Arriving {
    /// How many bytes have come. Whoever knows the source's limit has to stop past it.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next part, of up to [`MAX_PART`] bytes.
    ///
    /// # Errors
    /// [`Error::Unfit`] also where it was swept away meanwhile, or the grant is another one's. [`Error::Full`] where the
    /// source has no room for it; contributions that come at the same moment may lead past that by a part each.
    pub async fn push(&mut self, grant: &Grant, content: &[u8]) -> Result<(), Error> {
        let (found, most) = (content.len(), MAX_PART);
        if found > most {
            let what = "a part";
            return Err(Unfit::Long { what, found, most }.into());
        }
        let mut inside = enter(&self.database, grant, CONTRIBUTE).await?;
        let done = sqlx::query(PART)
            .bind(inside.room)
            .bind(self.id)
            .bind(&grant.principal().user)
            .bind(self.parts)
            .bind(found as i64)
            .bind(content)
            .execute(&mut *inside.transaction)
            .await?;
        if done.rows_affected() == 0 {
            return Err(Unfit::Stranger("a part").into());
        }
        // Others' are counted, whatever their clearance.
        inside.see_all().await?;
        let all: i64 = sqlx::query_scalar(ALL)
            .bind(inside.room)
            .bind(&self.source)
            .fetch_one(&mut *inside.transaction)
            .await?;
        if all.unsigned_abs() > self.most_of_all {
            return Err(Error::Full { most: self.most_of_all });
        }
        inside.commit().await?;
        self.parts += 1;
        self.bytes += found as u64;
        self.sum.update(content);
        Ok(())
    }

    /// All parts have come: from now on it is there for whoever fills the Room, in place of what the same author has added
    /// by that name.
    ///
    /// # Errors
    /// See [`Self::push`].
    pub async fn finish(self, grant: &Grant) -> Result<Stored, Error> {
        let purpose = Purpose {
            access: Access::Alone,
            ..CONTRIBUTE
        };
        let mut inside = enter(&self.database, grant, purpose).await?;
        // What it replaces may be narrower by now, and goes all the same: it is the author's own.
        inside.see_all().await?;
        for statement in REPLACED {
            sqlx::query(statement)
                .bind(inside.room)
                .bind(self.id)
                .execute(&mut *inside.transaction)
                .await?;
        }
        let row = sqlx::query(FINISH)
            .bind(inside.room)
            .bind(self.id)
            .bind(&grant.principal().user)
            .bind(self.parts)
            .bind(&self.sum.finalize()[..])
            .fetch_optional(&mut *inside.transaction)
            .await?;
        let row = row.ok_or(Unfit::Stranger("a contribution"))?;
        inside.own(&row, "a contribution", self.id)?;
        let stored = read(&row)?;
        inside.commit().await?;
        Ok(stored)
    }
}
