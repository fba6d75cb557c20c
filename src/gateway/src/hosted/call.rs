//! Calls over HTTP.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use axum::http::{HeaderName, header};
use reqwest::{Client, Response, Url, redirect};
use tokio::time::timeout;

use super::{
    Secret,
    guard::{self, Guard},
};
use crate::{
    catalog::Model,
    error::Error,
    provider::{KeyHeader, Outgoing, Service},
    upstream::UpstreamTimeouts,
};

/// To open a connection: providers are further away than workers.
const CONNECT: Duration = Duration::from_secs(10);
/// A whole answer with many vectors is far below.
const MAX_ANSWER: usize = 64 << 20;

/// A client for all providers.
pub struct Calls {
    client: Client,
    guard: Guard,
    timeouts: UpstreamTimeouts,
}

impl Calls {
    /// Without connections yet, which go where `guard` lets them.
    ///
    /// # Errors
    /// When TLS is not available.
    pub fn new(guard: Guard, timeouts: UpstreamTimeouts) -> anyhow::Result<Self> {
        let client = Client::builder()
            // A key is for one host.
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT)
            .dns_resolver(Arc::new(guard.clone()))
            .user_agent(concat!("atelier-gateway/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("failed to build an HTTP client for providers")?;
        Ok(Self {
            client,
            guard,
            timeouts,
        })
    }

    /// Sends a request, and returns when the head of the answer is there, within `patience`.
    ///
    /// # Errors
    /// When there is none.
    pub async fn send(
        &self,
        service: Service<'_>,
        outgoing: &Outgoing,
        secret: Option<&Secret>,
        model: &Model,
        patience: Duration,
    ) -> Result<Response, Error> {
        let model = || model.qualified();
        let url = Url::parse(&outgoing.url).map_err(|_| Error::ProviderUnreachable { model: model() })?;
        if !url.host_str().is_some_and(|host| self.guard.admits_host(host)) {
            return Err(Error::ProviderAddress { model: model() });
        }
        let mut request = self.client.post(url).json(&outgoing.body);
        for (name, value) in &outgoing.headers {
            request = request.header(*name, value);
        }
        if let Some(secret) = secret {
            let (name, prefix) = match service.key_header() {
                KeyHeader::Bearer => (header::AUTHORIZATION, "Bearer "),
                KeyHeader::Named(name) => (HeaderName::from_static(name), ""),
            };
            if let Some(value) = secret.header(prefix) {
                request = request.header(name, value);
            }
        }
        match timeout(patience, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                // Its address may hold more than callers and logs should see.
                let error = error.without_url();
                tracing::warn!(model = model(), %error, "a provider did not answer");
                Err(match error.is_connect() {
                    true if guard::is_forbidden(&error) => Error::ProviderAddress { model: model() },
                    true => Error::ProviderUnreachable { model: model() },
                    false => Error::ProviderFailed { model: model() },
                })
            }
            Err(_) => Err(Error::ProviderTimeout { model: model() }),
        }
    }

    /// A whole body.
    ///
    /// # Errors
    /// When it breaks off, falls silent or does not end.
    pub async fn body(&self, mut response: Response, model: &Model) -> Result<Vec<u8>, Error> {
        let model = || model.qualified();
        let mut body = Vec::new();
        loop {
            match timeout(self.timeouts.idle, response.chunk()).await {
                Ok(Ok(Some(piece))) if body.len() + piece.len() <= MAX_ANSWER => body.extend_from_slice(&piece),
                Ok(Ok(None)) => return Ok(body),
                Ok(Ok(Some(_)) | Err(_)) => return Err(Error::ProviderFailed { model: model() }),
                Err(_) => return Err(Error::ProviderTimeout { model: model() }),
            }
        }
    }
}
