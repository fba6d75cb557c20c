//! Rooms without their surroundings: who may see what, how chunks are found, and what an answer must look like.
//!
//! Everything here is a pure function over values. The store holds the documents, the gateway decides who enters and asks
//! the model, the operator fills the Room; none of them repeats a decision that is made here.
//!
//! Start at [`grant`]: nothing is read without a [`Grant`].

pub mod answer;
pub mod cache;
pub mod chunking;
pub mod document;
pub mod fusion;
pub mod grant;
pub mod index;
mod lexical;
pub mod redteam;
pub mod search;
pub mod sql;

pub use document::{Acl, Chunk, ChunkId, Place};
pub use grant::{Clearance, Grant, Principal, RoomKey, Verb};
