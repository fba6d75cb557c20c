//! How Rooms begin, and which there are.

use rooms::{Grant, Verb};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::enter::{User, admit, guard};
use super::error::Error;
use super::limits::{self, HIGHEST};
use crate::Database;

/// The advisory lock of whoever makes or takes away partitions; the number means nothing.
pub(super) const PARTITIONS: i64 = 0x6174_656c_6965_7205;

const INSERT: &str = "
    INSERT INTO room (uid, namespace, name) VALUES ($1, $2, $3) ON CONFLICT (uid) DO NOTHING";

/// Sources that are new have not been read yet.
const SOURCES: &str = "
    INSERT INTO room_source (room, source) SELECT $1, unnest($2::text[])
    ON CONFLICT (room, source) DO UPDATE SET removed = NULL, rights_read_at = NULL
        WHERE room_source.removed IS NOT NULL";

/// The oldest of all sources' rights, or none if there is one without.
pub(super) const FRESHNESS: &str = "
    UPDATE room SET rights_read_at = (
        SELECT CASE WHEN bool_and(rights_read_at IS NOT NULL) THEN min(rights_read_at) END
        FROM room_source s WHERE s.room = $1 AND s.removed IS NULL)
    WHERE id = $1";

/// Holes in row-level security were closed in these. Of later lines, all are good.
const LEAST: [(i32, &str); 3] = [(150014, "15.14"), (160010, "16.10"), (170006, "17.6")];

/// Makes sure that there is a Room for the grant, and that it knows of these sources. Only its operator does, so that a
/// Job that comes late does not bring a purged Room back.
///
/// # Errors
/// When PostgreSQL is too old, or does not guard this user.
pub async fn ensure(database: &Database, grant: &Grant, sources: &[&str]) -> Result<(), Error> {
    admit(grant, &[Verb::Ingest])?;
    for source in sources {
        limits::name("the name of a source", source, limits::SOURCE)?;
    }
    let key = grant.room();
    let transaction = database.pool().begin().await?;
    let mut transaction = guard(transaction, &key.uid, (HIGHEST, true), User::Owner).await?;
    let row = sqlx::query("SELECT current_setting('server_version_num')::integer AS number, version() AS text")
        .fetch_one(&mut *transaction)
        .await?;
    check_version(row.try_get("number")?, row.try_get("text")?)?;
    sqlx::query("SELECT atelier_guard_rooms(), pg_advisory_xact_lock($1)")
        .bind(PARTITIONS)
        .execute(&mut *transaction)
        .await?;
    let made = sqlx::query(INSERT)
        .bind(&key.uid)
        .bind(&key.namespace)
        .bind(&key.name)
        .execute(&mut *transaction)
        .await?;
    let select =
        "SELECT id, is_open, set_config('atelier.room', id::text, true) FROM room WHERE uid = $1 FOR NO KEY UPDATE";
    let row = sqlx::query(select).bind(&key.uid).fetch_one(&mut *transaction).await?;
    if !row.try_get::<bool, _>("is_open")? {
        return Err(Error::NoRoom);
    }
    let room: i32 = row.try_get("id")?;
    if made.rows_affected() == 1 {
        make_partition(&mut transaction, room).await?;
    }
    sqlx::query(SOURCES)
        .bind(room)
        .bind(sources)
        .execute(&mut *transaction)
        .await?;
    sqlx::query(FRESHNESS).bind(room).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(())
}

/// The uids of all Rooms that have rows, so that those that are no more can be purged.
///
/// # Errors
/// When the database is not there.
pub async fn uids(database: &Database) -> Result<Vec<String>, Error> {
    let mut transaction = guard(database.pool().begin().await?, "", (HIGHEST, false), User::Guarded).await?;
    sqlx::query("SELECT set_config('atelier.list', 'on', true)")
        .execute(&mut *transaction)
        .await?;
    let uids = sqlx::query_scalar("SELECT uid FROM room ORDER BY uid")
        .fetch_all(&mut *transaction)
        .await?;
    Ok(uids)
}

pub(super) fn partition(room: i32) -> String {
    format!("room_chunk_{room}")
}

/// Attached, not made as one: that would lock all Rooms out until whoever reads now has finished. Who reads it past the
/// Room's policies sees nothing.
async fn make_partition(transaction: &mut PgConnection, room: i32) -> Result<(), Error> {
    let name = partition(room);
    let statements = [
        format!("CREATE TABLE {name} (LIKE room_chunk INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)"),
        format!("ALTER TABLE {name} ENABLE ROW LEVEL SECURITY"),
        format!("ALTER TABLE {name} FORCE ROW LEVEL SECURITY"),
        format!(
            "CREATE POLICY dumped ON {name} FOR SELECT
                USING ((SELECT current_setting('atelier.backup', true)) = 'on')"
        ),
        format!("ALTER TABLE room_chunk ATTACH PARTITION {name} FOR VALUES IN ({room})"),
    ];
    for statement in statements {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut *transaction).await?;
    }
    Ok(())
}

fn check_version(number: i32, text: &str) -> Result<(), Error> {
    let line = LEAST.iter().find(|(least, _)| least / 10000 == number / 10000);
    match line {
        Some((least, words)) if number < *least => Err(Error::Outdated {
            found: text.split(' ').nth(1).unwrap_or(text).to_owned(),
            least: words,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_with_known_holes_are_refused() {
        for (number, is_good) in [
            (150013, false),
            (150014, true),
            (160009, false),
            (170006, true),
            (180000, true),
        ] {
            let checked = check_version(number, "PostgreSQL 15.13 (Debian) on x86_64");
            assert_eq!(checked.is_ok(), is_good, "{number}");
            if let Err(error) = checked {
                assert!(
                    error.to_string().starts_with("PostgreSQL 15.13 has known holes"),
                    "{error}"
                );
            }
        }
    }
}
