//! How the audit trail is set up.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use store::{
    Database,
    audit::{
        Log, Mode, Settings,
        retention::Keeper,
        seal::{self, Key},
    },
};

use super::{Recorder, content::ContentArgs};

/// How long a request waits for its row.
const PATIENCE: Duration = Duration::from_secs(3);

/// When an audit row counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuditMode {
    /// When the database has committed it: without the database, requests are refused.
    Strict,
    /// When it lies in --audit-spool-dir: without the database, requests go on until --audit-queue is full.
    Buffered,
    /// There is no audit trail.
    Off,
}

/// Options of the audit trail.
#[derive(Clone, Debug, Args)]
pub struct AuditArgs {
    /// A file with the URL of a PostgreSQL database, postgres://user:password@host:port/database. Default: none.
    #[arg(long, env = "ATELIER_DATABASE_URL_FILE", global = true)]
    pub database_url_file: Option<PathBuf>,
    /// When an audit row counts. Default: strict with a database, else off.
    #[arg(long, env = "ATELIER_AUDIT_MODE")]
    pub audit_mode: Option<AuditMode>,
    /// Where rows wait for the database in mode buffered. It should outlive the process.
    #[arg(long, env = "ATELIER_AUDIT_SPOOL_DIR")]
    pub audit_spool_dir: Option<PathBuf>,
    /// Audit rows that may wait for the database; each request under way holds one.
    #[arg(long, env = "ATELIER_AUDIT_QUEUE", default_value_t = 65_536,
        value_parser = clap::value_parser!(u32).range(2..))]
    pub audit_queue: u32,
    /// Seconds between the roots that seal the audit trail.
    #[arg(long, env = "ATELIER_AUDIT_SEAL_SECONDS", default_value_t = 300,
        value_parser = clap::value_parser!(u64).range(1..))]
    pub audit_seal_seconds: u64,
    /// A file with the Ed25519 private key, in PEM, that signs roots. Default: roots are not signed.
    #[arg(long, env = "ATELIER_AUDIT_KEY_FILE")]
    pub audit_key_file: Option<PathBuf>,
    /// A file that roots are appended to, which the database's owner should not be able to write. Default: roots are
    /// logged only.
    #[arg(long, env = "ATELIER_AUDIT_ANCHOR_FILE")]
    pub audit_anchor_file: Option<PathBuf>,
    /// What is kept of requests and answers, and how long.
    #[command(flatten)]
    pub content: ContentArgs,
}

impl AuditArgs {
    /// Starts what is wished for. It needs a runtime unless that is nothing.
    ///
    /// # Errors
    /// When a file cannot be used, or options do not fit together.
    pub fn recorder(&self) -> anyhow::Result<Recorder> {
        let mode = match (self.audit_mode, &self.database_url_file) {
            (None, None) | (Some(AuditMode::Off), _) if !self.content.is_idle() => {
                bail!(
                    "--audit-content and --audit-retention-... without an audit trail: set --database-url-file and no --audit-mode off"
                )
            }
            (None, None) | (Some(AuditMode::Off), _) => return Ok(Recorder::default()),
            (Some(_), None) => bail!("--audit-mode without a database: set --database-url-file"),
            (None | Some(AuditMode::Strict), Some(_)) => Mode::Strict,
            (Some(AuditMode::Buffered), Some(_)) => Mode::Buffered {
                spool: self
                    .audit_spool_dir
                    .clone()
                    .context("--audit-mode buffered: set --audit-spool-dir to a directory that outlives the process")?,
            },
        };
        let database = self.database()?;
        let settings = Settings {
            mode,
            capacity: self.audit_queue,
            patience: PATIENCE,
            vault: self.content.vault()?,
        };
        let retention = self.content.retention()?;
        let key = self.audit_key_file.clone().map(Key::read).transpose()?;
        let log = Log::start(database.clone(), settings).context("failed to use the audit spool")?;
        tokio::spawn(seal::keep_sealing(
            database.clone(),
            seal::Settings {
                every: Duration::from_secs(self.audit_seal_seconds),
                key,
                anchor: self.audit_anchor_file.clone(),
            },
        ));
        tokio::spawn(Keeper::new(database.clone(), retention).keep(self.content.every()));
        Ok(Recorder::new(log, database).with_keys(self.content.keys()?))
    }

    /// The database.
    ///
    /// # Errors
    /// When none is named.
    pub fn database(&self) -> anyhow::Result<Database> {
        let file = self.database_url_file.clone();
        let file = file.context("no database: set --database-url-file")?;
        Ok(Database::of_file(file)?)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use crate::config::Args;

    #[rstest]
    #[case(&["--audit-mode", "strict"], "--database-url-file")]
    #[case(&["--audit-mode", "buffered", "--database-url-file", "/x"], "--audit-spool-dir")]
    #[case(&["--database-url-file", "/nowhere"], "/nowhere")]
    #[case(&["--audit-content", "encrypted"], "--database-url-file")]
    #[case(&["--audit-retention-metadata", "400d"], "--database-url-file")]
    fn what_does_not_fit_together_names_the_option(#[case] options: &[&str], #[case] named: &str) {
        let args = Args::parse_from([&["atelier-gateway"], options].concat());
        let error = args.audit.recorder().err().unwrap();
        assert!(format!("{error:#}").contains(named), "{error:#}");
    }

    #[test]
    fn without_a_database_there_is_no_trail() {
        let args = Args::parse_from(["atelier-gateway"]);
        assert!(args.audit.recorder().unwrap().database().is_none());
    }
}
