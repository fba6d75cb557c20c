//! The store's requests over the HTTP client of all other downloads: one TLS library, one set of roots.

use async_trait::async_trait;
use http_body_util::BodyExt as _;
use object_store::client::{
    ClientConfigKey, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService,
};
use object_store::{ClientOptions, Error, Result};
use reqwest::redirect;

use crate::fetch::Settings;

/// Makes clients with our patience.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connector {
    /// How patient they are.
    pub settings: Settings,
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> Result<HttpClient> {
        let allows_http = options.get_config_value(&ClientConfigKey::AllowHttp).as_deref() == Some("true");
        let client = reqwest::Client::builder()
            // A signature is for one host: what a redirect means is for the caller to say.
            .redirect(redirect::Policy::none())
            .https_only(!allows_http)
            .connect_timeout(self.settings.stall)
            .read_timeout(self.settings.stall)
            .http1_only()
            .user_agent(concat!("atelier-worker/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error::Generic {
                store: "HTTP client",
                source: Box::new(error),
            })?;
        Ok(HttpClient::new(Service(client)))
    }
}

#[derive(Debug)]
struct Service(reqwest::Client);

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        // Requests that read have a short body or none.
        let body = body.collect().await?.to_bytes();
        let request = http::Request::from_parts(parts, body);
        let request = reqwest::Request::try_from(request).map_err(failed)?;
        let response = self.0.execute(request).await.map_err(failed)?;
        let (parts, body) = http::Response::<reqwest::Body>::from(response).into_parts();
        Ok(HttpResponse::from_parts(
            parts,
            HttpResponseBody::new(body.map_err(failed)),
        ))
    }
}

/// The error without its URL, which may hold a signature; the kind says whether another try can help.
fn failed(error: reqwest::Error) -> HttpError {
    let kind = if error.is_timeout() {
        HttpErrorKind::Timeout
    } else if error.is_connect() {
        HttpErrorKind::Connect
    } else if error.is_builder() {
        HttpErrorKind::Unknown
    } else {
        HttpErrorKind::Interrupted
    };
    HttpError::new(kind, error.without_url())
}
