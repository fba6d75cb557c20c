//! Places that files come from, for models and for data.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::{SecretRef, pattern};

/// Files in an OCI registry.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.pullPolicy) || !has(self.type) || self.type != 'Artifact'")
    .message("oci.pullPolicy is for images: an artifact is fetched by its digest"))]
#[x_kube(validation = Rule::new("!has(self.plainHttp) || (has(self.type) && self.type == 'Artifact')")
    .message("oci.plainHttp needs oci.type Artifact: images are pulled as the nodes are set up"))]
pub struct OciSource {
    /// Reference: `registry/repository:tag`; pin it with `@sha256:` where it must never change.
    #[schemars(length(min = 1, max = 512), regex(pattern = r"^[^\s]+$"))]
    pub image: String,
    /// What it is. Default: Image.
    #[serde(rename = "type")]
    pub type_: Option<OciType>,
    /// File inside it; of an artifact also a directory. Default: the only file of a known format.
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = Rule::new("!self.startsWith('/') && !self.contains('..')")
        .message("oci.path must be relative to the root of the image and must not contain '..'"))]
    pub path: Option<String>,
    /// SHA-256 that the file must have, as 64 lower-case hex digits. Default: not compared;
    /// the digest found is in the status.
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9a-f]{64}$')")
        .message("oci.sha256 must be 64 lower-case hex digits, as sha256sum prints them"))]
    pub sha256: Option<String>,
    /// When the image is pulled. Default: Always for the tag `latest`, else IfNotPresent.
    pub pull_policy: Option<ImagePullPolicy>,
    /// Asks the registry without TLS, for artifacts in a registry of the own network. Credentials are sent
    /// unencrypted then. Default: no.
    pub plain_http: Option<bool>,
    /// Secrets of type `kubernetes.io/dockerconfigjson` with registry credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub pull_secrets: Vec<SecretRef>,
}

impl OciSource {
    /// Whether pods fetch it themselves.
    pub fn is_artifact(&self) -> bool {
        self.type_ == Some(OciType::Artifact)
    }
}

/// What a reference of a registry leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OciType {
    /// A container image with the files, which the node pulls and mounts read-only as an image volume.
    #[default]
    Image,
    /// An artifact whose layers are the files, as `oras push` and the CNCF ModelPack format make them. Pods fetch
    /// it from the registry themselves, at the digest that was found first.
    Artifact,
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ImagePullPolicy {
    /// Each time a pod starts.
    Always,
    /// When the node does not have it.
    IfNotPresent,
    /// Never: the node must have it.
    Never,
}

impl ImagePullPolicy {
    /// As pods spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// One file from an HTTP server.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpSource {
    /// Where the file is. Broken downloads are resumed when the server can.
    #[schemars(length(max = 2048))]
    #[x_kube(validation = Rule::new("self.matches('^https?://[^/?#[:space:]]+[^[:space:]]*$')")
        .message("http.url must be an http:// or https:// URL without spaces"))]
    pub url: String,
    /// SHA-256 of the file, as 64 lower-case hex digits. It pins the content: another file at the
    /// same URL is refused.
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9a-f]{64}$')")
        .message("http.sha256 must be 64 lower-case hex digits, as sha256sum prints them"))]
    pub sha256: String,
    /// Secret whose keys are names of request headers and whose values are sent with them.
    pub headers_secret_ref: Option<SecretRef>,
}

/// A file or a folder of an object store.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectStoreSource {
    /// `s3://bucket/key`, `az://container/blob`, `gs://bucket/object` or `file:///path`.
    #[schemars(length(max = 2048))]
    #[x_kube(validation = Rule::new("self.matches('^((s3|az|gs)://[^/[:space:]]+|file:///)[^[:space:]]*$')")
        .message("objectStore.uri must start with s3://, az://, gs:// or file:/// and must not contain spaces"))]
    pub uri: String,
    /// Secret with the store's credentials, under the names its own tools use as environment
    /// variables (`AWS_ACCESS_KEY_ID`, …). Default: the workload identity of the pods.
    pub credentials_secret_ref: Option<SecretRef>,
}

/// Files on a volume of this namespace.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersistentVolumeClaimSource {
    /// Name of the claim. It is mounted read-only.
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::DNS_SUBDOMAIN))]
    pub claim_name: String,
    /// File on the volume. Default: the only file of a known format at its root.
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = Rule::new("!self.startsWith('/') && !self.contains('..')")
        .message("the claim's path must be relative to the root of the volume and must not contain '..'"))]
    pub path: Option<String>,
    /// SHA-256 that the file must have, as 64 lower-case hex digits. Default: not compared;
    /// the digest found is in the status.
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9a-f]{64}$')")
        .message("the claim's sha256 must be 64 lower-case hex digits, as sha256sum prints them"))]
    pub sha256: Option<String>,
}
