//! What `prepare` is told.

use std::path::PathBuf;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::digest::Digest;
use crate::source_url::SourceUrl;

/// Arguments of `prepare`: a download (`--url`, `--sha256`, `--to`), a repository (`--hugging-face`,
/// `--to`), a file or folder of an object store (`--object-store`, `--to`), an artifact (`--oci`, `--to`) or a
/// file that is there (`--path`).
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where to download the weights file from.
    #[arg(
        long,
        env = "ATELIER_SOURCE_URL",
        hide_env_values = true,
        required_unless_present_any = ["path", "hugging_face", "object_store", "oci"],
        conflicts_with_all = ["path", "hugging_face", "object_store", "oci"],
        requires = "sha256",
        requires = "to"
    )]
    pub url: Option<SourceUrl>,
    /// Repository of the Hugging Face Hub: `owner/name`.
    #[arg(
        long,
        env = "ATELIER_HUGGING_FACE",
        value_name = "REPO",
        conflicts_with_all = ["path", "object_store", "oci"],
        requires = "to"
    )]
    pub hugging_face: Option<String>,
    /// Branch, tag or commit of the repository.
    #[arg(long, env = "ATELIER_REVISION", default_value = "main")]
    pub revision: String,
    /// File of the repository or artifact to take; `*` stands for any characters. May be given more than once.
    /// Default: the model's.
    #[arg(long = "file", env = "ATELIER_FILES", value_name = "NAME", value_delimiter = '\n')]
    pub files: Vec<String>,
    /// Base URL of the server with the repository. Default: the Hub.
    #[arg(long, env = "ATELIER_ENDPOINT", value_name = "URL", hide_env_values = true)]
    pub endpoint: Option<SourceUrl>,
    /// File with an access token for the repository.
    #[arg(long, env = "ATELIER_TOKEN_FILE", value_name = "FILE", requires = "hugging_face")]
    pub token_file: Option<PathBuf>,
    /// File or folder of an object store: `s3://bucket/key`, `az://container/blob`, `gs://bucket/object`. A name
    /// that ends with `.gguf` is a file.
    #[arg(
        long,
        env = "ATELIER_OBJECT_STORE",
        value_name = "URI",
        conflicts_with_all = ["path", "oci"],
        requires = "to"
    )]
    pub object_store: Option<String>,
    /// Version of the file, where the store keeps several. Default: the latest.
    #[arg(
        long,
        env = "ATELIER_OBJECT_VERSION",
        value_name = "VERSION",
        requires = "object_store"
    )]
    pub object_version: Option<String>,
    /// Directory of files named like the environment variables that the store's own tools read, with their
    /// values. Default: those variables.
    #[arg(
        long,
        env = "ATELIER_CREDENTIALS_DIR",
        value_name = "DIR",
        requires = "object_store",
        conflicts_with = "path"
    )]
    pub credentials_dir: Option<PathBuf>,
    /// Artifact of an OCI registry: `registry/repository:tag` or `registry/repository@digest`.
    #[arg(
        long,
        env = "ATELIER_OCI",
        value_name = "REFERENCE",
        conflicts_with = "path",
        requires = "to"
    )]
    pub oci: Option<String>,
    /// Digest of the artifact's manifest, in place of its tag: `sha256:HEX`.
    #[arg(long, env = "ATELIER_OCI_DIGEST", value_name = "DIGEST", requires = "oci")]
    pub oci_digest: Option<String>,
    /// Directory of files of Docker's form (`config.json`) with credentials of registries.
    #[arg(long, env = "ATELIER_REGISTRY_CREDENTIALS", value_name = "DIR", requires = "oci")]
    pub registry_credentials: Option<PathBuf>,
    /// Asks the registry without TLS. One on this machine is always asked so.
    #[arg(long, env = "ATELIER_PLAIN_HTTP", requires = "oci")]
    pub plain_http: bool,
    /// SHA-256 that the model must have, as 64 hex digits.
    #[arg(long, env = "ATELIER_SHA256")]
    pub sha256: Option<Digest>,
    /// Directory of files named like request headers, with the values to send.
    #[arg(long, env = "ATELIER_HEADERS_FILE", value_name = "DIR", requires = "url")]
    pub headers_file: Option<PathBuf>,
    /// Directory to download to.
    #[arg(long, env = "ATELIER_TO", value_name = "DIR", conflicts_with = "path")]
    pub to: Option<PathBuf>,
    /// Makes the directory of --to a cache that the pods of a node share, and lets it grow to so many bytes: models
    /// lie there by their digests, and those that were not used for longest leave.
    #[arg(long, env = "ATELIER_CACHE_SIZE", value_name = "BYTES", requires = "to")]
    pub cache_size: Option<u64>,
    /// Weights file, or directory with exactly one *.gguf file.
    #[arg(long, env = "ATELIER_PATH", value_name = "DIR_OR_FILE")]
    pub path: Option<PathBuf>,
    /// Where to write the report. Default: the container's termination message, where there is one.
    #[arg(long, env = "ATELIER_REPORT", value_name = "FILE")]
    pub report: Option<PathBuf>,
}

impl Args {
    /// What is fetched, as a name of a directory: by its digest where that is known.
    pub(super) fn key(&self) -> String {
        if let Some(digest) = self.sha256 {
            return digest.to_string();
        }
        let place = json!([
            self.url.as_ref().map(ToString::to_string),
            self.hugging_face,
            self.revision,
            self.files,
            self.endpoint.as_ref().map(ToString::to_string),
            self.object_store,
            self.object_version,
            self.oci,
            self.oci_digest,
        ]);
        let mut hasher = Sha256::new();
        hasher.update(place.to_string());
        format!("source-{}", Digest::from(hasher))
    }
}
