//! Fills a Room, at the side.

mod add;
mod carry;
mod document;
mod known;
mod place;
mod publish;

use rooms::{Grant, index::MAX_DIMENSION};
use sqlx::Row as _;

pub use add::NewChunk;
pub use document::{DocumentId, NewDocument, Placed};
pub(super) use known::digest;
pub use known::{Known, known};
pub use publish::{Published, Verified};

use super::enter::{Access, FILL, Purpose, enter};
use super::error::{Error, Unfit};
use super::inside::Inside;
use super::limits;
use crate::Database;

/// What a generation is made with. Chunks are taken over from one that was made with the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// The embedding model's name.
    pub model: String,
    /// Its digest.
    pub digest: String,
    /// How many components its vectors have.
    pub dimension: usize,
    /// Everything else that decides what chunks are made of a document: cleaning, sizes, what is put before a text.
    pub settings: String,
}

/// Who fills a generation. Each of its steps is a transaction of its own.
#[derive(Debug)]
pub struct Writer {
    database: Database,
    generation: i64,
    fence: i64,
    recipe: Recipe,
}

const FENCE: &str = "UPDATE room SET fence = fence + 1 WHERE id = $1 RETURNING fence";

/// A writer that still goes on finds out at its next step.
const SUPERSEDE: &str = "UPDATE room_generation SET state = 'failed' WHERE room = $1 AND state = 'building'";

const BEGIN: &str = "
    WITH next AS (UPDATE room SET generations = generations + 1 WHERE id = $1 RETURNING generations)
    INSERT INTO room_generation (room, number, state, fence, model, model_digest, dimension, settings)
    SELECT $1, generations, 'building', $2, $3, $4, $5, $6 FROM next RETURNING number";

const RESUME: &str = "
    UPDATE room_generation SET fence = $2, touched = now()
    WHERE room = $1 AND state = 'building' AND model = $3 AND model_digest = $4 AND dimension = $5 AND settings = $6
    RETURNING number";

/// Whoever does this holds the Room's row: nobody begins meanwhile.
const STEP: &str = "
    UPDATE room_generation SET touched = now(), steps = steps + 1
    WHERE room = $1 AND number = $2 AND fence = $3 AND state = 'building'";

const ATTACH: &str = "
    SELECT room, model, model_digest, dimension, settings FROM room_generation
    WHERE room = $1 AND number = $2 AND fence = $3 AND state = 'building'";

impl Writer {
    /// Begins a generation. Whoever fills the Room so far fails.
    ///
    /// # Errors
    /// When there is no such Room.
    pub async fn begin(database: &Database, grant: &Grant, recipe: Recipe) -> Result<Self, Error> {
        check(&recipe)?;
        let mut inside = enter(database, grant, FILL).await?;
        let fence = fence(&mut inside).await?;
        sqlx::query(SUPERSEDE)
            .bind(inside.room)
            .execute(&mut *inside.transaction)
            .await?;
        let generation = Self::numbered(&mut inside, BEGIN, fence, &recipe).await?;
        let generation = generation.ok_or(Error::NoRoom)?;
        inside.commit().await?;
        Ok(Self::new(database, generation, fence, recipe))
    }

    /// Goes on with the generation that is building, if there is one of this recipe. Whoever fills it so far fails. What
    /// it has already, [`Self::carry`] says.
    ///
    /// # Errors
    /// When there is no such Room.
    pub async fn resume(database: &Database, grant: &Grant, recipe: Recipe) -> Result<Option<Self>, Error> {
        check(&recipe)?;
        let mut inside = enter(database, grant, FILL).await?;
        let fence = fence(&mut inside).await?;
        let Some(generation) = Self::numbered(&mut inside, RESUME, fence, &recipe).await? else {
            return Ok(None);
        };
        inside.commit().await?;
        Ok(Some(Self::new(database, generation, fence, recipe)))
    }

    /// The writer that an earlier request has begun, by what [`Self::token`] gave.
    ///
    /// # Errors
    /// [`Error::Fenced`] where another one has begun since, or the generation is not being filled any more.
    pub async fn attach(database: &Database, grant: &Grant, generation: i64, token: &str) -> Result<Self, Error> {
        let fence: i64 = token.parse().map_err(|_| Error::Fenced)?;
        let purpose = Purpose {
            access: Access::Read,
            ..FILL
        };
        let mut inside = enter(database, grant, purpose).await?;
        let row = sqlx::query(ATTACH)
            .bind(inside.room)
            .bind(generation)
            .bind(fence)
            .fetch_optional(&mut *inside.transaction)
            .await?;
        let row = row.ok_or(Error::Fenced)?;
        inside.own(&row, "a generation", generation)?;
        let recipe = Recipe {
            model: row.try_get("model")?,
            digest: row.try_get("model_digest")?,
            dimension: row.try_get::<i32, _>("dimension")?.unsigned_abs() as usize,
            settings: row.try_get("settings")?,
        };
        Ok(Self::new(database, generation, fence, recipe))
    }

    /// By which later requests go on.
    pub fn token(&self) -> String {
        self.fence.to_string()
    }

    /// How many components its vectors have.
    pub fn dimension(&self) -> usize {
        self.recipe.dimension
    }

    /// The number of the generation that it fills.
    pub fn generation(&self) -> i64 {
        self.generation
    }

    fn new(database: &Database, generation: i64, fence: i64, recipe: Recipe) -> Self {
        Self {
            database: database.clone(),
            generation,
            fence,
            recipe,
        }
    }

    async fn numbered(
        inside: &mut Inside<'_>,
        statement: &'static str,
        fence: i64,
        recipe: &Recipe,
    ) -> Result<Option<i64>, Error> {
        let row = sqlx::query(statement)
            .bind(inside.room)
            .bind(fence)
            .bind(&recipe.model)
            .bind(&recipe.digest)
            .bind(recipe.dimension as i32)
            .bind(&recipe.settings)
            .fetch_optional(&mut *inside.transaction)
            .await?;
        Ok(row.map(|row| row.try_get("number")).transpose()?)
    }

    /// A transaction of the writer, unless another one has begun.
    async fn step(&self, grant: &Grant) -> Result<Inside<'static>, Error> {
        let mut inside = enter(&self.database, grant, FILL).await?;
        let done = sqlx::query(STEP)
            .bind(inside.room)
            .bind(self.generation)
            .bind(self.fence)
            .execute(&mut *inside.transaction)
            .await?;
        if done.rows_affected() == 1 {
            Ok(inside)
        } else {
            Err(Error::Fenced)
        }
    }
}

async fn fence(inside: &mut Inside<'_>) -> Result<i64, Error> {
    let fence = sqlx::query_scalar(FENCE)
        .bind(inside.room)
        .fetch_one(&mut *inside.transaction)
        .await?;
    Ok(fence)
}

fn check(recipe: &Recipe) -> Result<(), Error> {
    limits::name("the name of a model", &recipe.model, limits::NAME)?;
    limits::name("the digest of a model", &recipe.digest, limits::NAME)?;
    limits::text("the settings of a generation", &recipe.settings, limits::TEXT)?;
    if recipe.dimension == 0 || recipe.dimension > MAX_DIMENSION {
        return Err(Unfit::Stranger("a dimension of vectors").into());
    }
    Ok(())
}
