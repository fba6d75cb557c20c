//! Reading request bodies: bounded in size, in time and in sum.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::{
    body::{Body, HttpBody},
    http::HeaderMap,
    http::header,
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout, timeout_at},
};

use crate::error::Error;

/// Bounds on request bodies.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// Largest body in bytes.
    pub size: usize,
    /// All bodies held at once, in bytes.
    pub total: usize,
    /// Longest wait for the next piece of a body.
    pub idle: Duration,
    /// Longest wait for a whole body.
    pub whole: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            size: 8 << 20,
            total: 256 << 20,
            idle: Duration::from_secs(10),
            whole: Duration::from_secs(60),
        }
    }
}

/// A request body, whole, with its share of the memory for bodies.
#[derive(Clone, Debug)]
pub struct HeldBody {
    /// The bytes.
    pub bytes: Bytes,
    _share: Option<Arc<OwnedSemaphorePermit>>,
}

impl HeldBody {
    /// A body of the gateway's own, which counts for nobody.
    pub fn of(bytes: Bytes) -> Self {
        Self { bytes, _share: None }
    }
}

/// Reads request bodies within [`BodyLimits`].
#[derive(Clone, Debug)]
pub struct BodyReader {
    limits: BodyLimits,
    /// Counts KiB, since a semaphore takes 32-bit numbers.
    memory: Arc<Semaphore>,
}

/// How much of a refused body is still read, and for how long, so that a client which is still
/// sending gets to see the answer instead of a reset connection.
const LINGER_BYTES: usize = 16 << 20;
const LINGER_TIME: Duration = Duration::from_secs(2);

impl BodyReader {
    /// A reader within `limits`.
    pub fn new(limits: BodyLimits) -> Self {
        Self {
            limits,
            memory: Arc::new(Semaphore::new(kib(limits.total) as usize)),
        }
    }

    /// Reads all of `body`.
    ///
    /// # Errors
    /// When it is too large (told from its announced length, where there is one), too slow, or
    /// broken off, and when the bodies already held leave no room.
    pub async fn read(&self, headers: &HeaderMap, body: Body) -> Result<HeldBody, Error> {
        let mut body = body;
        match self.read_bounded(headers, &mut body).await {
            Err(error @ (Error::BodyTooLarge { .. } | Error::Overloaded)) => {
                forget(body);
                Err(error)
            }
            outcome => outcome,
        }
    }

    async fn read_bounded(&self, headers: &HeaderMap, body: &mut Body) -> Result<HeldBody, Error> {
        let too_large = Error::BodyTooLarge {
            limit: self.limits.size,
        };
        let announced = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > self.limits.size) {
            return Err(too_large);
        }
        let deadline = Instant::now() + self.limits.whole;
        let mut bytes = BytesMut::new();
        let mut share: Option<OwnedSemaphorePermit> = None;
        loop {
            let next = timeout_at(deadline, timeout(self.limits.idle, body.frame()));
            let frame = match next.await {
                Ok(Ok(Some(Ok(frame)))) => frame,
                Ok(Ok(None)) => break,
                Ok(Ok(Some(Err(_)))) => return Err(Error::BodyBroken),
                Ok(Err(_)) | Err(_) => return Err(Error::BodyTimeout),
            };
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > self.limits.size {
                return Err(too_large);
            }
            let missing = kib(bytes.len() + data.len()) - share.as_ref().map_or(0, |s| s.num_permits() as u32);
            if missing > 0 {
                let more = self.memory.clone().try_acquire_many_owned(missing);
                let more = more.map_err(|_| Error::Overloaded)?;
                match &mut share {
                    Some(share) => share.merge(more),
                    None => share = Some(more),
                }
            }
            bytes.extend_from_slice(&data);
        }
        Ok(HeldBody {
            bytes: bytes.freeze(),
            _share: share.map(Arc::new),
        })
    }
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX >> 4)
}

/// Reads a little of the body of a refused request and forgets what it reads.
pub fn forget(body: Body) {
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(async move {
        let mut body = pin!(body);
        let mut rest = LINGER_BYTES;
        let read = async {
            while let Some(Ok(frame)) = body.frame().await {
                let length = frame.data_ref().map_or(0, Bytes::len);
                match rest.checked_sub(length) {
                    Some(left) => rest = left,
                    None => return,
                }
            }
        };
        let _ = timeout(LINGER_TIME, read).await;
    });
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::http::HeaderValue;
    use futures::{StreamExt, stream};

    use super::*;

    fn reader() -> BodyReader {
        BodyReader::new(BodyLimits {
            size: 10_000,
            total: 16_384,
            ..BodyLimits::default()
        })
    }

    fn chunks(count: usize, size: usize) -> Body {
        Body::from_stream(stream::iter(vec![Ok::<_, Infallible>(vec![b'x'; size]); count]))
    }

    async fn read(reader: &BodyReader, body: Body) -> Result<HeldBody, Error> {
        reader.read(&HeaderMap::new(), body).await
    }

    #[tokio::test]
    async fn bodies_up_to_the_limit_are_read() {
        let reader = reader();
        assert_eq!(read(&reader, chunks(10, 1000)).await.unwrap().bytes.len(), 10_000);
        assert_eq!(read(&reader, Body::empty()).await.unwrap().bytes.len(), 0);
        let error = read(&reader, chunks(10, 1001)).await.unwrap_err();
        assert_eq!(error, Error::BodyTooLarge { limit: 10_000 });
    }

    #[tokio::test]
    async fn an_announced_length_is_refused_before_reading() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("10001"));
        let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let error = reader().read(&headers, never).await.unwrap_err();
        assert_eq!(error.code(), "request_too_large");
    }

    #[tokio::test]
    async fn memory_is_shared_and_given_back() {
        let reader = reader();
        let first = read(&reader, chunks(1, 9000)).await.unwrap();
        assert_eq!(read(&reader, chunks(1, 9000)).await.unwrap_err(), Error::Overloaded);
        drop(first);
        assert!(read(&reader, chunks(9, 1000)).await.is_ok());
        assert_eq!(reader.memory.available_permits(), 16);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_bodies_are_given_up() {
        let reader = reader();
        let started = Instant::now();
        let stalled = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        assert_eq!(read(&reader, stalled).await.unwrap_err(), Error::BodyTimeout);
        assert_eq!(started.elapsed(), reader.limits.idle);

        let started = Instant::now();
        let drip = stream::repeat(()).then(|()| async {
            tokio::time::sleep(Duration::from_secs(9)).await;
            Ok::<_, Infallible>("x")
        });
        let outcome = read(&reader, Body::from_stream(drip)).await;
        assert_eq!(outcome.unwrap_err(), Error::BodyTimeout);
        assert_eq!(started.elapsed(), reader.limits.whole);
    }

    #[tokio::test]
    async fn a_broken_body_is_no_short_body() {
        let broken = stream::iter([Ok("{\"model\":"), Err(std::io::Error::other("reset"))]);
        assert_eq!(
            read(&reader(), Body::from_stream(broken)).await.unwrap_err(),
            Error::BodyBroken
        );
    }
}
