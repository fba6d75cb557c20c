//! How Rooms end.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Postgres, Row as _, Transaction};

use super::enter::{User, guard};
use super::error::Error;
use super::life::{PARTITIONS, partition};
use super::limits::HIGHEST;
use crate::Database;

/// What went with a Room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Documents, also those that had been removed.
    pub documents: u64,
    /// Chunks of all generations.
    pub chunks: u64,
    /// Pictures of pages.
    pub pages: u64,
    /// Contributed documents.
    pub uploads: u64,
    /// What was kept of answers.
    pub answers: u64,
    /// What was said about them.
    pub feedback: u64,
}

/// In an order in which none refers to what is gone.
const FEEDBACK: &str = "
    DELETE FROM feedback f USING room_answer a WHERE a.room = $1 AND f.chain = a.chain AND f.seq = a.seq";
const TABLES: [&str; 8] = [
    "DELETE FROM room_answer WHERE room = $1",
    "DELETE FROM room_upload_part WHERE room = $1",
    "DELETE FROM room_upload WHERE room = $1",
    "DELETE FROM room_page WHERE room = $1",
    "DELETE FROM room_content WHERE room = $1",
    "DELETE FROM room_document WHERE room = $1",
    "DELETE FROM room_generation WHERE room = $1",
    "DELETE FROM room_source WHERE room = $1",
];

/// For a lock that others may hold; after it, the purge is to be tried again.
const PATIENCE: &str = "SELECT set_config('lock_timeout', '30s', true)";

/// Takes away all that belongs to a Room, also what is said about its answers. From the first moment on nobody enters it;
/// whoever is inside comes to an end before anything is taken away. It may be called again at any time, also where it
/// was interrupted, and says what was left to do. The audit trail has its own retention.
///
/// There is no grant for it: whom should one ask about a Room that is no more.
///
/// # Errors
/// When the database is not there, or somebody reads for too long: call it again.
pub async fn purge(database: &Database, uid: &str) -> Result<Purged, Error> {
    // A partition is detached outside of transactions, by one at a time.
    let mut connection = database.connect().await?;
    let Some(room) = close(&mut connection, uid).await? else {
        return Ok(Purged::default());
    };
    let purged = empty(&mut connection, uid, room).await?;
    drop_partition(&mut connection, room).await?;
    let mut transaction = inside(&mut connection, uid).await?;
    sqlx::query("DELETE FROM room WHERE id = $1")
        .bind(room)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(purged)
}

/// A transaction of the tables' owner that sees one Room.
async fn inside<'c>(connection: &'c mut PgConnection, uid: &str) -> Result<Transaction<'c, Postgres>, Error> {
    let mut transaction = guard(connection.begin().await?, uid, (HIGHEST, true), User::Owner).await?;
    sqlx::query(PATIENCE).execute(&mut *transaction).await?;
    Ok(transaction)
}

/// Lets nobody in any more, and waits for those who write. Gives the Room's number.
async fn close(connection: &mut PgConnection, uid: &str) -> Result<Option<i32>, Error> {
    let mut transaction = inside(connection, uid).await?;
    let room = sqlx::query_scalar("SELECT id FROM room WHERE uid = $1 FOR UPDATE")
        .bind(uid)
        .fetch_optional(&mut *transaction)
        .await?;
    sqlx::query("UPDATE room SET is_open = false WHERE uid = $1")
        .bind(uid)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(room)
}

async fn empty(connection: &mut PgConnection, uid: &str, room: i32) -> Result<Purged, Error> {
    let mut transaction = inside(connection, uid).await?;
    let settings = "SELECT set_config('atelier.room', $1, true), set_config('atelier.retention', 'on', true)";
    sqlx::query(settings)
        .bind(room.to_string())
        .execute(&mut *transaction)
        .await?;
    let mut gone = Vec::new();
    for statement in [FEEDBACK].into_iter().chain(TABLES) {
        let done = sqlx::query(statement).bind(room).execute(&mut *transaction).await?;
        gone.push(done.rows_affected());
    }
    let chunks: i64 = sqlx::query_scalar("SELECT count(*) FROM room_chunk WHERE room = $1")
        .bind(room)
        .fetch_one(&mut *transaction)
        .await?;
    // So that they are gone, however long somebody holds the partition that they were in.
    if is_there(&mut transaction, room).await? {
        let truncate = AssertSqlSafe(format!("TRUNCATE {}", partition(room)));
        sqlx::query(truncate).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    let [feedback, answers, _, uploads, pages, _, documents, ..] = gone[..] else {
        return Err(Error::Damaged("a purge"));
    };
    Ok(Purged {
        documents,
        chunks: chunks.unsigned_abs(),
        pages,
        uploads,
        answers,
        feedback,
    })
}

async fn is_there(connection: &mut PgConnection, room: i32) -> Result<bool, Error> {
    let is_there = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(partition(room))
        .fetch_one(connection)
        .await?;
    Ok(is_there)
}

const ATTACHED: &str = "SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = to_regclass($1)";

/// Concurrently, for other Rooms are being read from the same table.
async fn drop_partition(connection: &mut PgConnection, room: i32) -> Result<(), Error> {
    // Ends with the connection.
    sqlx::query("SELECT pg_advisory_lock($1), set_config('lock_timeout', '30s', false)")
        .bind(PARTITIONS)
        .execute(&mut *connection)
        .await?;
    let name = partition(room);
    let attached = sqlx::query(ATTACHED)
        .bind(&name)
        .fetch_optional(&mut *connection)
        .await?;
    if let Some(attached) = attached {
        // One that was interrupted.
        let how = if attached.try_get("inhdetachpending")? {
            "FINALIZE"
        } else {
            "CONCURRENTLY"
        };
        let detach = format!("ALTER TABLE room_chunk DETACH PARTITION {name} {how}");
        // Prepared, it would be in a transaction.
        sqlx::raw_sql(AssertSqlSafe(detach)).execute(&mut *connection).await?;
    }
    let drop = AssertSqlSafe(format!("DROP TABLE IF EXISTS {name}"));
    sqlx::query(drop).execute(&mut *connection).await?;
    Ok(())
}
