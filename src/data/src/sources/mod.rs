//! Where records come from: whatever it is, it becomes files.

pub(crate) mod mounted;
mod remote;
pub(crate) mod sql;

use std::path::{Path, PathBuf};

use artifacts::data::FIELDS;
use protocol::PrepareFailure;
use protocol::tune::{DataFormat, DataSource, DataSourceKind};

use crate::failure::Result;

/// A file with records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// What its source calls it.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// What limits a source.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// What records look like.
    pub format: DataFormat,
    /// Bytes of one record at most.
    pub max_bytes: usize,
}

/// Brings the files of a source, sorted by name; what has to be fetched comes into `directory`.
///
/// # Errors
/// When they are not there or cannot be fetched; messages name the source.
pub async fn gather(source: &DataSource, directory: &Path, settings: Settings) -> Result<Vec<SourceFile>> {
    let files = match &source.kind {
        DataSourceKind::Mounted { path, .. } => mounted::files(path),
        DataSourceKind::Http {
            url,
            sha256,
            headers_dir,
        } => remote::http(url, sha256.as_deref(), headers_dir.as_deref(), directory).await,
        DataSourceKind::ObjectStore { uri, credentials_dir } => {
            remote::objects(uri, credentials_dir.clone(), directory).await
        }
        DataSourceKind::Sql {
            connection_file,
            query,
            descriptions,
        } => {
            let asked = sql::Asked {
                connection_file,
                query,
                descriptions,
                settings,
            };
            asked.rows(directory).await
        }
    };
    files.map_err(|failure| {
        let place = format!("dataset.sources[{}]", source.name);
        let message = failure.message.replace(FIELDS, &format!("{place}."));
        let message = match message.contains(&place) {
            true => message,
            false => format!("{place}: {message}"),
        };
        PrepareFailure { message, ..failure }
    })
}
