//! Calls over HTTP.

use std::{sync::Arc, time::Duration};

use axum::http::{HeaderName, header};
use reqwest::{Response, Url};
use tokio::time::timeout;

use super::{Clients, KeyName, Secret, explain, guard};
use crate::{
    catalog::Model,
    error::Error,
    provider::{KeyHeader, Outgoing, Service},
    upstream::UpstreamTimeouts,
};

/// A whole answer with many vectors is far below.
const MAX_ANSWER: usize = 64 << 20;

/// Asks all providers.
pub struct Calls {
    clients: Arc<Clients>,
    timeouts: UpstreamTimeouts,
}

impl Calls {
    /// By `clients`, without connections yet.
    pub fn new(clients: Arc<Clients>, timeouts: UpstreamTimeouts) -> Self {
        Self { clients, timeouts }
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
        called: &Model,
        patience: Duration,
    ) -> Result<Response, Error> {
        let model = || called.qualified();
        let url = Url::parse(&outgoing.url).map_err(|_| Error::ProviderUnreachable { model: model() })?;
        if !url
            .host_str()
            .is_some_and(|host| self.clients.guard().admits_host(host))
        {
            return Err(Error::ProviderAddress { model: model() });
        }
        let authorities = service.authorities().map(|it| KeyName::new(&called.namespace, it));
        let client = self.clients.trusting(authorities.as_ref()).await;
        let client = client.map_err(|why| Error::ProviderCredentials {
            model: model(),
            reason: authorities.map(|name| explain(&name, why)).unwrap_or_default(),
        })?;
        let mut request = client.post(url).json(&outgoing.body);
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
