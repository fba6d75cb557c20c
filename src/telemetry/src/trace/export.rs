//! Sends spans to the collector, in batches.

use std::{io::Write as _, time::Duration};

use flate2::{Compression, write::GzEncoder};
use opentelemetry_proto::{
    tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    transform::{common::tonic::ResourceAttributesWithSchema, trace::tonic::group_spans_by_resource_and_scope},
};
use opentelemetry_sdk::{Resource, trace::SpanData};
use prost::Message as _;
use reqwest::{
    Certificate, Client, Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, sleep_until},
};

use super::{Settings, spans::Counts};

const PROTOBUF: &str = "application/x-protobuf";
/// Tries to send a batch, with doubling pauses in between.
const TRIES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// A collector that asks for longer loses the batch.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Longest answer that is looked at.
const MAX_ANSWER: usize = 64 << 10;

/// Sends the spans of this process.
pub struct Exporter {
    client: Client,
    settings: Settings,
    resource: ResourceAttributesWithSchema,
    counts: Counts,
    /// Whether the last batch was lost: only changes are logged.
    is_failing: bool,
}

/// What came of sending a batch.
enum Outcome {
    /// The collector has it, but for so many spans.
    Taken { rejected: u64 },
    /// It may work later, after this time.
    Later(Option<Duration>, String),
    /// It will not work.
    Refused(String),
}

impl Exporter {
    /// Without a connection yet.
    ///
    /// # Errors
    /// When there is no TLS as the settings want it.
    pub fn new(settings: Settings, resource: &Resource, counts: Counts) -> Result<Self, reqwest::Error> {
        let mut client = Client::builder()
            .timeout(settings.timeout)
            .user_agent(concat!("atelier/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = &settings.certificate {
            for certificate in Certificate::from_pem_bundle(pem)? {
                client = client.add_root_certificate(certificate);
            }
        }
        Ok(Self {
            client: client.build()?,
            settings,
            resource: resource.into(),
            counts,
            is_failing: false,
        })
    }

    /// Sends `spans` until `stop`, and then those that are left.
    pub async fn run(mut self, mut spans: mpsc::Receiver<SpanData>, mut stop: oneshot::Receiver<()>) {
        let mut goes_on = true;
        loop {
            let mut batch = Vec::new();
            let full = self.settings.batch;
            let mut until = None;
            while batch.len() < full {
                let room = full - batch.len();
                tokio::select! {
                    count = spans.recv_many(&mut batch, room) => match count {
                        0 => break,
                        _ => _ = until.get_or_insert_with(|| Instant::now() + self.settings.delay),
                    },
                    () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => break,
                    _ = &mut stop, if goes_on => {
                        goes_on = false;
                        spans.close();
                    }
                }
            }
            if batch.is_empty() {
                return;
            }
            self.export(batch).await;
        }
    }

    async fn export(&mut self, batch: Vec<SpanData>) {
        let count = batch.len() as u64;
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let body = self.compress(ExportTraceServiceRequest { resource_spans }.encode_to_vec());
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=TRIES {
            match self.send(body.clone()).await {
                Outcome::Taken { rejected } => {
                    let rejected = rejected.min(count);
                    self.counts.exported.inc_by(count - rejected);
                    self.counts.rejected.inc_by(rejected);
                    if std::mem::take(&mut self.is_failing) {
                        tracing::info!("the collector takes spans again");
                    }
                    return;
                }
                Outcome::Later(after, _) if attempt < TRIES && after.is_none_or(|after| after <= LONGEST_PAUSE) => {
                    sleep(after.unwrap_or(pause)).await;
                    pause *= 2;
                }
                Outcome::Later(_, reason) | Outcome::Refused(reason) => {
                    self.counts.failed.inc_by(count);
                    if !std::mem::replace(&mut self.is_failing, true) {
                        tracing::warn!(reason, "failed to send spans to the collector; they are dropped");
                    }
                    return;
                }
            }
        }
    }

    async fn send(&self, body: Vec<u8>) -> Outcome {
        let mut request = self
            .client
            .post(self.settings.endpoint.clone())
            .headers(self.settings.headers.clone())
            .header(CONTENT_TYPE, PROTOBUF);
        if self.settings.gzip {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        let response = match request.body(body).send().await {
            Ok(response) => response,
            // The address may hold a secret.
            Err(error) => return Outcome::Later(None, error.without_url().to_string()),
        };
        let status = response.status();
        let after = response.headers().get(RETRY_AFTER);
        let after = after.and_then(|after| after.to_str().ok()?.parse().ok());
        match status {
            status if status.is_success() => Outcome::Taken {
                rejected: rejected(response).await,
            },
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Outcome::Later(
                after.map(Duration::from_secs),
                format!("the collector answers {status}"),
            ),
            status => Outcome::Refused(format!("the collector answers {status}")),
        }
    }

    fn compress(&self, body: Vec<u8>) -> Vec<u8> {
        if !self.settings.gzip {
            return body;
        }
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        // Nothing fails that writes to memory.
        let written = gzip.write_all(&body).and_then(|()| gzip.finish());
        written.unwrap_or_default()
    }
}

/// How many spans of a batch the collector did not want, as far as it says so.
async fn rejected(mut response: Response) -> u64 {
    let mut body = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        if body.len() + piece.len() > MAX_ANSWER {
            return 0;
        }
        body.extend_from_slice(&piece);
    }
    let answer = ExportTraceServiceResponse::decode(&*body).ok();
    let partial = answer.and_then(|answer| answer.partial_success);
    partial.map_or(0, |partial| u64::try_from(partial.rejected_spans).unwrap_or(0))
}
