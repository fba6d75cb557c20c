//! Whom to take for the API server: what it says of itself.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio::time::timeout;
use x509_cert::{
    Certificate,
    der::{Decode, asn1::AnyRef, oid::ObjectIdentifier},
};

const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// The authorities that vouch for the API server as a client, and its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// Certificates of the authorities.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Common names of the client; none means any.
    names: Vec<String>,
}

impl Trust {
    /// Whether a client with this certificate, for which an authority vouches, is the API server.
    pub fn is_trusted(&self, certificate: &CertificateDer<'_>) -> bool {
        self.names.is_empty() || common_name(certificate).is_some_and(|name| self.names.contains(&name))
    }

    /// Reads the ConfigMap's data.
    ///
    /// # Errors
    /// When it names no authority, or its names are no list.
    pub fn parse(data: &BTreeMap<String, String>) -> Result<Self, String> {
        let field = |name: &str| data.get(name).ok_or(format!("ConfigMap {NAME} has no {name}"));
        let pem = field("requestheader-client-ca-file")?;
        let authorities: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
        let authorities = authorities.map_err(|error| format!("requestheader-client-ca-file: {error}"))?;
        if authorities.is_empty() {
            return Err("requestheader-client-ca-file holds no certificate".into());
        }
        let names = data.get("requestheader-allowed-names").map_or("[]", String::as_str);
        let names = serde_json::from_str(names).map_err(|error| format!("requestheader-allowed-names: {error}"))?;
        Ok(Self { authorities, names })
    }
}

/// What the cluster says.
///
/// # Errors
/// When it does not, or not in full.
pub async fn read(client: &Client) -> Result<Trust, String> {
    let api = Api::<ConfigMap>::namespaced(client.clone(), NAMESPACE);
    let found = timeout(CALL_TIMEOUT, api.get(NAME)).await;
    let found = found.map_err(|_| format!("no answer about ConfigMap {NAME} in time"))?;
    let found = found.map_err(|error| format!("failed to read ConfigMap {NAME} in {NAMESPACE}: {error}"))?;
    Trust::parse(&found.data.unwrap_or_default())
}

fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let names = certificate.tbs_certificate.subject.0;
    let mut attributes = names.iter().flat_map(|name| name.0.iter());
    let value = &attributes.find(|attribute| attribute.oid == COMMON_NAME)?.value;
    let text = AnyRef::from(value).value();
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics_api::tests::Authority;

    fn data(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect()
    }

    #[test]
    fn the_names_decide_where_there_are_any() {
        let authority = Authority::new();
        let client = authority.client("front-proxy-client").0;
        assert_eq!(common_name(&client).as_deref(), Some("front-proxy-client"));
        let ca = ("requestheader-client-ca-file", authority.pem.as_str());
        for (names, is_trusted) in [
            (None, true),
            (Some("[]"), true),
            (Some(r#"["front-proxy-client", "other"]"#), true),
            (Some(r#"["other"]"#), false),
        ] {
            let mut pairs = vec![ca];
            pairs.extend(names.map(|names| ("requestheader-allowed-names", names)));
            let trust = Trust::parse(&data(&pairs)).unwrap();
            assert_eq!(trust.is_trusted(&client), is_trusted, "{names:?}");
        }
    }

    #[test]
    fn nobody_is_trusted_by_half() {
        let authority = Authority::new();
        for pairs in [
            &[][..],
            &[("requestheader-client-ca-file", "")],
            &[(
                "requestheader-client-ca-file",
                "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
            )],
            &[
                ("requestheader-client-ca-file", authority.pem.as_str()),
                ("requestheader-allowed-names", "front-proxy-client"),
            ],
        ] {
            assert!(Trust::parse(&data(pairs)).is_err(), "{pairs:?}");
        }
    }
}
