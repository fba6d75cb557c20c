//! The inference API of Atelier over gRPC, as the worker serves it and the gateway calls it.
//!
//! `proto/atelier/v1/inference.proto` is the contract and has its documentation.

pub mod body;

/// Messages, clients and servers of package `atelier.v1`.
pub mod v1 {
    #![allow(missing_docs, clippy::all)]
    tonic::include_proto!("atelier.v1");
}

/// The compiled contract, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/inference.bin"));
