//! Servers of others that speak TLS, with a certificate that nobody usual vouches for.

use std::{net::SocketAddr, sync::Arc};

use axum::Router;
use tokio::net::TcpListener;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivateKeyDer},
};

/// A certificate for an address, and whoever has its key.
pub struct Certified {
    acceptor: TlsAcceptor,
    /// The certificate, which is its own authority.
    pub pem: String,
}

impl Certified {
    /// For an address.
    pub fn new(host: &str) -> Self {
        let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed([host.into()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            pem: cert.pem(),
        }
    }

    /// Serves `router` behind it.
    pub fn serve(&self, listener: TcpListener, router: Router) {
        let acceptor = self.acceptor.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, router) = (acceptor.clone(), router.clone());
                tokio::spawn(async move {
                    // Whoever does not trust it leaves.
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let service = hyper_util::service::TowerToHyperService::new(router);
                    let io = hyper_util::rt::TokioIo::new(stream);
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(io, service)
                        .await;
                });
            }
        });
    }

    /// As [`Self::serve`], at any port of the address that it is for.
    pub async fn start(host: &str, router: Router) -> (SocketAddr, String) {
        let certified = Self::new(host);
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        certified.serve(listener, router);
        (address, certified.pem)
    }
}
