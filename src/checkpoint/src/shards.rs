//! The weights files of a directory: one, or several that an index lists.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::safetensors::{self, Entry};
use crate::{Error, json};

/// A model in one file.
pub(crate) const SINGLE: &str = "model.safetensors";
/// Which file of several holds which tensor.
pub const INDEX: &str = "model.safetensors.index.json";
/// Largest index accepted, in bytes.
const MAX_INDEX: u64 = 32 << 20;
/// Most weights files; the largest models have some 200.
const MAX_FILES: usize = 4096;

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Names of a directory's weights files, and the tensors that each should hold where an index says so.
pub(crate) struct Listing {
    /// Sorted.
    pub names: Vec<String>,
    /// Whether an index lists them.
    pub indexed: bool,
    weight_map: BTreeMap<String, String>,
}

impl Listing {
    /// Looks into `dir`; `only` names a single file to take instead of what an index may say.
    pub fn of(dir: &Path, only: Option<&str>) -> Result<Self, Error> {
        let single = |name: &str| Self {
            names: vec![name.into()],
            indexed: false,
            weight_map: BTreeMap::new(),
        };
        if let Some(name) = only {
            return Ok(single(name));
        }
        if dir.join(SINGLE).exists() {
            return Ok(single(SINGLE));
        }
        let file = dir.join(INDEX);
        let Some(text) = json::text(&file, MAX_INDEX)? else {
            let advice =
                format!("the directory has neither it nor {INDEX}; give a GGUF file or a directory with one of them");
            return Err(Error::missing(&dir.join(SINGLE), advice));
        };
        let index: Index =
            serde_json::from_str(&text).map_err(|error| Error::invalid(&file, "the index", error.to_string()))?;
        let names: BTreeSet<&String> = index.weight_map.values().collect();
        if let Some(name) = names.iter().find(|name| !is_plain(name)) {
            let why = "files must lie beside the index and end in .safetensors";
            return Err(Error::invalid(&file, format!("file {name:?}"), why));
        }
        if names.is_empty() || names.len() > MAX_FILES {
            let why = format!("it names {} files, expected 1 to {MAX_FILES}", names.len());
            return Err(Error::invalid(&file, "field \"weight_map\"", why));
        }
        Ok(Self {
            names: names.into_iter().cloned().collect(),
            indexed: true,
            weight_map: index.weight_map,
        })
    }
}

/// A name without a way to another directory.
fn is_plain(name: &str) -> bool {
    !name.contains(['/', '\\', '\0']) && !name.starts_with('.') && name.ends_with(".safetensors")
}

/// The open weights files, laid end to end.
#[derive(Debug)]
pub(crate) struct Shards {
    /// In the order of their names, each with the place of its first byte.
    files: Vec<Shard>,
}

#[derive(Debug)]
struct Shard {
    file: File,
    path: PathBuf,
    start: u64,
}

impl Shards {
    /// Opens every file and reads its header. The entries' offsets count from the first file's start.
    pub fn open(dir: &Path, listing: &Listing) -> Result<(Self, Vec<Entry>), Error> {
        let (mut files, mut entries) = (Vec::new(), Vec::new());
        let (mut start, mut found) = (0u64, BTreeMap::new());
        for name in &listing.names {
            let path = dir.join(name);
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Err(Error::missing(&path, "the index names it; fetch it too"));
                }
                Err(error) => return Err(Error::io(&path)(error)),
            };
            let size = file.metadata().map_err(Error::io(&path))?.len();
            for mut entry in safetensors::read(&file, &path)? {
                if let Some(other) = found.insert(entry.name.clone(), name) {
                    let why = format!("{other} has one of that name too");
                    return Err(Error::invalid(&path, format!("tensor {:?}", entry.name), why));
                }
                entry.offset = start.saturating_add(entry.offset);
                entries.push(entry);
            }
            files.push(Shard { file, path, start });
            start = start.saturating_add(size);
        }
        let lost = listing
            .weight_map
            .iter()
            .find(|(tensor, file)| found.get(*tensor) != Some(file));
        if let Some((tensor, file)) = lost {
            let why = format!("the index puts it into {file}, which does not hold it");
            return Err(Error::invalid(&dir.join(INDEX), format!("tensor {tensor:?}"), why));
        }
        Ok((Self { files }, entries))
    }

    /// The file that holds the byte at `offset` of all, and the byte's place in it.
    pub fn place(&self, offset: u64) -> Option<(&File, &Path, u64)> {
        let index = self
            .files
            .partition_point(|shard| shard.start <= offset)
            .checked_sub(1)?;
        let shard = self.files.get(index)?;
        Some((&shard.file, &shard.path, offset - shard.start))
    }
}
