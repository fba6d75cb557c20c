//! Where what a provider wants to see comes from.

use super::{KeyName, identity::Identity};
use crate::provider::Service;

/// Where a key comes from.
pub enum Source {
    /// It lies in a Secret.
    Secret(KeyName),
    /// It is a token, for a while.
    Identity(Identity),
}

impl Source {
    /// Where that of `service` comes from for a model of `namespace`, unless it wants none.
    pub fn of(service: Service<'_>, namespace: &str) -> Option<Self> {
        let secret = service
            .credentials()
            .map(|it| Self::Secret(KeyName::new(namespace, it)));
        secret.or_else(|| Some(Self::Identity(Identity::new(namespace, service.identity()?))))
    }
}
