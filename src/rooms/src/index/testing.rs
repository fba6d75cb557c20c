//! Rooms for tests.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Instant;

use super::{Builder, Embedding, Index};
use crate::document::{Acl, Chunk, ChunkId, Place};
use crate::grant::{Clearance, Grant, Principal, RoomKey, Verb};

/// Of the vectors below.
pub(crate) const DIMENSION: usize = 40;

/// The Room that all of it is in.
pub(crate) fn room() -> RoomKey {
    RoomKey {
        uid: "uid".into(),
        namespace: "ns".into(),
        name: "room".into(),
    }
}

/// One of eight lists of names; 0 is everyone, and 1 is nobody.
pub(crate) fn acl(number: usize) -> Acl {
    const LISTS: [&[&str]; 7] = [
        &[],
        &["user:jane"],
        &["group:hr"],
        &["user:joe", "group:hr"],
        &["group:ops", "group:hr"],
        // Names of no kind, and of users that are called like groups.
        &["jane", "user:hr", "robot:jane"],
        &["group:ops"],
    ];
    match number.checked_sub(1) {
        None => Acl::everyone(),
        Some(list) => Acl::of(LISTS[list].iter().map(|&name| name.to_owned())),
    }
}

/// A grant to search, to one of three users, in one of four sets of groups.
pub(crate) fn grant(user: usize, groups: usize, clearance: u8) -> Grant {
    let groups: &[&str] = [&[][..], &["hr"], &["ops"], &["hr", "ops"]][groups];
    let principal = Principal {
        user: ["jane", "joe", "hr"][user].into(),
        groups: groups.iter().map(|&group| group.into()).collect(),
    };
    Grant::issue(room(), Verb::Search, principal, Clearance(clearance), Instant::now())
}

/// A grant to jane for a Room and a purpose.
pub(crate) fn grant_to(room: RoomKey, verb: Verb) -> Grant {
    let principal = grant(0, 0, 0).principal().clone();
    Grant::issue(room, verb, principal, Clearance(0), Instant::now())
}

/// A chunk of a document that has ten of them.
pub(crate) fn chunk(id: i64, text: &str, clearance: u8, acl: Acl) -> Chunk {
    Chunk {
        id: ChunkId(id),
        document: format!("document {}", id / 10),
        source: format!("source {}", id / 100),
        place: Place::default(),
        text: text.into(),
        clearance: Clearance(clearance),
        acl,
    }
}

/// A vector that is near to those of texts with the same words.
pub(crate) fn vector(text: &str) -> Vec<f32> {
    let mut vector = vec![0.001; DIMENSION];
    for word in text.split_whitespace() {
        let mut hash = DefaultHasher::new();
        word.hash(&mut hash);
        let mut bits = hash.finish();
        for component in &mut vector {
            *component += (bits & 3) as f32 - 1.5;
            bits = bits.rotate_right(3).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }
    vector
}

/// An index of chunks, with a token for each word.
pub(crate) fn index(chunks: &[Chunk]) -> Index {
    let mut builder = Builder::new(room(), 1, DIMENSION);
    for chunk in chunks {
        let embedding = Embedding::new(&vector(&chunk.text)).unwrap();
        let tokens = chunk.text.split_whitespace().count() as u32;
        builder.push(chunk, tokens, embedding).unwrap();
    }
    builder.finish().unwrap()
}
