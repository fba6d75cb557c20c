//! safetensors files written and read a tensor at a time: a state is as large as several models.
//! <https://github.com/huggingface/safetensors#format>

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Read, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tch::{Kind, Tensor};

use crate::Error;

/// Largest header that is read, in bytes.
const MAX_HEADER: u64 = 64 << 20;
/// Key of free text about the file.
const METADATA: &str = "__metadata__";

/// A tensor of a file that is to be written.
pub(crate) struct Entry {
    pub name: String,
    pub shape: Vec<i64>,
    /// Single precision or bfloat16.
    pub kind: Kind,
}

/// Writes tensors in the order of `entries`, each of which `tensor` gives when its turn comes. Equal tensors make
/// equal bytes.
pub(crate) fn write(
    path: &Path,
    entries: &[Entry],
    mut tensor: impl FnMut(usize) -> Result<Tensor, Error>,
) -> Result<(), Error> {
    let mut header = Map::new();
    header.insert(METADATA.into(), json!({"format": "pt"}));
    let mut offset = 0;
    for entry in entries {
        let end = offset + entry.shape.iter().product::<i64>() as u64 * width(entry.kind);
        let dtype = if entry.kind == Kind::Float { "F32" } else { "BF16" };
        header.insert(
            entry.name.clone(),
            json!({"dtype": dtype, "shape": entry.shape, "data_offsets": [offset, end]}),
        );
        offset = end;
    }
    let mut header = Value::Object(header).to_string();
    // The format wants the data to begin at a multiple of eight.
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let failed = || Error::file("write", path);
    let mut file = BufWriter::new(File::create(path).map_err(failed())?);
    file.write_all(&(header.len() as u64).to_le_bytes()).map_err(failed())?;
    file.write_all(header.as_bytes()).map_err(failed())?;
    for (index, entry) in entries.iter().enumerate() {
        let values = tensor(index)?.f_detach()?.f_to_kind(entry.kind)?.f_contiguous()?;
        if values.size() != entry.shape {
            return Err(Error::Torch(tch::TchError::Shape(format!(
                "{}: {:?} is not {:?}",
                entry.name,
                values.size(),
                entry.shape
            ))));
        }
        let count = values.numel();
        let mut bytes = vec![0; count * width(entry.kind) as usize];
        values.f_copy_data_u8(&mut bytes, count)?;
        file.write_all(&bytes).map_err(failed())?;
    }
    file.flush().map_err(failed())
}

fn width(kind: Kind) -> u64 {
    if kind == Kind::Float { 4 } else { 2 }
}

/// An open file of tensors in single precision.
pub(crate) struct Reader {
    file: File,
    path: PathBuf,
    data: u64,
    tensors: BTreeMap<String, Place>,
}

#[derive(Debug, Deserialize)]
struct Place {
    dtype: String,
    shape: Vec<i64>,
    data_offsets: [u64; 2],
}

impl Reader {
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = || Error::file("read", path);
        let refuse = |why: String| Error::State { path: path.into(), why };
        let mut file = File::open(path).map_err(failed())?;
        let size = file.metadata().map_err(failed())?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(failed())?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER || 8 + length > size {
            return Err(refuse(format!("its header claims {length} bytes of {size}")));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(failed())?;
        let mut header: BTreeMap<String, Value> =
            serde_json::from_slice(&header).map_err(|error| refuse(error.to_string()))?;
        header.remove(METADATA);
        let tensors = header
            .into_iter()
            .map(|(name, value)| Ok((name, serde_json::from_value(value)?)))
            .collect::<Result<_, serde_json::Error>>()
            .map_err(|error| refuse(error.to_string()))?;
        Ok(Self {
            file,
            path: path.into(),
            data: 8 + length,
            tensors,
        })
    }

    /// Reads the tensor of that name into `values`, which has its shape.
    pub fn read(&self, name: &str, values: &mut Tensor) -> Result<(), Error> {
        let refuse = |why: String| Error::State {
            path: self.path.clone(),
            why: format!("tensor {name:?} {why}"),
        };
        let place = self.tensors.get(name).ok_or_else(|| refuse("is not there".into()))?;
        let [begin, end] = place.data_offsets;
        let bytes = values.numel() as u64 * 4;
        if place.dtype != "F32" || place.shape != values.size() || end.checked_sub(begin) != Some(bytes) {
            return Err(refuse(format!(
                "is {} of {:?}, expected F32 of {:?}",
                place.dtype,
                place.shape,
                values.size()
            )));
        }
        let mut content = vec![0; bytes as usize];
        let read = self.file.read_exact_at(&mut content, self.data.saturating_add(begin));
        read.map_err(Error::file("read", &self.path))?;
        let read = Tensor::f_from_data_size(&content, &values.size(), Kind::Float)?;
        Ok(values.f_copy_(&read)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_damage_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.safetensors");
        let values = [
            Tensor::from_slice(&[1f32, 2.0]),
            Tensor::from_slice(&[3f32]).view([1, 1]),
        ];
        let entry = |name: &str, shape: &[i64]| Entry {
            name: name.into(),
            shape: shape.into(),
            kind: Kind::Float,
        };
        let entries = [entry("b", &[2]), entry("a", &[1, 1])];
        write(&path, &entries, |index| Ok(values[index].shallow_clone())).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(safetensors::SafeTensors::deserialize(&bytes).unwrap().len(), 2);

        let reader = Reader::open(&path).unwrap();
        let mut read = Tensor::from_slice(&[0f32, 0.0]);
        reader.read("b", &mut read).unwrap();
        assert_eq!(read, values[0]);
        let message = |name: &str, values: &mut Tensor| reader.read(name, values).unwrap_err().to_string();
        assert!(message("c", &mut read).contains("\"c\" is not there"));
        assert!(message("a", &mut read).contains("[1, 1], expected F32 of [2]"));

        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let reader = Reader::open(&path).unwrap();
        assert!(reader.read("a", &mut Tensor::from_slice(&[0f32]).view([1, 1])).is_err());
        std::fs::write(&path, &bytes[..20]).unwrap();
        assert!(Reader::open(&path).err().unwrap().to_string().contains("header claims"));
    }
}
