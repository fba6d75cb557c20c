//! An open file.

use std::fs::File;
use std::io::BufReader;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::{Error, Header, TensorInfo};

/// A GGUF file whose header has been read and checked.
#[derive(Debug)]
pub struct GgufFile {
    file: File,
    header: Header,
}

impl GgufFile {
    /// Opens `path` and reads its header.
    ///
    /// # Errors
    /// When the file cannot be opened or its header is bad.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let action = format!("open {}", path.display());
        Self::from_file(File::open(path).map_err(Error::io(action))?)
    }

    /// Reads the header of an open file, from its start whatever the cursor's place.
    ///
    /// # Errors
    /// As [`GgufFile::open`].
    pub fn from_file(file: File) -> Result<Self, Error> {
        let size = file.metadata().map_err(Error::io("read the file's size"))?.len();
        let header = Header::read(BufReader::new(Positioned { file: &file, at: 0 }), size)?;
        Ok(Self { file, header })
    }

    /// What the file says about itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The open file, for what reads or maps it in another way.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Reads the bytes of a tensor of this file's directory.
    ///
    /// # Errors
    /// When the file cannot be read, for example because it shrank since it was opened.
    pub fn read_tensor(&self, tensor: &TensorInfo) -> Result<Vec<u8>, Error> {
        self.read_part(tensor, 0..tensor.bytes)
    }

    /// Reads some of the bytes of a tensor of this file's directory; `part` counts from its first.
    ///
    /// # Errors
    /// When the part is not inside the tensor, or as [`GgufFile::read_tensor`].
    pub fn read_part(&self, tensor: &TensorInfo, part: Range<u64>) -> Result<Vec<u8>, Error> {
        let what = || format!("read tensor {:?}", tensor.name);
        if part.start > part.end || part.end > tensor.bytes {
            let why = format!("bytes {part:?} are not among its {}", tensor.bytes);
            return Err(Error::invalid(what(), why));
        }
        let size = usize::try_from(part.end - part.start)
            .map_err(|_| Error::invalid(what(), "it is larger than this machine can address"))?;
        let mut bytes = vec![0; size];
        self.file
            .read_exact_at(&mut bytes, tensor.offset + part.start)
            .map_err(Error::io(what()))?;
        Ok(bytes)
    }
}

/// Reads without moving the file's own cursor.
struct Positioned<'a> {
    file: &'a File,
    at: u64,
}

impl std::io::Read for Positioned<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
