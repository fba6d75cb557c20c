//! Options of what is kept of requests and answers, and how long.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use store::audit::{
    content::{KeyRing, Limits, Vault},
    retention,
};

use super::period::Period;

/// What is kept of requests and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ContentMode {
    /// Nothing.
    None,
    /// All that models are asked and answer, encrypted by keys of each user.
    Encrypted,
}

/// Options of contents and of the age that things may have.
#[derive(Clone, Debug, Args)]
pub struct ContentArgs {
    /// What is kept of requests and answers beside the audit trail.
    #[arg(long, env = "ATELIER_AUDIT_CONTENT", default_value = "none")]
    pub audit_content: ContentMode,
    /// A directory of files with key-encryption keys, each of 32 random bytes in hexadecimal (openssl rand -hex 32). A
    /// file's name is the key's id. Default: none.
    #[arg(long, env = "ATELIER_AUDIT_CONTENT_KEYS_DIR", global = true)]
    pub audit_content_keys_dir: Option<PathBuf>,
    /// The id of the key-encryption key that wraps data keys. Those that others wrap are wrapped anew.
    #[arg(long, env = "ATELIER_AUDIT_CONTENT_KEY", global = true)]
    pub audit_content_key: Option<String>,
    /// The longest request and the longest answer in bytes that are kept whole; of longer ones, the beginning is kept.
    #[arg(long, env = "ATELIER_AUDIT_CONTENT_MAX_BYTES", default_value_t = 1 << 20,
        value_parser = clap::value_parser!(u32).range(1..=64 << 20))]
    pub audit_content_max_bytes: u32,
    /// Memory for requests and answers on their way to the database, in bytes. Where it is full, requests are refused, and
    /// of answers the beginning is kept.
    #[arg(long, env = "ATELIER_AUDIT_CONTENT_MEMORY", default_value_t = 64 << 20,
        value_parser = clap::value_parser!(u32).range(1024..=256 << 20))]
    pub audit_content_memory: u32,
    /// How long requests and answers are kept, such as 30d. Default: as long as their rows.
    #[arg(long, env = "ATELIER_AUDIT_RETENTION_CONTENT")]
    pub audit_retention_content: Option<Period>,
    /// How long rows of the audit trail are kept, such as 400d. Default: for ever.
    #[arg(long, env = "ATELIER_AUDIT_RETENTION_METADATA")]
    pub audit_retention_metadata: Option<Period>,
    /// Seconds between looks for what has expired.
    #[arg(long, env = "ATELIER_AUDIT_RETENTION_SECONDS", default_value_t = 3600,
        value_parser = clap::value_parser!(u64).range(1..))]
    pub audit_retention_seconds: u64,
}

impl ContentArgs {
    /// What encrypts, if anything is kept.
    ///
    /// # Errors
    /// When there are no keys.
    pub(super) fn vault(&self) -> anyhow::Result<Option<Arc<Vault>>> {
        if self.audit_content == ContentMode::None {
            return Ok(None);
        }
        let keys = self
            .keys()?
            .context("--audit-content encrypted without keys: set --audit-content-keys-dir and --audit-content-key")?;
        let limits = Limits {
            longest: self.audit_content_max_bytes as usize,
            memory: self.audit_content_memory as usize,
        };
        if limits.memory < limits.longest {
            bail!("--audit-content-memory is less than --audit-content-max-bytes: no request could be kept");
        }
        Ok(Some(Vault::new(keys, limits)))
    }

    /// The key-encryption keys, if there are any.
    ///
    /// # Errors
    /// When they cannot be used.
    pub(super) fn keys(&self) -> anyhow::Result<Option<KeyRing>> {
        match (&self.audit_content_keys_dir, &self.audit_content_key) {
            (None, None) => Ok(None),
            (Some(dir), Some(active)) => Ok(Some(KeyRing::read(dir, active)?)),
            (Some(_), None) => bail!("--audit-content-keys-dir without --audit-content-key: name one of the keys"),
            (None, Some(_)) => bail!("--audit-content-key without --audit-content-keys-dir: name their directory"),
        }
    }

    /// How old things become.
    ///
    /// # Errors
    /// When contents would outlive their rows, or keys cannot be used.
    pub(super) fn retention(&self) -> anyhow::Result<retention::Settings> {
        let (content, metadata) = (self.audit_retention_content, self.audit_retention_metadata);
        if content.zip(metadata).is_some_and(|(content, rows)| content.0 > rows.0) {
            bail!("--audit-retention-content is longer than --audit-retention-metadata: contents go with their rows");
        }
        Ok(retention::Settings {
            content: content.map(|period| period.0),
            metadata: metadata.map(|period| period.0),
            keys: self.keys()?,
        })
    }

    /// How often it is looked for what has expired.
    pub(super) fn every(&self) -> Duration {
        Duration::from_secs(self.audit_retention_seconds)
    }

    /// Whether anything is wished for that takes a database.
    pub(super) fn is_idle(&self) -> bool {
        self.audit_content == ContentMode::None
            && self.audit_retention_content.is_none()
            && self.audit_retention_metadata.is_none()
    }
}
