//! Who a caller is, in Kubernetes' terms.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

/// A SHA-256 sum.
pub type Fingerprint = [u8; 32];

/// A caller that the Kubernetes API server vouched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    user: String,
    uid: String,
    groups: Vec<String>,
    extra: BTreeMap<String, Vec<String>>,
    fingerprint: Fingerprint,
}

impl Identity {
    /// An identity as a TokenReview reports it.
    pub fn new(user: String, uid: String, groups: Vec<String>, extra: BTreeMap<String, Vec<String>>) -> Self {
        let fingerprint = fingerprint(&user, &uid, &groups, &extra);
        Self {
            user,
            uid,
            groups,
            extra,
            fingerprint,
        }
    }

    /// User name, e.g. `system:serviceaccount:team:app`.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Unique id of the user; empty when there is none.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// Groups the user is in.
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// Further attributes that authorizers may look at.
    pub fn extra(&self) -> &BTreeMap<String, Vec<String>> {
        &self.extra
    }

    /// Names the user to workers: equal for all tokens of one user, and telling nothing else about them.
    pub fn pseudonym(&self) -> String {
        let mut hash = Sha256::new();
        hash.update((self.user.len() as u64).to_le_bytes());
        hash.update(&self.user);
        hash.update(&self.uid);
        hex::encode(&hash.finalize()[..16])
    }

    /// Equal exactly for equal identities: what decisions about them are cached by.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

/// Hashes every part with its length before it, so that no two identities share an encoding.
fn fingerprint(user: &str, uid: &str, groups: &[String], extra: &BTreeMap<String, Vec<String>>) -> Fingerprint {
    let mut hash = Sha256::new();
    let mut number = |n: usize, text: &str| {
        hash.update((n as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    number(user.len(), user);
    number(uid.len(), uid);
    number(groups.len(), "");
    for group in groups {
        number(group.len(), group);
    }
    for (key, values) in extra {
        number(key.len(), key);
        number(values.len(), "");
        for value in values {
            number(value.len(), value);
        }
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_counts() {
        let of = |user: &str, uid: &str, groups: &[&str], extra: &[(&str, &[&str])]| {
            let strings = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
            let extra = extra.iter().map(|(k, v)| (k.to_string(), strings(v))).collect();
            Identity::new(user.into(), uid.into(), strings(groups), extra).fingerprint()
        };
        let all = [
            of("u", "1", &["a", "b"], &[]),
            of("u", "1", &["ab"], &[]),
            of("u", "1", &["b", "a"], &[]),
            of("u", "", &["1", "a", "b"], &[]),
            of("u1", "", &["a", "b"], &[]),
            of("u", "1", &["a"], &[("b", &[])]),
            of("u", "1", &["a", "b"], &[("k", &["v"])]),
            of("u", "1", &["a", "b"], &[("k", &["v", ""])]),
        ];
        for (i, one) in all.iter().enumerate() {
            for other in &all[i + 1..] {
                assert_ne!(one, other);
            }
        }
        assert_eq!(all[0], of("u", "1", &["a", "b"], &[]));
    }
}
