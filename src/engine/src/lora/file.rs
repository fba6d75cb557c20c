//! Bounded reading of files that somebody else wrote.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use safetensors::tensor::{Metadata, TensorInfo};
use sha2::{Digest as _, Sha256};

use super::AdapterError;

/// Largest configuration. Real ones have a kibibyte.
const MAX_CONFIG: u64 = 1 << 20;
/// Largest header of a weights file. Real ones have some hundred kibibytes.
const MAX_HEADER: u64 = 4 << 20;
/// Bytes that a header's length takes.
const LENGTH: u64 = 8;

/// A weights file of which only the header is read.
pub(crate) struct WeightsFile {
    path: PathBuf,
    file: File,
    /// Name and place of each tensor, in the order of the file.
    tensors: Vec<(String, TensorInfo)>,
    /// Of everything read so far.
    digest: Sha256,
}

/// Reads a whole configuration file.
pub(crate) fn read_config(path: &Path) -> Result<Vec<u8>, AdapterError> {
    let (file, bytes) = open(path)?;
    check("adapter_config.json", bytes, MAX_CONFIG)?;
    let mut content = Vec::new();
    // It may grow meanwhile.
    match file.take(MAX_CONFIG).read_to_end(&mut content) {
        Ok(_) => Ok(content),
        Err(source) => Err(failed(path, source)),
    }
}

impl WeightsFile {
    /// Opens a file and reads its header. The digest of the adapter begins with its configuration.
    pub fn open(path: &Path, config: &[u8]) -> Result<Self, AdapterError> {
        let invalid = |text: &str| AdapterError::Weights(text.into());
        let (mut file, bytes) = open(path)?;
        let mut length = [0; LENGTH as usize];
        read_exact(path, &mut file, &mut length)?;
        let header_bytes = u64::from_le_bytes(length);
        check("the header of adapter_model.safetensors", header_bytes, MAX_HEADER)?;
        if header_bytes > bytes - LENGTH {
            return Err(invalid("the file is shorter than its header"));
        }
        let mut header = vec![0; header_bytes as usize];
        read_exact(path, &mut file, &mut header)?;
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|error| AdapterError::Weights(error.to_string()))?;
        if (metadata.data_len() as u64).checked_add(LENGTH + header_bytes) != Some(bytes) {
            return Err(invalid(
                "the file is longer or shorter than its header says; it may be truncated",
            ));
        }
        let info = |name: String| metadata.info(&name).cloned().map(|info| (name, info));
        let mut digest = Sha256::new();
        digest.update((config.len() as u64).to_le_bytes());
        digest.update(config);
        digest.update(length);
        digest.update(&header);
        Ok(Self {
            tensors: metadata.offset_keys().into_iter().filter_map(info).collect(),
            path: path.into(),
            file,
            digest,
        })
    }

    /// Name and place of each tensor, in the order of the file.
    pub fn tensors(&self) -> &[(String, TensorInfo)] {
        &self.tensors
    }

    /// Reads the next tensor, of so many bytes. There are no gaps between tensors.
    pub fn next(&mut self, bytes: usize) -> Result<Vec<u8>, AdapterError> {
        let mut content = vec![0; bytes];
        read_exact(&self.path, &mut self.file, &mut content)?;
        self.digest.update(&content);
        Ok(content)
    }

    /// The digest of the configuration and of all that was read.
    pub fn digest(self) -> [u8; 32] {
        self.digest.finalize().into()
    }

    /// The digest that reading every tensor would give.
    pub fn digest_ahead(mut self) -> Result<[u8; 32], AdapterError> {
        match io::copy(&mut self.file, &mut self.digest) {
            Ok(_) => Ok(self.digest()),
            Err(source) => Err(failed(&self.path, source)),
        }
    }
}

fn open(path: &Path) -> Result<(File, u64), AdapterError> {
    let opened = || {
        // Opening a pipe would wait for somebody who writes.
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        Ok((file, bytes))
    };
    opened().map_err(|source| failed(path, source))
}

fn read_exact(path: &Path, file: &mut File, content: &mut [u8]) -> Result<(), AdapterError> {
    match file.read_exact(content) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(AdapterError::Weights("the file is truncated".into()))
        }
        outcome => outcome.map_err(|source| failed(path, source)),
    }
}

fn check(file: &'static str, bytes: u64, limit: u64) -> Result<(), AdapterError> {
    match bytes > limit {
        true => Err(AdapterError::TooLarge { file, bytes, limit }),
        false => Ok(()),
    }
}

fn failed(path: &Path, source: io::Error) -> AdapterError {
    AdapterError::File {
        path: path.into(),
        source,
    }
}
