//! Where hosted models may not be. Who writes an LlmModel chooses an address that the gateway asks in its own name:
//! it must not lead to the workers of others, past the question who may ask them, or to what only a node's own pods
//! should reach.

use std::{fmt, io, net::IpAddr, net::SocketAddr, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::catalog::Catalog;

/// The provider is where it may not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forbidden;

impl fmt::Display for Forbidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the address is a worker's, or one of the node's own")
    }
}

impl std::error::Error for Forbidden {}

/// Knows the addresses.
#[derive(Clone)]
pub struct Guard {
    catalog: Arc<Catalog>,
    admits_loopback: bool,
}

impl Guard {
    /// Admits no worker in `catalog`; loopback for tests only.
    pub fn new(catalog: Arc<Catalog>, admits_loopback: bool) -> Self {
        Self {
            catalog,
            admits_loopback,
        }
    }

    /// Whether a provider may be there.
    pub fn admits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let is_own = match address {
            // Metadata servers of clouds are among the latter.
            IpAddr::V4(address) => address.is_unspecified() || address.is_link_local(),
            IpAddr::V6(address) => address.is_unspecified() || address.is_unicast_link_local(),
        };
        let is_loopback = address.is_loopback() && !self.admits_loopback;
        !(is_own || is_loopback || self.catalog.is_worker(address))
    }

    /// As [`Self::admits`], for the host of a URL: names are looked at when they are resolved.
    pub fn admits_host(&self, host: &str) -> bool {
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse();
        literal.map_or(true, |address| self.admits(address))
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if found.is_empty() {
                return Err(io::Error::from(io::ErrorKind::NotFound).into());
            }
            let admitted: Vec<_> = found.into_iter().filter(|it| guard.admits(it.ip())).collect();
            match admitted.is_empty() {
                true => Err(Forbidden.into()),
                false => Ok(Box::new(admitted.into_iter()) as Addrs),
            }
        })
    }
}

/// Whether `error` is because of where the provider is.
pub fn is_forbidden(error: &reqwest::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.is::<Forbidden>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("203.0.113.7", true)]
    #[case("10.96.0.10", true)]
    #[case("models.example.com", true)]
    #[case("127.0.0.1", false)]
    #[case("0.0.0.0", false)]
    #[case("169.254.169.254", false)]
    #[case("[::1]", false)]
    #[case("[::ffff:127.0.0.1]", false)]
    #[case("[fe80::1]", false)]
    fn a_node_s_own_addresses_are_not_for_providers(#[case] host: &str, #[case] admitted: bool) {
        let guard = Guard::new(Arc::default(), false);
        assert_eq!(guard.admits_host(host), admitted);
    }

    #[tokio::test]
    async fn names_are_looked_at_when_they_are_resolved() {
        let guard = Guard::new(Arc::default(), false);
        let refused = guard.resolve("localhost".parse().unwrap()).await;
        assert!(refused.err().is_some_and(|error| error.is::<Forbidden>()));
    }
}
