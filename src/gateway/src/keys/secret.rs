//! One API key, as a Secret tells of it.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{api::core::v1::Secret, jiff::Timestamp};
use kube::ResourceExt;

use crate::identity::{Fingerprint, Identity};

/// SHA-256 of the key, in hexadecimal digits.
const SHA256: &str = "sha256";
/// Name of the user that the key stands for.
const USER: &str = "user";
/// Groups of the user, divided by commas or line ends.
const GROUPS: &str = "groups";
/// When the key ends: `2027-01-01T00:00:00Z`.
const EXPIRES: &str = "expires";
/// The group of all whom Kubernetes has authenticated.
const AUTHENTICATED: &str = "system:authenticated";
/// Names that Kubernetes keeps for itself: a key must not make anybody a part of it.
const RESERVED: &str = "system:";
/// Which key it was, for authorizers and audits.
const EXTRA: &str = "atelier.dev/api-key";
const LONGEST_NAME: usize = 256;
const MOST_GROUPS: usize = 64;

/// A key, without itself.
#[derive(Clone, Debug)]
pub struct Key {
    /// Whose it is.
    pub identity: Arc<Identity>,
    expires: Option<Timestamp>,
}

impl Key {
    /// Whether it holds at a time.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|end| now < end)
    }

    /// The key that a Secret tells of, and its SHA-256; or what is wrong with the Secret.
    pub fn parse(secret: &Secret) -> Result<(Fingerprint, Self), String> {
        let digest = text(secret, SHA256)?.ok_or_else(|| missing(SHA256))?;
        let digest = hex::decode(digest).ok().and_then(|bytes| bytes.try_into().ok());
        let digest = digest.ok_or_else(|| format!("data.{SHA256} must be 64 hexadecimal digits"))?;
        let user = text(secret, USER)?.ok_or_else(|| missing(USER))?;
        is_name(USER, user)?;
        let mut groups = Vec::new();
        let listed = text(secret, GROUPS)?.unwrap_or_default().split([',', '\n']);
        for group in listed.map(str::trim).filter(|group| !group.is_empty()) {
            is_name(GROUPS, group)?;
            groups.push(group.to_owned());
        }
        if groups.len() > MOST_GROUPS {
            return Err(format!("data.{GROUPS} may name {MOST_GROUPS} groups at most"));
        }
        groups.push(AUTHENTICATED.into());
        let expires = text(secret, EXPIRES)?.map(str::parse).transpose();
        let expires = expires.map_err(|_| format!("data.{EXPIRES} must be a time like 2027-01-01T00:00:00Z"))?;
        let extra = BTreeMap::from([(EXTRA.to_owned(), vec![secret.name_any()])]);
        let identity = Arc::new(Identity::new(user.into(), String::new(), groups, extra));
        Ok((digest, Self { identity, expires }))
    }
}

/// An entry as text, without blanks around it; `None` when there is none, or an empty one.
fn text<'a>(secret: &'a Secret, entry: &str) -> Result<Option<&'a str>, String> {
    let Some(bytes) = secret.data.as_ref().and_then(|data| data.get(entry)) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes.0).map_err(|_| format!("data.{entry} must be text in UTF-8"))?;
    Ok(Some(text.trim()).filter(|text| !text.is_empty()))
}

fn missing(entry: &str) -> String {
    format!("data.{entry} is missing")
}

fn is_name(entry: &str, name: &str) -> Result<(), String> {
    if name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(format!(
            "data.{entry} must hold names of {LONGEST_NAME} printable bytes at most"
        ));
    }
    if name.starts_with(RESERVED) {
        return Err(format!(
            "data.{entry} must not name {name}: {RESERVED} is kept for Kubernetes' own"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;
    use rstest::rstest;

    use super::*;

    const DIGEST: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    fn secret(entries: &[(&str, &str)]) -> Secret {
        let entry = |(name, value): &(&str, &str)| (name.to_string(), ByteString(value.as_bytes().to_vec()));
        let mut secret = Secret {
            data: Some(entries.iter().map(entry).collect()),
            ..Secret::default()
        };
        secret.metadata.name = Some("bot".into());
        secret
    }

    #[test]
    fn a_secret_says_whose_the_key_is() {
        let entries = [
            (SHA256, &*format!("{DIGEST}\n")),
            (USER, "ci-bot"),
            (GROUPS, "team-a, team-b\nteam-c,"),
            (EXPIRES, "2027-01-01T00:00:00Z"),
        ];
        let (digest, key) = Key::parse(&secret(&entries)).unwrap();
        assert_eq!(hex::encode(digest), DIGEST);
        assert_eq!(key.identity.user(), "ci-bot");
        assert_eq!(key.identity.groups(), ["team-a", "team-b", "team-c", AUTHENTICATED]);
        assert_eq!(key.identity.extra()[EXTRA], ["bot"]);
        let at = |time: &str| time.parse().unwrap();
        assert!(key.is_valid(at("2026-12-31T23:59:59Z")));
        assert!(!key.is_valid(at("2027-01-01T00:00:00Z")));
    }

    #[rstest]
    #[case::no_digest(&[(USER, "u")], "data.sha256 is missing")]
    #[case::short(&[(SHA256, "abcd"), (USER, "u")], "data.sha256 must be 64 hexadecimal digits")]
    #[case::the_key_itself(&[(SHA256, "atl-key"), (USER, "u")], "data.sha256 must be 64 hexadecimal digits")]
    #[case::no_user(&[(SHA256, DIGEST), (USER, " ")], "data.user is missing")]
    #[case::system_user(&[(SHA256, DIGEST), (USER, "system:admin")], "data.user must not name system:admin")]
    #[case::masters(&[(SHA256, DIGEST), (USER, "u"), (GROUPS, "a,system:masters")], "data.groups must not name system:masters")]
    #[case::control(&[(SHA256, DIGEST), (USER, "a\u{7}b")], "data.user must hold names")]
    #[case::time(&[(SHA256, DIGEST), (USER, "u"), (EXPIRES, "tomorrow")], "data.expires must be a time")]
    fn what_is_wrong_is_told_by_entry(#[case] entries: &[(&str, &str)], #[case] expected: &str) {
        let fault = Key::parse(&secret(entries)).unwrap_err();
        assert!(fault.starts_with(expected), "{fault}");
    }
}
