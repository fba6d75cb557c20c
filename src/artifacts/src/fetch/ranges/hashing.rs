//! The digest of a file whose pieces arrive in any order.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;

use crate::digest::Digest;

const BUFFER_BYTES: usize = 1 << 20;

/// Hashes pieces in their order while later ones still arrive, so that little is left to hash at the end.
pub(super) struct Hashing {
    whole: Sender<usize>,
    task: JoinHandle<io::Result<Digest>>,
}

impl Hashing {
    /// Begins with the first piece as soon as it is whole. Ends without a result when this value is dropped.
    pub(super) fn start(file: Arc<File>, pieces: Vec<Range<u64>>) -> Self {
        let (whole, arrived) = channel();
        let task = tokio::task::spawn_blocking(move || hash(&file, &pieces, &arrived));
        Self { whole, task }
    }

    /// A piece is whole.
    pub(super) fn add(&self, piece: usize) {
        // One that failed to read has hung up, and says so at the end.
        let _ = self.whole.send(piece);
    }

    /// The digest, once all pieces are whole.
    pub(super) async fn finish(self) -> io::Result<Digest> {
        drop(self.whole);
        self.task.await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

fn hash(file: &File, pieces: &[Range<u64>], arrived: &Receiver<usize>) -> io::Result<Digest> {
    let mut hasher = Sha256::new();
    let mut whole = BTreeSet::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    for (piece, bounds) in pieces.iter().enumerate() {
        while !whole.remove(&piece) {
            whole.insert(arrived.recv().map_err(io::Error::other)?);
        }
        let mut at = bounds.start;
        while at < bounds.end {
            let length = buffer.len().min((bounds.end - at) as usize);
            file.read_exact_at(&mut buffer[..length], at)?;
            hasher.update(&buffer[..length]);
            at += length as u64;
        }
    }
    Ok(hasher.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> (Arc<File>, Vec<Range<u64>>) {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"abcdefgh", 0).unwrap();
        (Arc::new(file), vec![0..3, 3..6, 6..8])
    }

    #[tokio::test]
    async fn pieces_are_hashed_in_their_order() {
        let (file, pieces) = file();
        let hashing = Hashing::start(file, pieces);
        [2, 0, 1].into_iter().for_each(|piece| hashing.add(piece));
        assert_eq!(hashing.finish().await.unwrap(), Digest::of(&b"abcdefgh"[..]).unwrap());
    }

    #[tokio::test]
    async fn a_missing_piece_has_no_digest() {
        let (file, pieces) = file();
        let hashing = Hashing::start(file, pieces);
        [0, 2].into_iter().for_each(|piece| hashing.add(piece));
        hashing.finish().await.unwrap_err();
    }
}
