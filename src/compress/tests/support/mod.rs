//! Model files made for measuring, written tensor by tensor.

#![allow(dead_code, reason = "each program uses a part")]

use std::{env, fs::File, os::unix::fs::FileExt, path::PathBuf};

use gguf::{GgmlType, GgufFile, Layout, Metadata};
use half::bf16;

/// The model that the tests of the worker serve.
pub fn model() -> PathBuf {
    let dir = env::var_os("ATELIER_MODEL_DIR").expect("ATELIER_MODEL_DIR is set: eval \"$(cargo xtask env --build)\"");
    PathBuf::from(dir).join("SmolLM2-135M-Instruct.Q4_1.gguf")
}

/// A file under way.
pub struct Writer {
    file: File,
    layout: Layout,
}

impl Writer {
    /// Creates the file.
    pub fn create(path: &std::path::Path, metadata: &Metadata, tensors: &[(String, Vec<u64>, GgmlType)]) -> Self {
        let layout = Layout::new(metadata, tensors).unwrap();
        let file = File::create(path).unwrap();
        file.set_len(layout.size()).unwrap();
        file.write_all_at(layout.header(), 0).unwrap();
        Self { file, layout }
    }

    /// Writes a whole tensor, in the type that it was announced with.
    pub fn tensor(&self, name: &str, weights: impl Iterator<Item = f32>) {
        let info = self.layout.tensor(name).unwrap();
        let bytes: Vec<u8> = match info.ggml_type {
            GgmlType::F32 => weights.flat_map(f32::to_le_bytes).collect(),
            GgmlType::BF16 => weights
                .flat_map(|weight| bf16::from_f32(weight).to_le_bytes())
                .collect(),
            other => panic!("{other} is not written here"),
        };
        assert_eq!(bytes.len() as u64, info.bytes, "{name}");
        self.file.write_all_at(&bytes, info.offset).unwrap();
    }
}

/// The tensors of `file` with other types: matrices in bfloat16, vectors in single precision.
pub fn plain(file: &GgufFile) -> Vec<(String, Vec<u64>, GgmlType)> {
    let tensors = file.header().tensors.iter();
    let plain = tensors.map(|info| (info.name.clone(), info.shape.clone(), type_of(&info.shape)));
    plain.collect()
}

/// The type of a tensor of that shape.
pub fn type_of(shape: &[u64]) -> GgmlType {
    if shape.len() > 1 { GgmlType::BF16 } else { GgmlType::F32 }
}

/// Pseudo-random numbers, the same everywhere.
pub struct Random(pub u64);

impl Random {
    /// Roughly normal, of variance one: the sum of twelve bytes.
    pub fn normal(&mut self) -> f32 {
        let (first, second) = (self.bits().to_le_bytes(), self.bits().to_le_bytes());
        let bytes = first.iter().chain(&second[..4]);
        let sum: f32 = bytes.map(|byte| f32::from(*byte)).sum();
        (sum / 255.0) - 6.0
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}
