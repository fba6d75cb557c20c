//! Files in an archive of a stranger, none larger than all of them may be.

use std::borrow::Cow;
use std::io::{Cursor, Read as _};

use protocol::quarantine::Reason;
use zip::ZipArchive;
use zip::result::ZipError;

use crate::documents::{Refused, Result};

/// Files in an archive.
const MAX_FILES: usize = 10_000;

/// An archive.
pub(super) struct Package<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    /// Bytes that may still be unpacked.
    left: u64,
    most: u64,
}

impl<'a> Package<'a> {
    pub(super) fn open(bytes: &'a [u8], most: u64) -> Result<Self> {
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| broken(&error))?;
        if archive.len() > MAX_FILES {
            let what = format!("holds {} files, and {MAX_FILES} are looked at at most", archive.len());
            return Err(Refused::new(Reason::UnpacksTooLarge, what));
        }
        Ok(Self {
            archive,
            left: most,
            most,
        })
    }

    /// Names of its files, as far as they are any.
    pub(super) fn names(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.archive.file_names().flatten()
    }

    /// A file, if there is one of this name.
    pub(super) fn part(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        let file = match self.archive.by_name(name) {
            Ok(file) => file,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED)) => {
                return Err(Refused::new(Reason::Encrypted, "is an archive with a password"));
            }
            Err(error) => return Err(broken(&error)),
        };
        // What it says of its size is not believed.
        let mut bytes = Vec::new();
        file.take(self.left + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| Refused::new(Reason::Broken, format!("cannot be unpacked: {error}")))?;
        let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
            let what = format!("holds more than {} bytes once it is unpacked", self.most);
            return Err(Refused::new(Reason::UnpacksTooLarge, what));
        };
        self.left = left;
        Ok(Some(bytes))
    }
}

fn broken(error: &ZipError) -> Refused {
    Refused::new(Reason::Broken, format!("is a broken archive: {error}"))
}
