//! The API as the API server meets it: over TLS on loopback.

use std::{net::SocketAddr, sync::Arc};

use futures::{FutureExt, future::BoxFuture};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use reqwest::{Client, Identity, StatusCode};
use rustls::pki_types::CertificateDer;
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch};

use super::{
    Measure, Metric, Missing,
    certificate::Certificate,
    server::{self, Tls},
    trust::Trust,
};

const HOST: &str = "atelier-operator.ns.svc";
const VALUE: &str = "/apis/external.metrics.k8s.io/v1beta1/namespaces/team/atelier_requests_in_flight\
    ?labelSelector=atelier.dev%2Fmodel%3Dm%2Catelier.dev%2Fversion%3Dv-1";

/// Vouches for clients.
pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    /// A client's certificate, and with its key for a client to use.
    pub fn client(&self, name: &str) -> (CertificateDer<'static>, Identity) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let pem = certificate.pem() + &key.serialize_pem();
        (certificate.der().clone(), Identity::from_pem(pem.as_bytes()).unwrap())
    }
}

/// Knows one version of one model.
struct Known;

impl Measure for Known {
    fn measure<'a>(
        &'a self,
        metric: Metric,
        namespace: &'a str,
        model: &'a str,
        version: &'a str,
    ) -> BoxFuture<'a, Result<f64, Missing>> {
        let value = match (metric, namespace, model, version) {
            (Metric::InFlight, "team", "m", "v-1") => Ok(7.5),
            _ => Err(Missing("nobody knows".into())),
        };
        std::future::ready(value).boxed()
    }
}

struct Server {
    address: SocketAddr,
    certificate: Certificate,
    authority: Authority,
}

impl Server {
    async fn start() -> Self {
        let (certificate, authority) = (Certificate::new(HOST).unwrap(), Authority::new());
        let trust = [
            ("requestheader-client-ca-file", authority.pem.clone()),
            ("requestheader-allowed-names", r#"["front-proxy-client"]"#.into()),
        ];
        let trust = Trust::parse(&trust.map(|(key, value)| (key.to_owned(), value)).into()).unwrap();
        let (_, tls) = watch::channel(Some(Tls::new(&certificate, &trust).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(server::serve(listener, tls, server::router(Arc::new(Known))));
        Self {
            address,
            certificate,
            authority,
        }
    }

    /// A client that checks the server as the API server does, by its certificate alone.
    fn client(&self, identity: Option<Identity>) -> Client {
        let known = reqwest::Certificate::from_pem(self.certificate.pem().as_bytes()).unwrap();
        let mut builder = Client::builder()
            .no_proxy()
            .use_rustls_tls()
            .tls_built_in_root_certs(false)
            .add_root_certificate(known)
            .resolve(HOST, self.address);
        if let Some(identity) = identity {
            builder = builder.identity(identity);
        }
        builder.build().unwrap()
    }

    async fn get(&self, identity: Option<Identity>, path: &str) -> Result<(StatusCode, Value), reqwest::Error> {
        let url = format!("https://{HOST}:{}{path}", self.address.port());
        let response = self.client(identity).get(url).send().await?;
        let status = response.status();
        Ok((status, response.json().await?))
    }

    fn api_server(&self) -> Option<Identity> {
        Some(self.authority.client("front-proxy-client").1)
    }
}

#[tokio::test]
async fn the_api_server_gets_values() {
    let server = Server::start().await;
    let (status, list) = server.get(server.api_server(), VALUE).await.unwrap();
    assert_eq!(
        (status, list["kind"].as_str()),
        (StatusCode::OK, Some("ExternalMetricValueList")),
        "{list}"
    );
    let item = &list["items"][0];
    assert_eq!(
        (item["metricName"].as_str(), item["value"].as_str()),
        (Some("atelier_requests_in_flight"), Some("7500m"))
    );
    assert!(item["timestamp"].as_str().unwrap().ends_with('Z'), "{item}");
    let (_, list) = server
        .get(server.api_server(), "/apis/external.metrics.k8s.io/v1beta1")
        .await
        .unwrap();
    assert_eq!(list["groupVersion"], "external.metrics.k8s.io/v1beta1");
    assert_eq!(list["resources"].as_array().unwrap().len(), Metric::ALL.len());
    for path in ["/apis", "/apis/external.metrics.k8s.io"] {
        let (status, groups) = server.get(server.api_server(), path).await.unwrap();
        assert!(
            status.is_success() && groups.to_string().contains("external.metrics.k8s.io/v1beta1"),
            "{groups}"
        );
    }
}

#[tokio::test]
async fn what_is_not_known_is_an_error_and_never_a_number() {
    let server = Server::start().await;
    for (path, status) in [
        (VALUE.replace("v-1", "v-2"), 503),
        (VALUE.replace("in_flight", "under_way"), 404),
        (VALUE.split('?').next().unwrap().to_owned(), 400),
        ("/openapi/v2".to_owned(), 404),
    ] {
        let (code, refusal) = server.get(server.api_server(), &path).await.unwrap();
        assert_eq!(code.as_u16(), status, "{path}");
        assert_eq!(
            (refusal["kind"].as_str(), refusal["code"].as_u64()),
            (Some("Status"), Some(status.into()))
        );
        assert!(refusal.get("items").is_none());
    }
}

#[tokio::test]
async fn nobody_but_the_api_server_is_served() {
    let server = Server::start().await;
    let (status, refusal) = server.get(None, VALUE).await.unwrap();
    assert_eq!(
        (status, refusal["reason"].as_str()),
        (StatusCode::UNAUTHORIZED, Some("Unauthorized"))
    );
    // Vouched for, under another name.
    let other = Some(server.authority.client("somebody").1);
    assert_eq!(server.get(other, VALUE).await.unwrap().0, StatusCode::UNAUTHORIZED);
    // The right name, vouched for by nobody.
    let stranger = Authority::new().client("front-proxy-client").1;
    assert!(server.get(Some(stranger), VALUE).await.is_err());
}
