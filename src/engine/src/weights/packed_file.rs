//! Packed matrices in a file, from which the next start maps them.
//!
//! ```text
//! ATWEIGHT, version (8 bytes), length of the index (8 bytes), index in JSON, zeros up to a multiple of 64,
//! the matrices
//! ```
//! Numbers are little endian. The index has the byte ranges of every matrix's parts, counted from the
//! first part.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    ops::Range,
    path::PathBuf,
    sync::Arc,
};

use engine_sys::{Mapping, Packed};
use tch::TchError;

const MAGIC: &[u8; 8] = b"ATWEIGHT";
/// Of the file; parts have a version of their own.
const VERSION: u64 = 1;
const HEADER: usize = 24;
/// Parts begin at multiples of it.
const ALIGNMENT: usize = 64;
/// As far apart as bytes are read to have the system bring a file in.
const SYSTEM_PAGE: usize = 4096;

/// Where an engine keeps what a start makes and the next one needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// A directory for it alone. It is made if it is not there.
    pub directory: PathBuf,
    /// Digest of the model: other weights have another file.
    pub digest: String,
}

/// A mapped file.
pub(super) struct PackedFile {
    mapping: Arc<Mapping>,
    /// Where the parts of each matrix lie in it.
    matrices: BTreeMap<String, Vec<Range<usize>>>,
}

type Index = BTreeMap<String, Vec<Range<u64>>>;

impl Cache {
    pub(super) fn path(&self) -> PathBuf {
        self.directory.join(format!("{}.packed", self.digest.replace(':', "-")))
    }

    /// The packed weights, if they were kept and are whole.
    pub(super) fn open(&self) -> Option<PackedFile> {
        let path = self.path();
        let opened = File::open(&path).and_then(|file| Mapping::new(&file));
        let mapping = match opened {
            Ok(mapping) => mapping,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(path = %path.display(), %error, "failed to read the packed weights");
                }
                return None;
            }
        };
        let file = PackedFile::new(mapping);
        if file.is_none() {
            tracing::warn!(path = %path.display(), "packed weights of another version, or damaged");
        }
        file
    }

    /// Keeps matrices, whole or not at all, and opens what was written.
    pub(super) fn write(&self, matrices: &[(String, &[Packed])]) -> io::Result<PackedFile> {
        let (mut index, mut end) = (Index::new(), 0);
        for (name, parts) in matrices {
            let mut place = |part: &Packed| {
                let first = end;
                end += part.as_bytes().len().next_multiple_of(ALIGNMENT) as u64;
                first..first + part.as_bytes().len() as u64
            };
            index.insert(name.clone(), parts.iter().map(&mut place).collect());
        }
        let index = serde_json::to_vec(&index)?;
        fs::create_dir_all(&self.directory)?;
        let file = tempfile::NamedTempFile::new_in(&self.directory)?;
        let mut out = BufWriter::with_capacity(1 << 20, &file);
        out.write_all(MAGIC)?;
        out.write_all(&VERSION.to_le_bytes())?;
        out.write_all(&(index.len() as u64).to_le_bytes())?;
        out.write_all(&index)?;
        pad(&mut out, HEADER + index.len())?;
        for part in matrices.iter().flat_map(|(_, parts)| *parts) {
            out.write_all(part.as_bytes())?;
            pad(&mut out, part.as_bytes().len())?;
        }
        out.flush()?;
        drop(out);
        file.as_file().sync_all()?;
        file.persist(self.path()).map_err(|error| error.error)?;
        self.open()
            .ok_or_else(|| io::Error::other("what was written cannot be read"))
    }
}

fn pad(out: &mut impl io::Write, length: usize) -> io::Result<()> {
    out.write_all(&[0; ALIGNMENT][..length.next_multiple_of(ALIGNMENT) - length])
}

impl PackedFile {
    /// Reads the index; `None` if it is of another version or damaged.
    fn new(mapping: Mapping) -> Option<Self> {
        let (fields, _) = mapping.as_chunks::<8>();
        let [magic, version, length, ..] = fields else {
            return None;
        };
        if magic != MAGIC || u64::from_le_bytes(*version) != VERSION {
            return None;
        }
        let end = HEADER.checked_add(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        let index: Index = serde_json::from_slice(mapping.get(HEADER..end)?).ok()?;
        let first = end.checked_next_multiple_of(ALIGNMENT)?;
        let place = |range: &Range<u64>| {
            let of_file = |place: u64| first.checked_add(usize::try_from(place).ok()?);
            let range = of_file(range.start)?..of_file(range.end)?;
            (range.start <= range.end && range.end <= mapping.len()).then_some(range)
        };
        let matrices = index
            .into_iter()
            .map(|(name, ranges)| Some((name, ranges.iter().map(place).collect::<Option<_>>()?)))
            .collect::<Option<_>>()?;
        // The file is needed whole, and better now than by the first answers.
        for byte in mapping.iter().step_by(SYSTEM_PAGE) {
            std::hint::black_box(*byte);
        }
        Some(Self {
            mapping: Arc::new(mapping),
            matrices,
        })
    }

    /// The parts of a matrix, if it is one of those.
    ///
    /// # Errors
    /// When they are damaged, or not of this shape.
    pub fn matrix(&self, name: &str, rows: i64, columns: i64) -> Result<Option<Vec<Packed>>, TchError> {
        let Some(ranges) = self.matrices.get(name) else {
            return Ok(None);
        };
        let parts = ranges
            .iter()
            .map(|range| Packed::from_mapping(&self.mapping, range.clone()))
            .collect::<Result<Vec<_>, _>>()?;
        let fits = parts.iter().all(|part| part.columns() as i64 == columns);
        match fits && parts.iter().map(|part| part.rows() as i64).sum::<i64>() == rows {
            true => Ok(Some(parts)),
            false => Err(TchError::Shape(format!("the packed matrix {name} has another shape"))),
        }
    }
}
