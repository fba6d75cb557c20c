//! A real PostgreSQL for tests: servers that end with the process, and databases in them.

mod server;

use std::{io::Write, time::Duration};

use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions};
use tempfile::NamedTempFile;

use crate::Database;
pub use server::Postgres;

/// A database of one test.
pub struct TestDatabase {
    /// What is tested.
    pub database: Database,
    /// Its name.
    pub name: String,
    /// The file with its URL.
    pub url_file: NamedTempFile,
    options: PgConnectOptions,
}

impl Postgres {
    /// A new database.
    ///
    /// # Panics
    /// When the server does not come up.
    pub async fn database(&self) -> TestDatabase {
        let name = format!("t{:016x}", rand::random::<u64>());
        let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        let mut connection = self.admin().await;
        sqlx::query(create).execute(&mut connection).await.expect("it is new");
        let mut url_file = NamedTempFile::new().expect("there is room");
        writeln!(url_file, "{}", self.url(&name)).expect("there is room");
        let database = Database::of_file(url_file.path().into()).expect("it is a URL");
        let options = self.url(&name).parse().expect("it is a URL");
        TestDatabase {
            database,
            name,
            url_file,
            options,
        }
    }

    /// A connection to the server, once it takes one.
    async fn admin(&self) -> PgConnection {
        let mut last = None;
        for _ in 0..600 {
            match PgConnection::connect(&self.url("postgres")).await {
                Ok(connection) => return connection,
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("Postgres does not come up: {last:?}\n{}", self.log());
    }
}

impl TestDatabase {
    /// A connection of the test's own.
    ///
    /// # Panics
    /// When the server is not there.
    pub async fn connection(&self) -> PgConnection {
        PgConnection::connect_with(&self.options)
            .await
            .expect("the server is up")
    }

    /// Does what is not allowed: the triggers do not see it.
    ///
    /// # Panics
    /// When the statement fails, or changes nothing.
    pub async fn tamper(&self, statement: &str) {
        let mut connection = self.connection().await;
        let off = sqlx::query("SET session_replication_role = replica");
        off.execute(&mut connection).await.expect("the test is a superuser");
        let statement = sqlx::query(AssertSqlSafe(statement.to_owned()));
        let done = statement.execute(&mut connection).await.expect("the statement is good");
        assert_ne!(done.rows_affected(), 0, "nothing was tampered with");
    }

    /// The one number that a query gives.
    ///
    /// # Panics
    /// When it does not.
    pub async fn number(&self, query: &str) -> i64 {
        let query = sqlx::query_scalar(AssertSqlSafe(query.to_owned()));
        query
            .fetch_one(&mut self.connection().await)
            .await
            .expect("it is one number")
    }
}
