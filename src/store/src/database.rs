//! The way to PostgreSQL.

use std::{path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool,
    migrate::{Migration, MigrationType, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

/// To open a connection, with everything that belongs to it.
const CONNECT: Duration = Duration::from_secs(5);
/// To get a shared one.
const ACQUIRE: Duration = Duration::from_secs(2);
/// The same where nobody waits for what it is for.
const ACQUIRE_APART: Duration = Duration::from_secs(10);
/// Connections beside that of the audit log's writer.
const POOLED: u32 = 4;

/// A database that is named by a file, so that its password is on no command line.
#[derive(Clone, Debug)]
pub struct Database(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    url_file: PathBuf,
    pool: PgPool,
}

/// Why there is no connection. Never with the URL, which holds the password.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    /// The file is not there.
    #[error("the file of the database's URL, {}, cannot be read: {error}", path.display())]
    NoFile {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// There is something else in the file.
    #[error("{} does not hold a URL: write postgres://user:password@host:port/database", .0.display())]
    NoUrl(PathBuf),
    /// It took too long.
    #[error("the database does not answer")]
    Silent,
    /// Texts are in every language.
    #[error("the database has encoding {0}: create it with encoding UTF8")]
    Encoding(String),
    /// What the server says.
    #[error(transparent)]
    Refused(#[from] sqlx::Error),
    /// The tables cannot be made.
    #[error("the tables cannot be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
}

impl Database {
    /// The database whose URL is in a file. Nothing is connected yet.
    ///
    /// # Errors
    /// When there is no URL in it.
    pub fn of_file(url_file: PathBuf) -> Result<Self, Unreachable> {
        Self::with(url_file, ACQUIRE)
    }

    /// The same database by connections of its own, for what nobody waits for: whoever uses them keeps nobody else waiting.
    ///
    /// # Errors
    /// When there is no URL in the file any more.
    pub fn apart(&self) -> Result<Self, Unreachable> {
        Self::with(self.0.url_file.clone(), ACQUIRE_APART)
    }

    fn with(url_file: PathBuf, acquire: Duration) -> Result<Self, Unreachable> {
        let options = read(&url_file)?;
        let pool = PgPoolOptions::new()
            .max_connections(POOLED)
            .acquire_timeout(acquire)
            .connect_lazy_with(options);
        Ok(Self(Arc::new(Inner { url_file, pool })))
    }

    /// A connection of one's own, with the password as the file has it now.
    ///
    /// # Errors
    /// When the database is not there.
    pub async fn connect(&self) -> Result<PgConnection, Unreachable> {
        let options = read(&self.0.url_file)?;
        // For those that the pool opens from now on.
        self.0.pool.set_connect_options(options.clone());
        let connect = async {
            let mut connection = PgConnection::connect_with(&options).await?;
            let encoding: String = sqlx::query_scalar("SHOW server_encoding")
                .fetch_one(&mut connection)
                .await?;
            match &*encoding {
                "UTF8" => Ok(connection),
                _ => Err(Unreachable::Encoding(encoding)),
            }
        };
        timeout(CONNECT, connect).await.map_err(|_| Unreachable::Silent)?
    }

    /// Brings the tables up to date. Several processes may do so at once.
    ///
    /// # Errors
    /// When the database is not there. Tables of a newer release are none of an older one's business: it goes on.
    pub async fn migrate(&self) -> Result<PgConnection, Unreachable> {
        let mut connection = self.connect().await?;
        // Its twin for any kind of connection makes futures that cannot be sent.
        migrator().run_direct(None, &mut connection, false).await?;
        Ok(connection)
    }

    /// Connections that are shared.
    pub fn pool(&self) -> &PgPool {
        &self.0.pool
    }
}

fn read(path: &PathBuf) -> Result<PgConnectOptions, Unreachable> {
    let text = std::fs::read_to_string(path).map_err(|error| Unreachable::NoFile {
        path: path.clone(),
        error,
    })?;
    let url = text.trim();
    let is_one = url.starts_with("postgres://") || url.starts_with("postgresql://");
    // The parser's own words may quote the URL.
    let options = PgConnectOptions::from_str(url).ok().filter(|_| is_one);
    let options = options.ok_or_else(|| Unreachable::NoUrl(path.clone()))?;
    Ok(options.application_name("atelier").disable_statement_logging())
}

fn migrator() -> Migrator {
    let migrations = [
        (1, "audit", include_str!("../migrations/0001_audit.sql")),
        (2, "feedback", include_str!("../migrations/0002_feedback.sql")),
        (3, "content", include_str!("../migrations/0003_content.sql")),
        (4, "spending", include_str!("../migrations/0004_spending.sql")),
        (5, "rooms", include_str!("../migrations/0005_rooms.sql")),
        (6, "room_texts", include_str!("../migrations/0006_room_texts.sql")),
        (
            7,
            "room_databases",
            include_str!("../migrations/0007_room_databases.sql"),
        ),
        (8, "shadow", include_str!("../migrations/0008_shadow.sql")),
        (9, "shadow_report", include_str!("../migrations/0009_shadow_report.sql")),
    ];
    let migration = |(version, name, sql): (i64, &'static str, &'static str)| {
        Migration::new(
            version,
            name.into(),
            MigrationType::Simple,
            sqlx::SqlStr::from_static(sql),
            false,
        )
    };
    let mut migrator = Migrator::with_migrations(migrations.map(migration).to_vec());
    migrator.set_ignore_missing(true);
    migrator
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[tokio::test]
    async fn what_is_wrong_with_the_file_is_said_without_its_content() {
        for text in ["", "secret", "mysql://a:secret@h/d", "postgres://a:secret@h:port/d"] {
            let file = file(text);
            let error = Database::of_file(file.path().into()).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
            assert!(matches!(error, Unreachable::NoUrl(_)), "{error}");
        }
        let error = Database::of_file("/nowhere".into()).unwrap_err();
        assert!(error.to_string().contains("/nowhere"), "{error}");
        let file = file("postgres://a:secret@h/d\n");
        let database = Database::of_file(file.path().into()).unwrap();
        assert!(!format!("{database:?}").contains("secret"));
    }
}
