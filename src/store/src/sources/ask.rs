//! One statement, on a connection of its own.

use std::{net::IpAddr, time::Duration};

use futures::TryStreamExt as _;
use rooms::sql::{Rewritten, Rows, session};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, postgres::PgRow};
use tokio::time::timeout;

use super::{Failure, Target};

/// How long a goodbye may take.
const CLOSE: Duration = Duration::from_secs(1);

/// What a statement may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Until there is a connection.
    pub connect: Duration,
    /// Until the last row is there.
    pub longest: Duration,
    /// Memory of each sort and hash at the server, in MiB.
    pub memory_mib: u32,
    /// Rows that [`rooms::sql::Allowed::max_rows`] lets through.
    pub rows: u64,
    /// Characters of a value.
    pub value: usize,
    /// Bytes of all values.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            longest: Duration::from_secs(5),
            memory_mib: 16,
            rows: 100,
            value: 500,
            bytes: 64 << 10,
        }
    }
}

/// The rows of a statement. `admits` says which addresses may be asked.
///
/// # Errors
/// When there are none.
pub async fn ask(
    target: &Target,
    admits: &(dyn Fn(IpAddr) -> bool + Sync),
    query: &Rewritten,
    limits: &Limits,
) -> Result<Rows, Failure> {
    let mut connection = begin(target, admits, limits).await?;
    // The server gives up first, where it is one that does what it is told.
    let patience = limits.longest + limits.longest / 2;
    let read = timeout(patience, rows(&mut connection, query, limits)).await;
    let read = read.unwrap_or(Err(Failure::TooLong));
    let goodbye = async {
        let _ = sqlx::raw_sql(session::CLOSING).execute(&mut connection).await;
        let _ = connection.close().await;
    };
    // What does not end by then is dropped, and with it the connection.
    let _ = timeout(CLOSE, goodbye).await;
    read
}

/// Whether it can be asked: somebody is there who lets this user in.
///
/// # Errors
/// When not.
pub async fn probe(target: &Target, admits: &(dyn Fn(IpAddr) -> bool + Sync), limits: &Limits) -> Result<(), Failure> {
    let connection = begin(target, admits, limits).await?;
    let _ = timeout(CLOSE, connection.close()).await;
    Ok(())
}

/// A connection in a transaction that reads.
async fn begin(
    target: &Target,
    admits: &(dyn Fn(IpAddr) -> bool + Sync),
    limits: &Limits,
) -> Result<PgConnection, Failure> {
    let connected = timeout(limits.connect, async {
        let options = target.resolved(admits).await?;
        let connecting = PgConnection::connect_with(&options).await;
        let mut connection = connecting.map_err(|error| Failure::connecting(&error))?;
        let mut opening = session::opening(limits.longest, limits.memory_mib);
        opening.push("SELECT current_setting('is_superuser') AS it".into());
        let opening = sqlx::raw_sql(AssertSqlSafe(opening.join("; "))).fetch_one(&mut connection);
        let row = opening.await.map_err(|error| Failure::connecting(&error))?;
        match row.try_get::<String, _>("it").as_deref() {
            Ok("off") => Ok(connection),
            Ok(_) => Err(Failure::Superuser),
            Err(_) => Err(Failure::Unreachable),
        }
    });
    connected.await.unwrap_or(Err(Failure::Unreachable))
}

async fn rows(connection: &mut PgConnection, query: &Rewritten, limits: &Limits) -> Result<Rows, Failure> {
    // A prepared statement is one statement, whatever stands in it.
    let statement = sqlx::query(AssertSqlSafe(query.as_text(limits.value))).persistent(false);
    let mut found = Rows {
        columns: query.columns.clone(),
        ..Rows::default()
    };
    let mut bytes = 0;
    // One by one, for a server may send as many as it likes.
    let mut all = statement.fetch(&mut *connection);
    while let Some(row) = all.try_next().await.map_err(|error| Failure::running(&error))? {
        let row = values(&row, query.columns.len())?;
        bytes += row.iter().flatten().map(String::len).sum::<usize>();
        if bytes > limits.bytes || found.rows.len() as u64 >= query.limit {
            found.has_more = true;
            return Ok(found);
        }
        found.rows.push(row);
    }
    found.has_more = query.limit >= limits.rows && found.rows.len() as u64 >= query.limit;
    Ok(found)
}

fn values(row: &PgRow, count: usize) -> Result<Vec<Option<String>>, Failure> {
    if row.len() != count {
        return Err(Failure::Unreachable);
    }
    let value = |place| {
        row.try_get::<Option<String>, _>(place)
            .map_err(|_| Failure::Unreachable)
    };
    (0..count).map(value).collect()
}
