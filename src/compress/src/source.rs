//! The weights to compress, widened to single precision a few at a time.

use std::{collections::BTreeMap, ops::Range, os::unix::fs::FileExt, path::Path};

use checkpoint::Checkpoint;
use engine::{
    LoadError, ModelConfig,
    blocks::{Block, permuted, widen},
};
use gguf::{Header, TensorInfo};
use tch::Tensor;

use crate::Error;

/// Name of the embedding.
pub(crate) const EMBEDDING: &str = "token_embd.weight";
/// Numbers of a large tensor that are widened at once.
const PIECE: u64 = 1 << 20;

/// An open model. Whatever its files are, its rows come in the order of GGUF files.
pub(crate) struct Source {
    checkpoint: Checkpoint,
    config: ModelConfig,
}

impl Source {
    /// Reads the header of a GGUF file or of a directory of safetensors files.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let checkpoint = Checkpoint::open(path)?;
        let config = ModelConfig::from_header(checkpoint.header())?;
        Ok(Self { checkpoint, config })
    }

    pub fn header(&self) -> &Header {
        self.checkpoint.header()
    }

    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// A whole tensor.
    pub fn tensor(&self, name: &str) -> Result<Tensor, Error> {
        let info = self.header().tensor(name)?;
        let tensor = self.wide(info, self.checkpoint.read_tensor(info)?, &shape(info))?;
        let heads = match name.rsplit_once('.').map_or(name, |(name, _)| name) {
            name if name.ends_with(".attn_q") => self.config.heads,
            name if name.ends_with(".attn_k") => self.config.kv_heads,
            _ => return Ok(tensor),
        };
        match self.config.architecture.permuted && !self.checkpoint.rows_are_permuted() {
            true => Ok(permuted(&tensor, heads)?),
            false => Ok(tensor),
        }
    }

    /// All tensors of block `index`.
    pub fn block(&self, index: usize) -> Result<Block, Error> {
        let prefix = prefix(index);
        let mut tensors = BTreeMap::new();
        for info in &self.header().tensors {
            if let Some(name) = info.name.strip_prefix(&prefix) {
                tensors.insert(name.to_owned(), self.tensor(&info.name)?);
            }
        }
        Ok(Block::new(tensors))
    }

    /// Some rows of the embedding or the head.
    pub fn rows(&self, name: &str, first: u64, count: u64) -> Result<Tensor, Error> {
        let info = self.header().tensor(name)?;
        let row_bytes = info.bytes / info.shape[0].max(1);
        let bytes = self.part(info, first * row_bytes..(first + count) * row_bytes)?;
        let mut shape = shape(info);
        shape[0] = count as i64;
        self.wide(info, bytes, &shape)
    }

    /// The hidden states of a text before the first block, `[tokens, hidden]`.
    pub fn embedded(&self, tokens: &[u32]) -> Result<Tensor, Error> {
        let rows = tokens.iter().map(|token| self.rows(EMBEDDING, u64::from(*token), 1));
        Ok(Tensor::f_cat(&rows.collect::<Result<Vec<_>, _>>()?, 0)?)
    }

    /// The rows of a matrix in pieces of a size that memory does not feel: first row and count.
    pub fn pieces(&self, name: &str) -> Result<Vec<(u64, u64)>, Error> {
        let info = self.header().tensor(name)?;
        let rows = info.shape[0];
        let each = (PIECE * rows / info.elements().max(1)).clamp(1, rows.max(1));
        let firsts = (0..rows).step_by(each as usize);
        Ok(firsts.map(|first| (first, each.min(rows - first))).collect())
    }

    fn part(&self, info: &TensorInfo, part: Range<u64>) -> Result<Vec<u8>, Error> {
        let failed = |why: String| Error::tensor(&info.name, format!("bytes {part:?} cannot be read: {why}"));
        if part.end > info.bytes {
            return Err(failed(format!("it has {}", info.bytes)));
        }
        let missing = || failed("the model does not have it".into());
        let (file, offset) = self.checkpoint.place(info).ok_or_else(missing)?;
        let mut bytes = vec![0; (part.end - part.start) as usize];
        let read = file.read_exact_at(&mut bytes, offset + part.start);
        read.map_err(|error| failed(error.to_string()))?;
        Ok(bytes)
    }

    fn wide(&self, info: &TensorInfo, bytes: Vec<u8>, shape: &[i64]) -> Result<Tensor, Error> {
        let weights = widen(&bytes, info.ggml_type).ok_or_else(|| LoadError::TensorType {
            tensor: info.name.clone(),
            found: info.ggml_type,
        })?;
        if weights.iter().any(|weight| !weight.is_finite()) {
            return Err(Error::tensor(&info.name, "it holds infinite or undefined weights"));
        }
        Ok(Tensor::f_from_slice(&weights)?.f_view(shape)?)
    }
}

/// What the names of a block's tensors begin with.
pub(crate) fn prefix(index: usize) -> String {
    format!("blk.{index}.")
}

fn shape(info: &TensorInfo) -> Vec<i64> {
    info.shape.iter().map(|size| *size as i64).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::testing::tiny_model;

    /// The header and dimensions of the tiny model.
    pub(crate) fn tiny() -> (Header, ModelConfig) {
        let source = open(&tiny_model(2, 1));
        (source.header().clone(), source.config().clone())
    }

    fn open(bytes: &[u8]) -> Source {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.gguf");
        std::fs::write(&path, bytes).unwrap();
        // The open file outlives its name.
        Source::open(&path).unwrap()
    }

    #[test]
    fn rows_in_pieces_are_the_tensor() {
        let source = open(&tiny_model(2, 1));
        let name = "token_embd.weight";
        assert_eq!(source.pieces(name).unwrap(), [(0, 256)]);
        let whole = source.tensor(name).unwrap();
        let parts = [(0, 100), (100, 156)].map(|(first, count)| source.rows(name, first, count).unwrap());
        assert_eq!(Tensor::cat(&parts, 0), whole);
        assert!(source.rows(name, 200, 57).is_err());
    }

    #[test]
    fn a_block_has_its_own_tensors_only() {
        let source = open(&tiny_model(11, 1));
        let block = source.block(1).unwrap();
        assert_eq!(block.tensors().len(), 9);
        assert_eq!(block.get("ffn_down.weight").unwrap().size(), [64, 96]);
    }

    #[test]
    fn weights_that_are_no_numbers_are_named() {
        let mut bytes = tiny_model(2, 1);
        let end = bytes.len();
        bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        let error = open(&bytes).block(1).err().unwrap().to_string();
        assert!(error.contains("blk.1.ffn_down.weight"), "{error}");
    }
}
