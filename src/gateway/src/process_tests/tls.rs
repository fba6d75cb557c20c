//! Callers that speak TLS.

use std::sync::Arc;

use axum::http::StatusCode;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::{CHAT, within};
use crate::{
    testing::{TestGateway, Worker},
    tls::{Files, Tls},
};

struct Certificate {
    dir: tempfile::TempDir,
    pem: String,
}

impl Certificate {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let this = Self {
            dir,
            pem: String::new(),
        };
        this.renewed()
    }

    fn renewed(mut self) -> Self {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["127.0.0.1".into()]).unwrap();
        let Files { certificate, key } = self.files();
        std::fs::write(certificate, cert.pem()).unwrap();
        std::fs::write(key, signing_key.serialize_pem()).unwrap();
        self.pem = cert.pem();
        self
    }

    fn files(&self) -> Files {
        Files {
            certificate: self.dir.path().join("tls.crt"),
            key: self.dir.path().join("tls.key"),
        }
    }
}

/// Asks over a connection of its own, trusting one certificate.
async fn ask(gateway: &TestGateway, certificate: &str) -> Result<StatusCode, reqwest::Error> {
    let trusted = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
    let client = reqwest::Client::builder()
        .no_proxy()
        .add_root_certificate(trusted)
        .build()
        .unwrap();
    let url = format!("https://{}/v1/chat/completions", gateway.address);
    Ok(client.post(url).bearer_auth("good").body(CHAT).send().await?.status())
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_new_connections() {
    let worker = Worker::answering(StatusCode::OK, "application/json", "{}").await;
    let certificate = Certificate::new();
    let tls = Arc::new(Tls::read(certificate.files()).unwrap());
    let gateway = TestGateway::start(&[&worker], |timing| timing.tls = Some(tls.clone())).await;
    let first = certificate.pem.clone();
    assert_eq!(within(ask(&gateway, &first)).await.unwrap(), 200);
    let certificate = certificate.renewed();
    tls.reread();
    assert!(within(ask(&gateway, &first)).await.is_err());
    assert_eq!(within(ask(&gateway, &certificate.pem)).await.unwrap(), 200);
}

#[tokio::test]
async fn whoever_does_not_speak_tls_disturbs_nobody() {
    let worker = Worker::answering(StatusCode::OK, "application/json", "{}").await;
    let certificate = Certificate::new();
    let tls = Arc::new(Tls::read(certificate.files()).unwrap());
    let gateway = TestGateway::start(&[&worker], |timing| timing.tls = Some(tls)).await;
    let mut plain = TcpStream::connect(gateway.address).await.unwrap();
    plain
        .write_all(b"GET /v1/models HTTP/1.1\r\nhost: g\r\n\r\n")
        .await
        .unwrap();
    let silent = TcpStream::connect(gateway.address).await.unwrap();
    assert_eq!(within(ask(&gateway, &certificate.pem)).await.unwrap(), 200);
    drop(silent);
}
