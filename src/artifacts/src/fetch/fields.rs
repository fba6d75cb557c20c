//! What messages about a download tell its user to look at.

/// The fields of a spec that say where a download comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields {
    /// Those that name the place.
    pub place: &'static str,
    /// The one that names the credentials.
    pub credentials: &'static str,
    /// What to do about other bytes than promised.
    pub mismatch: &'static str,
}

/// Those of one file from an HTTP server.
pub(crate) static HTTP: Fields = Fields {
    place: "spec.source.http.url",
    credentials: crate::headers::FIELD,
    mismatch: "set spec.source.http.sha256 to the new digest if the change is wanted",
};

/// Those of a repository of models.
pub(crate) static HUB: Fields = Fields {
    place: "repo, revision, files and endpoint in spec.source.huggingFace",
    credentials: "spec.source.huggingFace.tokenSecretRef, and that its owner may read the repository",
    mismatch: "the server sends other bytes than it lists; set spec.source.huggingFace.endpoint to another mirror",
};

/// Those of an artifact of a registry.
pub(crate) static OCI: Fields = Fields {
    place: "spec.source.oci.image",
    credentials: "spec.source.oci.pullSecrets, and that their owner may pull it",
    mismatch: "the registry sends other bytes than the digest names; push it anew",
};
