//! The result's file: its size is known at the start, and each tensor is written in its place.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use gguf::{Layout, TensorInfo};
use rustix::{
    fs::{FallocateFlags, fallocate},
    io::Errno,
};
use sha2::{Digest, Sha256};

use crate::Error;

/// Bytes that are hashed at once.
const BUFFER: u64 = 1 << 20;

/// A file being written.
pub(crate) struct Output {
    file: File,
    path: PathBuf,
}

impl Output {
    /// Opens the file, with what an earlier run wrote, and takes all the room it needs.
    pub fn open(path: &Path, layout: &Layout) -> Result<Self, Error> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(Error::io("create", path))?;
        match fallocate(&file, FallocateFlags::empty(), 0, layout.size()) {
            // Not every file system can promise room.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
            Err(error) => return Err(Error::io("reserve room for", path)(error.into())),
        }
        file.set_len(layout.size())
            .map_err(Error::io("reserve room for", path))?;
        let output = Self {
            file,
            path: path.to_owned(),
        };
        output.put(0, layout.header())?;
        Ok(output)
    }

    /// Bytes that a file at `path` has taken already.
    pub fn taken(path: &Path) -> u64 {
        std::fs::metadata(path).map_or(0, |metadata| metadata.blocks() * 512)
    }

    /// Writes bytes of a tensor, the first of them at `offset`.
    pub fn write(&self, tensor: &TensorInfo, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        if offset + bytes.len() as u64 > tensor.bytes {
            let why = format!("{} bytes at {offset} do not fit its {}", bytes.len(), tensor.bytes);
            return Err(Error::tensor(&tensor.name, why));
        }
        self.put(tensor.offset + offset, bytes)
    }

    /// Makes everything durable.
    pub fn sync(&self) -> Result<(), Error> {
        self.file.sync_all().map_err(Error::io("write", &self.path))
    }

    /// SHA-256 of these tensors' bytes.
    pub fn digest_of<'t>(&self, tensors: impl Iterator<Item = &'t TensorInfo>) -> Result<String, Error> {
        let mut hasher = Sha256::new();
        for tensor in tensors {
            self.hash(&mut hasher, tensor.offset, tensor.bytes)?;
        }
        Ok(hex::encode(hasher.finalize()))
    }

    /// SHA-256 of the whole file.
    pub fn digest(&self) -> Result<String, Error> {
        let size = self.file.metadata().map_err(Error::io("read", &self.path))?.len();
        let mut hasher = Sha256::new();
        self.hash(&mut hasher, 0, size)?;
        Ok(hex::encode(hasher.finalize()))
    }

    fn hash(&self, hasher: &mut Sha256, first: u64, count: u64) -> Result<(), Error> {
        let mut buffer = vec![0; BUFFER.min(count) as usize];
        for start in (0..count).step_by(BUFFER as usize) {
            let part = &mut buffer[..BUFFER.min(count - start) as usize];
            let read = self.file.read_exact_at(part, first + start);
            read.map_err(Error::io("read", &self.path))?;
            hasher.update(part);
        }
        Ok(())
    }

    fn put(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(Error::io("write", &self.path))
    }
}
