//! Where documents come from.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::common::{ObjectStoreSource, PersistentVolumeClaimSource, SecretKeyRef, SecretRef, pattern};

/// A place that documents come from: exactly one of pvc, http, objectStore, git, sql and upload.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.pvc), has(self.http), has(self.objectStore), has(self.git), has(self.sql), \
        has(self.upload)].filter(x, x).size() == 1")
    .message("each of a Room's sources needs exactly one of pvc, http, objectStore, git, sql and upload"))]
#[x_kube(validation = Rule::new("!has(self.upload) || !has(self.schedule)")
    .message("sources[].schedule must be left out with upload: documents are read when they arrive"))]
#[x_kube(validation = Rule::new("!has(self.sql) || !has(self.schedule) && !has(self.ocr)")
    .message("sources[].schedule and sources[].ocr must be left out with sql: a database is asked with each question, not read"))]
pub struct RoomSource {
    /// Name of the source, for citations and reports.
    #[schemars(length(min = 1, max = 40), regex(pattern = pattern::DNS_LABEL))]
    pub name: String,
    /// A file or a folder on a volume of this namespace.
    pub pvc: Option<PersistentVolumeClaimSource>,
    /// Pages of web servers.
    pub http: Option<WebSource>,
    /// A file or a folder of an object store.
    pub object_store: Option<ObjectStoreSource>,
    /// Files of a Git repository.
    pub git: Option<GitSource>,
    /// Tables of a PostgreSQL database. They are not read: with a question, the Room's model writes one SELECT, and what it
    /// gives is cited.
    pub sql: Option<SqlSource>,
    /// Documents that contributors upload.
    pub upload: Option<UploadSource>,
    /// When the source is read again, in UTC: five fields of cron or a nickname. Default: once in an hour, at a minute
    /// that differs from Room to Room. The annotation `atelier.dev/sync` with another value than before asks for it at once.
    #[schemars(length(max = 100))]
    #[x_kube(validation = Rule::new(format!("self.matches('{}')", pattern::CRON))
        .message("sources[].schedule must have five fields separated by spaces, such as '0 * * * *', or be a nickname such as @hourly"))]
    pub schedule: Option<String>,
    /// Clearance that a member needs to see its documents. Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100))]
    pub clearance: i32,
    /// Reading of scanned pages. Default: pages without text are quarantined.
    pub ocr: Option<Ocr>,
}

/// Pages of web servers.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebSource {
    /// Pages and files to read.
    #[schemars(
        length(min = 1, max = 64),
        inner(length(max = 2048), regex(pattern = pattern::HTTP_URL)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub urls: Vec<String>,
    /// Links to follow from them, within the same host. Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 10))]
    pub depth: i32,
    /// Secret whose keys are names of request headers and whose values are sent with them.
    pub headers_secret_ref: Option<SecretRef>,
}

/// Files of a Git repository.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitSource {
    /// Repository, over HTTPS or SSH, without a password.
    #[schemars(
        length(max = 2048),
        regex(pattern = r"^(https://[^\s@/]+|ssh://([^\s@:/]+@)?[^\s@/]+)/[^\s]+$")
    )]
    pub url: String,
    /// Branch, tag or commit. Default: the repository's default branch.
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[A-Za-z0-9_][^\s:^~?*\[\\]*$"))]
    pub revision: Option<String>,
    /// Folder to read. Default: all of it.
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^[^/]"))]
    pub path: Option<String>,
    /// Secret with `username` and `password`, or `ssh-privatekey` and `known_hosts`.
    pub credentials_secret_ref: Option<SecretRef>,
}

/// Tables of a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SqlSource {
    /// Connection URL: `postgres://user:password@host:port/database`, with `?sslmode=` as PostgreSQL has it. Its user must
    /// be no superuser; give it `SELECT` on these columns and nothing else. Certificates in PEM in the key `ca.crt` of the
    /// same Secret vouch for the server. The gateway reads it, as far as the chart's `gateway.providerSecrets.namespaces`
    /// lets it.
    pub connection_secret_ref: SecretKeyRef,
    /// Tables that may be asked.
    #[schemars(
        length(min = 1, max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub tables: Vec<SqlTable>,
}

/// A table that may be asked.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SqlTable {
    /// Name, with its schema, as the database has it: `sales.orders`.
    #[schemars(
        length(min = 1, max = 128),
        regex(pattern = r"^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)?$")
    )]
    pub name: String,
    /// What a row means.
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
    /// Columns that may be asked; all others stay hidden.
    #[schemars(
        length(min = 1, max = 256),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub columns: Vec<SqlColumn>,
}

/// A column that may be asked.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SqlColumn {
    /// Name of the column, as the database has it.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z_][A-Za-z0-9_$]*$"))]
    pub name: String,
    /// What a value means.
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
}

/// Documents that contributors upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UploadSource {
    /// Largest document, as a quantity. Default: `64Mi`.
    #[serde(default = "default_max_size")]
    #[schemars(length(max = 20), regex(pattern = pattern::QUANTITY))]
    pub max_size: String,
    /// All documents that are kept, as a quantity: what would go beyond it is refused. Default: `10Gi`.
    #[serde(default = "default_max_total_size")]
    #[schemars(length(max = 20), regex(pattern = pattern::QUANTITY))]
    pub max_total_size: String,
}

fn default_max_size() -> String {
    "64Mi".into()
}

fn default_max_total_size() -> String {
    "10Gi".into()
}

/// Reading of scanned pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ocr {
    /// Languages of the pages, by the codes of Tesseract: `eng`, `pol`.
    #[schemars(
        length(min = 1, max = 16),
        inner(length(max = 16), regex(pattern = "^[a-zA-Z_]+$")),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub languages: Vec<String>,
    /// Mean confidence under which a page is quarantined, in percent. Default: 75.
    #[serde(default = "default_confidence")]
    #[schemars(range(min = 0, max = 100))]
    pub min_confidence: i32,
}

fn default_confidence() -> i32 {
    75
}
