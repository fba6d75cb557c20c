//! For whom a request is.

use axum::{extract::FromRequestParts, http::request::Parts};
use engine::Request;
use telemetry::trace::Span;

use super::error::Error;
use crate::serve::trace::span_of;

/// Longest name of a user.
const MAX_LENGTH: usize = 128;

/// Who asks, as far as the gateway says so. Without a gateway all requests are one user's.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    user: Option<String>,
    span: Span,
}

impl Caller {
    /// The caller that a header names, or the one of whom nothing is known.
    ///
    /// # Errors
    /// When it is no name.
    pub fn of_header(value: Option<&[u8]>) -> Result<Self, Error> {
        let Some(value) = value else {
            return Ok(Self::default());
        };
        let user = std::str::from_utf8(value).ok();
        let visible = |user: &&str| user.bytes().all(|byte| byte.is_ascii_graphic());
        match user.filter(visible) {
            Some(user) if (1..=MAX_LENGTH).contains(&user.len()) => Ok(Self {
                user: Some(user.into()),
                span: Span::default(),
            }),
            _ => Err(Error::InvalidHeader {
                header: protocol::headers::USER,
                expected: "1 to 128 visible ASCII characters",
            }),
        }
    }

    /// The same caller, whose request has this span.
    pub fn traced(self, span: Span) -> Self {
        Self { span, ..self }
    }

    /// The span of the request.
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// An empty request of this caller.
    pub fn request(&self) -> Request {
        Request {
            user: self.user.clone(),
            // What one user asked must not show in how fast another is answered.
            cache_scope: self.user.clone(),
            ..Request::default()
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Error> {
        let value = parts.headers.get(protocol::headers::USER);
        let caller = Self::of_header(value.map(|value| value.as_bytes()))?;
        Ok(caller.traced(span_of(&parts.extensions)))
    }
}
