//! What the fuzz target `gguf` does with an input.

use crate::{Dimensions, Header};

/// A file that says of itself to be far larger than it is; nothing may be allocated on its word.
const CLAIMED: u64 = 1 << 50;

/// Reads a header, and the dimensions in it.
///
/// # Panics
/// When a header is accepted whose tensors are not in the file.
pub fn header(input: &[u8]) {
    for size in [input.len() as u64, CLAIMED] {
        let Ok(header) = Header::read(input, size) else {
            continue;
        };
        for tensor in &header.tensors {
            let end = tensor.offset.checked_add(tensor.bytes);
            assert!(end.is_some_and(|end| end <= size), "{tensor:?} is not in the file");
        }
        // Most headers are no model's.
        let _ = Dimensions::from_header(&header);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    /// Seeds, and inputs that once failed.
    #[test]
    fn the_corpus_is_harmless() {
        let mut files = fs::read_dir("../fuzz/corpus/gguf").unwrap().peekable();
        assert!(files.peek().is_some());
        for file in files {
            super::header(&fs::read(file.unwrap().path()).unwrap());
        }
    }
}
