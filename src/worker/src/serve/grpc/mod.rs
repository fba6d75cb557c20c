//! The gRPC API, beside HTTP: the same requests, checked and answered by the same code.

mod encoding;
mod reply;
mod service;
mod status;

use std::sync::Arc;

use anyhow::{Context as _, Result};
use rpc::v1::inference_server::{Inference, InferenceServer};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use self::{encoding::Encoding, service::Service};
use super::{
    api::{Api, EncodeApi, MAX_BODY},
    trace::TraceLayer,
};

/// What is served.
pub enum Methods {
    /// A model that writes.
    Generation(Arc<Api>),
    /// One that embeds or reranks.
    Encoding(Arc<EncodeApi>),
}

/// Serves on `listener` until `stop`, and then finishes what it began.
///
/// # Errors
/// When it cannot accept connections.
pub async fn serve(listener: TcpListener, methods: Methods, traces: TraceLayer, stop: CancellationToken) -> Result<()> {
    match methods {
        Methods::Generation(api) => serve_methods(listener, Service::new(api), traces, stop).await,
        Methods::Encoding(api) => serve_methods(listener, Encoding::new(api), traces, stop).await,
    }
}

async fn serve_methods<T: Inference>(
    listener: TcpListener,
    methods: T,
    traces: TraceLayer,
    stop: CancellationToken,
) -> Result<()> {
    let inference = InferenceServer::new(methods).max_decoding_message_size(MAX_BODY);
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<InferenceServer<T>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(rpc::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .context("failed to describe the gRPC API")?;
    let stopped = async move {
        stop.cancelled().await;
        // Watchers send what comes next elsewhere while the last answers are written.
        reporter.set_not_serving::<InferenceServer<T>>().await;
        reporter
            .set_service_status("", tonic_health::ServingStatus::NotServing)
            .await;
    };
    Server::builder()
        .layer(traces)
        .add_service(inference)
        .add_service(health)
        .add_service(reflection)
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stopped)
        .await
        .context("failed to serve gRPC")
}
