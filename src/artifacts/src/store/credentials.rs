//! A store's settings from a mounted Secret, one file a setting, and from the environment of the pod.
//!
//! Both use the names that the store's own tools read from the environment. What workload identity puts
//! into the environment of a pod counts where the Secret says nothing.

use std::io;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig};
use protocol::PrepareFailure;
use protocol::report::reasons;

use super::http::Connector;
use super::uri::{ObjectUri, Service};
use crate::fetch::Settings;

/// Where users set them, for messages.
pub(super) const FIELD: &str = "spec.source.objectStore.credentialsSecretRef";
/// Longest value read from a file.
const MAX_VALUE_BYTES: u64 = 64 << 10;

/// A setting by its lower-case name.
type Setting = (String, String);

/// The store of an address.
///
/// # Errors
/// When a setting is unknown, missing, or cannot be read; messages name it and never its value.
pub(super) fn open(
    uri: &ObjectUri,
    secret: Option<&Path>,
    patience: Settings,
) -> Result<Arc<dyn ObjectStore>, PrepareFailure> {
    let settings = match secret {
        Some(dir) => read(dir, uri.service)?,
        None => Vec::new(),
    };
    let connector = Connector { settings: patience };
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: patience.backoff.first,
            max_backoff: patience.backoff.longest,
            ..BackoffConfig::default()
        },
        max_retries: patience.attempts.saturating_sub(1) as usize,
        ..RetryConfig::default()
    };
    let store: object_store::Result<Arc<dyn ObjectStore>> = match uri.service {
        Service::S3 => {
            let mut builder = AmazonS3Builder::from_env();
            for (key, value) in settings {
                builder = builder.with_config(known(&key, as_s3_client)?, value);
            }
            check_plain(builder.get_config_value(&AmazonS3ConfigKey::Endpoint), || {
                builder.get_config_value(&AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp))
            })?;
            let builder = builder.with_bucket_name(&uri.bucket).with_retry(retry);
            builder
                .with_http_connector(connector)
                .build()
                .map(|store| Arc::new(store) as _)
        }
        Service::Azure => {
            let mut builder = MicrosoftAzureBuilder::from_env();
            for (key, value) in settings {
                builder = builder.with_config(known(&key, as_azure_client)?, value);
            }
            check_plain(builder.get_config_value(&AzureConfigKey::Endpoint), || {
                builder.get_config_value(&AzureConfigKey::Client(ClientConfigKey::AllowHttp))
            })?;
            let builder = builder.with_container_name(&uri.bucket).with_retry(retry);
            builder
                .with_http_connector(connector)
                .build()
                .map(|store| Arc::new(store) as _)
        }
        Service::Google => {
            let mut builder = GoogleCloudStorageBuilder::from_env();
            for (key, value) in settings {
                let key = match known(&key, as_google_client)? {
                    // A Secret holds the account's document and no path to it.
                    GoogleConfigKey::ServiceAccount if value.starts_with('{') => GoogleConfigKey::ServiceAccountKey,
                    key => key,
                };
                builder = builder.with_config(key, value);
            }
            let builder = builder.with_bucket_name(&uri.bucket).with_retry(retry);
            builder
                .with_http_connector(connector)
                .build()
                .map(|store| Arc::new(store) as _)
        }
    };
    store.map_err(|error| {
        refused(&format!(
            "failed to set up {uri}: {error}; it usually takes {}",
            uri.service.usual()
        ))
    })
}

fn as_s3_client(key: &AmazonS3ConfigKey) -> Option<&ClientConfigKey> {
    match key {
        AmazonS3ConfigKey::Client(key) => Some(key),
        _ => None,
    }
}

fn as_azure_client(key: &AzureConfigKey) -> Option<&ClientConfigKey> {
    match key {
        AzureConfigKey::Client(key) => Some(key),
        _ => None,
    }
}

fn as_google_client(key: &GoogleConfigKey) -> Option<&ClientConfigKey> {
    match key {
        GoogleConfigKey::Client(key) => Some(key),
        _ => None,
    }
}

/// A setting that is heeded. Of those of the HTTP client, ours knows one.
fn known<K: FromStr>(name: &str, client: impl Fn(&K) -> Option<&ClientConfigKey>) -> Result<K, PrepareFailure> {
    let key = name.parse::<K>().ok();
    key.filter(|key| client(key).is_none_or(|key| *key == ClientConfigKey::AllowHttp))
        .ok_or_else(|| {
            let name = name.to_ascii_uppercase();
            refused(&format!(
                "failed to use key {name} of the Secret: the store has no such setting"
            ))
        })
}

/// Refuses to send credentials unencrypted unless that is asked for.
fn check_plain(endpoint: Option<String>, allows: impl FnOnce() -> Option<String>) -> Result<(), PrepareFailure> {
    let plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    if plain && allows().as_deref() != Some("true") {
        let why = "failed to use the endpoint: it is not encrypted; give an https:// one, \
            or allow this by the key AWS_ALLOW_HTTP (AZURE_ALLOW_HTTP) with the value true";
        return Err(refused(why));
    }
    Ok(())
}

/// Reads the settings of a service. Other keys are for somebody else.
fn read(dir: &Path, service: Service) -> Result<Vec<Setting>, PrepareFailure> {
    let unreadable = |what: &Path, error: &io::Error| {
        let message = format!(
            "failed to read {}: {error}; check the Secret in {FIELD}",
            what.display()
        );
        PrepareFailure::new(reasons::INTERNAL, message, true)
    };
    let mut settings = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|error| unreadable(dir, &error))? {
        let entry = entry.map_err(|error| unreadable(dir, &error))?;
        let key = entry.file_name().to_string_lossy().into_owned();
        if !key.starts_with(service.prefix()) {
            continue;
        }
        let path = entry.path();
        let length = std::fs::metadata(&path)
            .map_err(|error| unreadable(&path, &error))?
            .len();
        if length > MAX_VALUE_BYTES {
            return Err(refused(&format!(
                "failed to use key {key} of the Secret: its value is longer than 64 KiB"
            )));
        }
        let value = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
        settings.push((key.to_ascii_lowercase(), value.trim().to_owned()));
    }
    if settings.is_empty() {
        return Err(refused(&format!(
            "failed to find the store's credentials: the Secret has no key that begins with {}; it usually has {}",
            service.prefix(),
            service.usual()
        )));
    }
    Ok(settings)
}

fn refused(why: &str) -> PrepareFailure {
    PrepareFailure::new(reasons::FORBIDDEN, format!("{why}; check the Secret in {FIELD}"), false)
}
