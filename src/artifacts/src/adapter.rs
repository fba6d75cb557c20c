//! Adapters beside a model that serves: a directory with the two files that PEFT writes, fetched or mounted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::report::reasons;
use protocol::{AdapterSource, PrepareFailure, WantedAdapter};

use crate::fetch;
use crate::hub::Hub;
use crate::locate::stays_inside;
use crate::oci::Oci;
use crate::select::{ADAPTER, What};
use crate::store::Store;

/// How messages begin a field of a model's own source.
const OWN_SOURCE: &str = "spec.source.";
/// Longest silence of a server.
const STALL: Duration = Duration::from_secs(15);
/// Attempts before giving up.
const ATTEMPTS: u32 = 2;

/// An adapter that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The directory with its files.
    pub directory: PathBuf,
    /// The commit that they are of, or the digest of their manifest, where the source has such.
    pub revision: Option<String>,
}

/// Finds an adapter; what has to be fetched comes below `store`, into a directory with the name of its key.
/// Files that are there already are not fetched again, and a file under its name is complete and verified.
///
/// # Errors
/// When it is not there, or cannot be fetched; messages name fields of `spec.adapters`.
pub async fn find(wanted: &WantedAdapter, store: &Path) -> Result<Found, PrepareFailure> {
    let found = match &wanted.source {
        AdapterSource::Mounted { mount, path } => mounted(mount, path.as_deref()),
        source => fetched(wanted, source, &store.join(directory_name(wanted)?)).await,
    };
    found.map_err(|failure| PrepareFailure {
        message: failure
            .message
            .replace(OWN_SOURCE, &format!("spec.adapters[{}].source.", wanted.name)),
        ..failure
    })
}

/// The name of its directory below the store.
///
/// # Errors
/// When its key is none: it must not lead elsewhere.
pub fn directory_name(wanted: &WantedAdapter) -> Result<&str, PrepareFailure> {
    let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    match wanted.key.as_str() {
        key if !key.is_empty() && key.len() <= 64 && key.bytes().all(is_plain) => Ok(key),
        key => {
            let message = format!("failed to use the key {key:?}: it must be lower-case letters, digits and hyphens");
            Err(PrepareFailure::new(reasons::INTERNAL, message, false))
        }
    }
}

async fn fetched(wanted: &WantedAdapter, source: &AdapterSource, to: &Path) -> Result<Found, PrepareFailure> {
    // The model serves meanwhile, and a failure is told and tried again: patience is not needed.
    let settings = fetch::Settings {
        stall: STALL,
        attempts: ATTEMPTS,
        ..fetch::Settings::default()
    };
    match source.clone() {
        AdapterSource::HuggingFace {
            repo,
            revision,
            files,
            endpoint,
            token_file,
        } => {
            let hub = Hub {
                endpoint: endpoint.map(|url| {
                    url.parse()
                        .unwrap_or_else(|never: std::convert::Infallible| match never {})
                }),
                repo,
                revision: wanted.revision.clone().unwrap_or(revision),
                files,
                what: What::Adapter,
                token_file,
                settings,
            };
            let fetched = hub.fetch(to, |_, _| {}).await?;
            Ok(Found {
                directory: fetched.path,
                revision: Some(fetched.commit),
            })
        }
        AdapterSource::ObjectStore { uri, credentials_dir } => {
            let store = Store {
                uri: uri.parse()?,
                what: What::Adapter,
                version: None,
                credentials: credentials_dir,
                settings,
            };
            Ok(Found {
                directory: store.fetch(to, |_, _| {}).await?.path,
                revision: None,
            })
        }
        AdapterSource::Oci {
            image,
            credentials_dirs,
            plain_http,
        } => {
            let oci = Oci {
                image,
                digest: wanted.revision.clone(),
                files: Vec::new(),
                what: What::Adapter,
                // A Secret that is not there is missed by the registry, if by anybody.
                credentials: credentials_dirs.into_iter().filter(|dir| dir.is_dir()).collect(),
                plain_http,
                settings,
            };
            let fetched = oci.fetch(to, |_, _| {}).await?;
            Ok(Found {
                directory: fetched.path,
                revision: Some(fetched.digest),
            })
        }
        AdapterSource::Mounted { mount, path } => mounted(&mount, path.as_deref()),
    }
}

fn mounted(mount: &Path, path: Option<&str>) -> Result<Found, PrepareFailure> {
    let directory = path.map_or_else(|| mount.to_owned(), |path| mount.join(path));
    for name in ADAPTER {
        stays_inside(&directory.join(name), mount)?;
    }
    Ok(Found {
        directory,
        revision: None,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{Reply, Seen, Server};

    fn wanted(key: &str, source: Value) -> WantedAdapter {
        serde_json::from_value(json!({"name": "a", "key": key, "source": source})).unwrap()
    }

    fn adapter_in(dir: &Path) {
        std::fs::create_dir_all(dir).unwrap();
        ADAPTER
            .iter()
            .for_each(|name| std::fs::write(dir.join(name), "x").unwrap());
    }

    #[tokio::test]
    async fn a_mounted_adapter_is_a_directory_of_its_volume() {
        let dir = tempfile::tempdir().unwrap();
        adapter_in(&dir.path().join("mount/one"));
        adapter_in(&dir.path().join("outside"));
        symlink("../outside", dir.path().join("mount/link")).unwrap();
        let at = |path: &str| {
            let wanted = wanted(
                "k",
                json!({"mounted": {"mount": dir.path().join("mount"), "path": path}}),
            );
            async move { find(&wanted, Path::new("/nowhere")).await }
        };
        assert_eq!(at("one").await.unwrap().directory, dir.path().join("mount/one"));
        for (path, says) in [
            ("link", "leads out of"),
            ("two", "two/adapter_config.json"),
            ("", "holds link, one"),
        ] {
            let failure = at(path).await.unwrap_err();
            assert!(failure.message.contains(says), "{failure}");
        }
    }

    #[tokio::test]
    async fn an_adapter_of_an_object_store_is_a_folder() {
        let entry = |name: &str| {
            format!(
                "<Contents><Key>a/{name}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;1&quot;</ETag><Size>1</Size></Contents>"
            )
        };
        let entries: String = ADAPTER.iter().chain(&["README.md"]).map(|name| entry(name)).collect();
        let listing = format!("<?xml version=\"1.0\"?><ListBucketResult>{entries}</ListBucketResult>");
        let server = Server::choosing(move |Seen { path, .. }| match path.contains("list-type") {
            true => Reply::file(listing.as_bytes()),
            false => Reply::file(b"x")
                .etag("\"1\"")
                .header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
        })
        .await;
        let dir = tempfile::tempdir().unwrap();
        let url = server.url("");
        let settings = [
            ("AWS_ENDPOINT_URL", url.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_ACCESS_KEY_ID", "k"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("AWS_REGION", "eu-1"),
        ];
        let secret = dir.path().join("secret");
        std::fs::create_dir(&secret).unwrap();
        settings
            .iter()
            .for_each(|(name, value)| std::fs::write(secret.join(name), value).unwrap());
        let wanted = wanted(
            "k1",
            json!({"objectStore": {"uri": "s3://b/a/", "credentialsDir": secret}}),
        );
        let found = find(&wanted, &dir.path().join("store")).await.unwrap();
        assert_eq!(found.directory, dir.path().join("store/k1"));
        let is_there = |name: &&str| found.directory.join(name).exists();
        assert!(ADAPTER.iter().all(is_there) && !is_there(&"README.md"));
    }

    #[tokio::test]
    async fn messages_name_the_adapters_own_fields() {
        let (server, dir) = (Server::start([Reply::status(404)]).await, tempfile::tempdir().unwrap());
        let source =
            |repo: &str| json!({"huggingFace": {"repo": repo, "revision": "main", "endpoint": server.url("/")}});
        let failure = find(&wanted("k", source("team/a")), dir.path()).await.unwrap_err();
        assert_eq!(failure.reason, reasons::NOT_FOUND);
        assert!(
            failure.message.contains("spec.adapters[a].source.huggingFace"),
            "{failure}"
        );
        assert!(!failure.message.contains("spec.source"), "{failure}");

        for key in ["..", "a/b", "", "A"] {
            let failure = find(&wanted(key, source("team/a")), dir.path()).await.unwrap_err();
            assert!(failure.message.contains("the key"), "{failure}");
        }
    }
}
