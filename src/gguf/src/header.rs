//! The header: everything before the tensors' bytes.

use std::collections::HashSet;
use std::io::Read;

use crate::source::Source;
use crate::{Error, Metadata, TensorInfo};

const MAGIC: [u8; 4] = *b"GGUF";
/// Version 1 has 32-bit lengths and died in 2023; 2 and 3 differ only in that 3 may be big-endian.
const VERSIONS: [u32; 2] = [2, 3];
const ALIGNMENT_KEY: &str = "general.alignment";
const DEFAULT_ALIGNMENT: u64 = 32;

/// What a file says about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// Version of the container.
    pub version: u32,
    /// The key-value pairs.
    pub metadata: Metadata,
    /// The tensors in the file's order; every one lies inside the file.
    pub tensors: Vec<TensorInfo>,
}

impl Header {
    /// Reads the header from the start of a file of `file_size` bytes.
    ///
    /// # Errors
    /// When the bytes are no GGUF header, or one that promises more than the file holds.
    pub fn read(reader: impl Read, file_size: u64) -> Result<Self, Error> {
        let mut source = Source::new(reader, file_size);
        let magic: [u8; 4] = source.array("the magic number")?;
        if magic != MAGIC {
            return Err(Error::WrongMagic {
                found: magic.escape_ascii().to_string(),
            });
        }
        let version = source.u32("the version")?;
        if VERSIONS.contains(&version.swap_bytes()) {
            return Err(Error::invalid(
                "the version",
                "the file is big-endian; convert it to little-endian",
            ));
        }
        if !VERSIONS.contains(&version) {
            return Err(Error::UnsupportedVersion { version });
        }
        let tensor_count = source.u64("the number of tensors")?;
        let key_count = source.u64("the number of metadata keys")?;
        let metadata = Metadata::read(&mut source, key_count)?;
        let tensors = read_tensors(&mut source, tensor_count, alignment(&metadata)?)?;
        Ok(Self {
            version,
            metadata,
            tensors,
        })
    }

    /// The tensor called `name`.
    ///
    /// # Errors
    /// When the file has none.
    pub fn tensor(&self, name: &str) -> Result<&TensorInfo, Error> {
        self.tensors
            .iter()
            .find(|tensor| tensor.name == name)
            .ok_or_else(|| Error::MissingTensor { name: name.into() })
    }
}

fn alignment(metadata: &Metadata) -> Result<u64, Error> {
    if metadata.get(ALIGNMENT_KEY).is_none() {
        return Ok(DEFAULT_ALIGNMENT);
    }
    let value = metadata.unsigned(ALIGNMENT_KEY)?;
    if value == 0 || value % 8 != 0 || value > 1 << 20 {
        return Err(Error::invalid(
            ALIGNMENT_KEY,
            format!("{value} is no multiple of 8 below a mebibyte"),
        ));
    }
    Ok(value)
}

fn read_tensors<R: Read>(source: &mut Source<R>, count: u64, alignment: u64) -> Result<Vec<TensorInfo>, Error> {
    // A name's length, one dimension, type and offset.
    source.require(count, 8 + 4 + 8 + 4 + 8, "the directory of tensors")?;
    let mut names = HashSet::new();
    let mut tensors = Vec::new();
    for index in 0..count {
        let tensor = TensorInfo::read(source, index)?;
        if !names.insert(tensor.name.clone()) {
            return Err(Error::invalid(
                format!("tensor {:?}", tensor.name),
                "the name appears twice",
            ));
        }
        tensors.push(tensor);
    }
    let data = source.position().next_multiple_of(alignment);
    for tensor in &mut tensors {
        let what = || format!("tensor {:?}", tensor.name);
        if tensor.offset % alignment != 0 {
            return Err(Error::invalid(
                what(),
                format!("offset {} is not aligned to {alignment}", tensor.offset),
            ));
        }
        let start = data.checked_add(tensor.offset);
        let end = start.and_then(|start| start.checked_add(tensor.bytes));
        let (Some(start), Some(end)) = (start, end) else {
            return Err(Error::invalid(
                what(),
                format!("offset {} is impossible", tensor.offset),
            ));
        };
        if end > source.file_size() {
            return Err(Error::Truncated {
                what: what(),
                expected: end,
                actual: source.file_size(),
            });
        }
        tensor.offset = start;
    }
    Ok(tensors)
}
