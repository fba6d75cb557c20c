//! Logins of registries from mounted Secrets of type `kubernetes.io/dockerconfigjson`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::PrepareFailure;
use protocol::report::reasons;
use reqwest::header::HeaderValue;
use serde::Deserialize;

use super::reference::{Reference, registry_name};

/// Where users set them, for messages.
const FIELD: &str = "spec.source.oci.pullSecrets";
const MAX_FILE_BYTES: u64 = 1 << 20;

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// User and password for a registry.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login(String);

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(***)")
    }
}

impl Login {
    /// As the header of a request.
    pub(super) fn basic(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(&self.0))).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// The login for a reference, of those in the files of directories: the one that names most of it.
///
/// # Errors
/// When a file cannot be read, or the login is of a kind that we do not know. No message holds a secret.
pub(super) fn find(dirs: &[PathBuf], reference: &Reference) -> Result<Option<Login>, PrepareFailure> {
    let mut best: Option<(usize, Entry)> = None;
    for path in dirs
        .iter()
        .map(|dir| files(dir))
        .collect::<Result<Vec<_>, _>>()?
        .concat()
    {
        for (key, entry) in read(&path)?.auths {
            let length = covers(&key, reference);
            if length.is_some_and(|length| best.as_ref().is_none_or(|(most, _)| length > *most)) {
                best = length.map(|length| (length, entry));
            }
        }
    }
    best.map(|(_, entry)| login(entry)).transpose()
}

/// The files of a directory, in order.
fn files(dir: &Path) -> Result<Vec<PathBuf>, PrepareFailure> {
    let entries = std::fs::read_dir(dir).map_err(|error| unreadable(dir, &error))?;
    let paths = entries.map(|entry| Ok(entry.map_err(|error| unreadable(dir, &error))?.path()));
    let mut paths = paths.collect::<Result<Vec<_>, PrepareFailure>>()?;
    // Those that start with two dots are Kubernetes' own.
    paths.retain(|path| {
        path.file_name()
            .is_some_and(|name| !name.to_string_lossy().starts_with(".."))
    });
    paths.sort();
    Ok(paths)
}

/// How much of a reference a key of `auths` names, if it is for it.
fn covers(key: &str, reference: &Reference) -> Option<usize> {
    let key = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key);
    let (host, path) = key.split_once('/').unwrap_or((key, ""));
    let path = path.trim_end_matches('/');
    // What `docker login` writes for a whole registry.
    let path = if matches!(path, "v1" | "v2") { "" } else { path };
    let inside = reference.repository.strip_prefix(path)?;
    let is_whole = path.is_empty() || inside.is_empty() || inside.starts_with('/');
    (registry_name(host) == reference.registry && is_whole).then_some(path.len())
}

fn login(entry: Entry) -> Result<Login, PrepareFailure> {
    if let Some(text) = entry.auth.filter(|text| !text.is_empty()) {
        let decoded = STANDARD
            .decode(text.trim())
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = decoded.filter(|pair| pair.contains(':'));
        return pair
            .map(Login)
            .ok_or_else(|| refused("auth is not USER:PASSWORD in base64"));
    }
    match (entry.username, entry.password, entry.identitytoken) {
        (Some(user), Some(password), _) => Ok(Login(format!("{user}:{password}"))),
        (_, _, Some(_)) => Err(refused("it has an identity token; give username and password")),
        _ => Err(refused("it has no username and password")),
    }
}

fn read(path: &Path) -> Result<Config, PrepareFailure> {
    let length = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?.len();
    if length > MAX_FILE_BYTES {
        return Err(refused("it is longer than 1 MiB"));
    }
    let text = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    // The error's own text would repeat what is written there.
    serde_json::from_slice(&text).map_err(|error| {
        refused(&format!(
            "it is no dockerconfigjson: line {}, column {}",
            error.line(),
            error.column()
        ))
    })
}

fn unreadable(path: &Path, error: &std::io::Error) -> PrepareFailure {
    let message = format!(
        "failed to read {}: {error}; check the Secrets in {FIELD}",
        path.display()
    );
    PrepareFailure::new(reasons::INTERNAL, message, true)
}

fn refused(why: &str) -> PrepareFailure {
    let message = format!("failed to use the registry's credentials: {why}; check the Secrets in {FIELD}");
    PrepareFailure::new(reasons::FORBIDDEN, message, false)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn found(configs: &[Value], reference: &str) -> Result<Option<Login>, PrepareFailure> {
        let dir = tempfile::tempdir().unwrap();
        for (number, config) in configs.iter().enumerate() {
            std::fs::write(dir.path().join(format!("{number}.json")), config.to_string()).unwrap();
        }
        find(&[dir.path().to_owned()], &reference.parse().unwrap())
    }

    fn entry(user: &str) -> Value {
        json!({"username": user, "password": "secret"})
    }

    #[rstest]
    #[case("r.example/m", Some("host"))]
    #[case("r.example/team/m", Some("team"))]
    #[case("r.example/teams/m", Some("host"))]
    #[case("r.example:5000/m", None)]
    #[case("ai/m", Some("hub"))]
    fn the_login_that_names_most_counts(#[case] reference: &str, #[case] user: Option<&str>) {
        let configs = [
            json!({"auths": {"https://r.example/v1/": entry("host"), "other.example": entry("other")}}),
            json!({"auths": {"r.example/team": entry("team"), "https://index.docker.io/v1/": entry("hub")}}),
        ];
        let expected = user.map(|user| Login(format!("{user}:secret")));
        assert_eq!(found(&configs, reference).unwrap(), expected);
    }

    #[test]
    fn both_forms_are_read() {
        let auth = json!({"auths": {"r.example": {"auth": STANDARD.encode("ann:pass:word")}}});
        let login = found(&[auth], "r.example/m").unwrap().unwrap();
        assert_eq!(login, Login("ann:pass:word".into()));
        assert!(!format!("{login:?}{:?}", login.basic()).contains("pass"));
    }

    #[rstest]
    #[case(json!({"auth": "secret"}), "base64")]
    #[case(json!({"identitytoken": "secret"}), "identity token")]
    #[case(json!({"username": "secret"}), "no username and password")]
    #[case(json!("secret"), "no dockerconfigjson")]
    fn what_is_no_login_is_told_without_it(#[case] entry: Value, #[case] says: &str) {
        let failure = found(&[json!({"auths": {"r.example": entry}})], "r.example/m").unwrap_err();
        assert_eq!(
            (failure.reason.as_str(), failure.retryable),
            (reasons::FORBIDDEN, false)
        );
        assert!(
            failure.message.contains(says) && failure.message.contains("pullSecrets"),
            "{failure}"
        );
        assert!(!failure.message.contains("secret"), "{failure}");
    }
}
