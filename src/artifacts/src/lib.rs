//! Where a worker's weights come from: fetched, verified and understood before anything serves them.
//!
//! [`prepare`] brings a file to its place (a resumable download, or a file of a mounted source),
//! compares its SHA-256 and reads its header; [`inspect`] explains a file to a person. Both say what
//! they found as a [`protocol::PrepareReport`], or why not as a [`protocol::PrepareFailure`].
//!
//! Whatever a server sends is verified against a pinned digest before it gets its final name, so a
//! file under that name is always complete.

pub mod adapter;
pub mod cache;
pub mod data;
pub mod digest;
pub mod facts;
pub mod inspect;
pub mod prepare;
pub mod report;
pub mod source_url;
pub mod space;

mod fetch;
mod headers;
mod hub;
mod locate;
mod oci;
mod select;
mod store;
#[cfg(test)]
mod testing;
