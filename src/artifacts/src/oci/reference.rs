//! Addresses in registries: `registry/repository:tag@sha256:…`.

use std::fmt;
use std::str::FromStr;

use crate::digest::Digest;

/// What Docker leaves out of the addresses of its own registry.
const DOCKER_HUB: &str = "docker.io";
/// Where that answers.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";
const DEFAULT_TAG: &str = "latest";
const MAX_TAG: usize = 128;
const MAX_REPOSITORY: usize = 255;

/// An artifact of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Host and port; `docker.io` for Docker's own.
    pub registry: String,
    /// Path of the repository.
    pub repository: String,
    /// Tag, where there is no digest.
    pub tag: String,
    /// Digest of the manifest. It counts, not the tag.
    pub digest: Option<Digest>,
}

impl Reference {
    /// Host and port to ask.
    pub(super) fn host(&self) -> &str {
        match self.registry.as_str() {
            DOCKER_HUB => DOCKER_HUB_HOST,
            host => host,
        }
    }

    /// Whether the registry is on this machine, where nothing is sent over a network.
    pub(super) fn is_loopback(&self) -> bool {
        let name = match self.registry.strip_prefix('[') {
            Some(rest) => rest.split(']').next(),
            None => self.registry.split(':').next(),
        };
        let address = name.and_then(|name| name.parse::<std::net::IpAddr>().ok());
        name == Some("localhost") || address.is_some_and(|address| address.is_loopback())
    }

    /// What the manifest is asked for by.
    pub(super) fn target(&self) -> String {
        self.digest.map_or_else(|| self.tag.clone(), |digest| digest.prefixed())
    }
}

/// The name by which credentials are kept for a registry.
pub(super) fn registry_name(host: &str) -> &str {
    match host {
        "index.docker.io" | DOCKER_HUB_HOST => DOCKER_HUB,
        host => host,
    }
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        let digest = digest.map(read_digest).transpose()?;
        let (registry, path) = match name.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (registry_name(first), rest),
            _ => (DOCKER_HUB, name),
        };
        let (repository, tag) = path.rsplit_once(':').unwrap_or((path, DEFAULT_TAG));
        let part = |part: &str| {
            part.bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
                && part.bytes().any(|byte| byte.is_ascii_alphanumeric())
        };
        if repository.len() > MAX_REPOSITORY || !repository.split('/').all(part) {
            return Err(format!(
                "{repository:?} is no path of a repository: lower-case words between slashes"
            ));
        }
        let is_tag = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        if tag.is_empty() || tag.len() > MAX_TAG || !tag.bytes().all(is_tag) || tag.starts_with(['.', '-']) {
            return Err(format!("{tag:?} is no tag"));
        }
        let repository = match (registry, repository.contains('/')) {
            (DOCKER_HUB, false) => format!("library/{repository}"),
            _ => repository.to_owned(),
        };
        Ok(Self {
            registry: registry.to_owned(),
            repository,
            tag: tag.to_owned(),
            digest,
        })
    }
}

/// A digest of the one algorithm that all registries know.
pub(super) fn read_digest(text: &str) -> Result<Digest, String> {
    let is_sha256 = text.starts_with("sha256:");
    let digest = text.parse().ok().filter(|_| is_sha256);
    digest.ok_or_else(|| format!("{:?} is no sha256 digest", text.chars().take(80).collect::<String>()))
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            registry, repository, ..
        } = self;
        match self.digest {
            Some(digest) => write!(f, "{registry}/{repository}@{}", digest.prefixed()),
            None => write!(f, "{registry}/{repository}:{}", self.tag),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(
        "registry.example.com/team/model:1",
        "registry.example.com/team/model:1",
        "registry.example.com",
        false
    )]
    #[case(
        "registry.example.com:5000/model",
        "registry.example.com:5000/model:latest",
        "registry.example.com:5000",
        false
    )]
    #[case("model", "docker.io/library/model:latest", "registry-1.docker.io", false)]
    #[case("ai/smollm2:135M", "docker.io/ai/smollm2:135M", "registry-1.docker.io", false)]
    #[case("index.docker.io/ai/m", "docker.io/ai/m:latest", "registry-1.docker.io", false)]
    #[case("localhost/m:1", "localhost/m:1", "localhost", true)]
    #[case("127.0.0.1:5000/m:1", "127.0.0.1:5000/m:1", "127.0.0.1:5000", true)]
    #[case("[::1]:5000/m:1", "[::1]:5000/m:1", "[::1]:5000", true)]
    #[case(
        "127.0.0.1.example.com/m:1",
        "127.0.0.1.example.com/m:1",
        "127.0.0.1.example.com",
        false
    )]
    fn references_have_parts(#[case] text: &str, #[case] shown: &str, #[case] host: &str, #[case] loopback: bool) {
        let reference: Reference = text.parse().unwrap();
        assert_eq!(
            (
                reference.to_string().as_str(),
                reference.host(),
                reference.is_loopback()
            ),
            (shown, host, loopback)
        );
    }

    #[test]
    fn a_digest_counts_and_a_tag_beside_it_does_not() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let reference: Reference = format!("r.example/m:1@{digest}").parse().unwrap();
        assert_eq!(reference.target(), digest);
        assert_eq!(reference.to_string(), format!("r.example/m@{digest}"));
    }

    #[rstest]
    #[case("r.example/Model:1", "repository")]
    #[case("r.example/a//b", "repository")]
    #[case("r.example/../b", "repository")]
    #[case("r.example/m:", "tag")]
    #[case("r.example/m:a b", "tag")]
    #[case("r.example/m@sha512:00", "sha256")]
    #[case("r.example/m@sha256:00", "sha256")]
    fn other_texts_are_refused(#[case] text: &str, #[case] says: &str) {
        let error = text.parse::<Reference>().unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}
