//! The gRPC API, beside HTTP: the same requests, checked, sent and answered by the same code. A call becomes the request
//! of the HTTP API that says the same, and the answer to that becomes messages.

mod answer;
mod service;
mod status;
mod stream;

use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use rpc::v1::inference_server::InferenceServer;
use tonic::service::Routes;

use crate::routes::{self, Gateway};
use service::Service;

/// Longest message of a caller; [`body`](crate::body) bounds it further.
const MAX_MESSAGE: usize = 64 << 20;

/// All methods, health and reflection. Reflection and health are for everybody.
///
/// # Errors
/// When the API cannot describe itself.
pub async fn router(gateway: Arc<Gateway>) -> anyhow::Result<Router> {
    let http = routes::router(gateway.clone());
    let inference = InferenceServer::new(Service::new(gateway, http)).max_decoding_message_size(MAX_MESSAGE);
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<InferenceServer<Service>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(rpc::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .context("failed to describe the gRPC API")?;
    let routes = Routes::new(inference).add_service(health).add_service(reflection);
    Ok(routes.into_axum_router())
}
