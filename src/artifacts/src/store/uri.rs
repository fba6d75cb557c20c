//! Addresses of objects: `s3://bucket/key`, `az://container/blob`, `gs://bucket/object`.

use std::fmt;
use std::str::FromStr;

use object_store::path::Path;
use protocol::PrepareFailure;
use protocol::report::reasons;

/// An object store's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Amazon S3 and what speaks like it.
    S3,
    /// Azure Blob Storage.
    Azure,
    /// Google Cloud Storage.
    Google,
}

impl Service {
    /// What all names of its settings begin with.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::S3 => "AWS_",
            Self::Azure => "AZURE_",
            Self::Google => "GOOGLE_",
        }
    }

    /// The settings that people mostly need, for messages.
    pub(crate) fn usual(self) -> &'static str {
        match self {
            Self::S3 => "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL",
            Self::Azure => "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
            Self::Google => "GOOGLE_SERVICE_ACCOUNT_KEY",
        }
    }
}

/// A file or a folder of an object store.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ObjectUri {
    /// Whose it is.
    pub service: Service,
    /// Bucket or container.
    pub bucket: String,
    /// The object, or what the names of a folder's objects begin with.
    pub path: Path,
    text: String,
}

/// A text that addresses no object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to read the address {text:?}: {why}; correct spec.source.objectStore.uri")]
pub(crate) struct InvalidUri {
    text: String,
    why: String,
}

impl ObjectUri {
    /// Whether it names one file: weights in GGUF are a single one, all others are folders.
    pub(crate) fn is_file(&self) -> bool {
        self.path.as_ref().ends_with(".gguf") && !self.text.ends_with('/')
    }
}

impl ObjectUri {
    /// Whether it can name no file.
    pub(crate) fn is_folder(&self) -> bool {
        self.path.as_ref().is_empty() || self.text.ends_with('/')
    }
}

impl FromStr for ObjectUri {
    type Err = InvalidUri;

    fn from_str(text: &str) -> Result<Self, InvalidUri> {
        let invalid = |why: String| InvalidUri { text: text.into(), why };
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        let service = match scheme {
            "s3" => Service::S3,
            "az" => Service::Azure,
            "gs" => Service::Google,
            "file" => {
                let why =
                    "a pod has no files of its own; put them on a volume and use spec.source.persistentVolumeClaim";
                return Err(invalid(why.into()));
            }
            _ => return Err(invalid("it begins with none of s3://, az:// and gs://".into())),
        };
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(invalid("it names no bucket".into()));
        }
        let path = Path::parse(key).map_err(|error| invalid(error.to_string()))?;
        Ok(Self {
            service,
            bucket: bucket.into(),
            path,
            text: text.into(),
        })
    }
}

impl From<InvalidUri> for PrepareFailure {
    fn from(error: InvalidUri) -> Self {
        Self::new(reasons::DOWNLOAD_FAILED, error.to_string(), false)
    }
}

impl fmt::Display for ObjectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ObjectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("s3://models/a/m.gguf", Service::S3, "models", "a/m.gguf", true)]
    #[case("az://models/a/", Service::Azure, "models", "a", false)]
    #[case("gs://models", Service::Google, "models", "", false)]
    #[case("s3://models/a.gguf/", Service::S3, "models", "a.gguf", false)]
    fn addresses_have_parts(
        #[case] text: &str,
        #[case] service: Service,
        #[case] bucket: &str,
        #[case] path: &str,
        #[case] is_file: bool,
    ) {
        let uri: ObjectUri = text.parse().unwrap();
        assert_eq!(
            (uri.service, uri.bucket.as_str(), uri.path.as_ref(), uri.is_file()),
            (service, bucket, path, is_file)
        );
        assert_eq!(uri.to_string(), text);
    }

    #[rstest]
    #[case("file:///models/m.gguf", "persistentVolumeClaim")]
    #[case("https://models/m.gguf", "s3://")]
    #[case("s3:///m.gguf", "no bucket")]
    #[case("s3://b/a//m.gguf", "empty")]
    #[case("s3://b/../m.gguf", "..")]
    fn other_addresses_are_refused(#[case] text: &str, #[case] says: &str) {
        let error = text.parse::<ObjectUri>().unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("objectStore.uri"), "{error}");
    }
}
