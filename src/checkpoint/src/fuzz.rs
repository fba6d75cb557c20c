//! What the fuzz target `checkpoint` does with an input.

use std::fs;
use std::io;
use std::path::Path;

use gguf::Dimensions;

use crate::Checkpoint;

/// Between two files of an input. JSON cannot have this byte, and weights come last.
const END: u8 = 0xff;
/// The files of an input, in its order; the weights come after them. Empty ones are not written.
const SETTINGS: [&str; 6] = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "modules.json",
    "1_Pooling/config.json",
    INDEX,
];
const INDEX: &str = "model.safetensors.index.json";

/// Opens the model whose files are in `input`, and reads all of its tensors. `dir` is overwritten.
///
/// # Errors
/// When a file cannot be written.
///
/// # Panics
/// When a model is accepted whose tensors cannot be read.
pub fn directory(dir: &Path, input: &[u8]) -> io::Result<()> {
    write(dir, input)?;
    let Ok(model) = Checkpoint::open(dir) else {
        return Ok(());
    };
    for tensor in &model.header().tensors {
        let bytes = model.read_tensor(tensor).expect("what was accepted is in the files");
        assert_eq!(bytes.len() as u64, tensor.bytes);
    }
    // Most are no whole model.
    let _ = Dimensions::from_header(model.header());
    Ok(())
}

fn write(dir: &Path, input: &[u8]) -> io::Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    fs::create_dir_all(dir.join("1_Pooling"))?;
    let mut parts = input.splitn(SETTINGS.len() + 1, |byte| *byte == END);
    for name in SETTINGS {
        let content = parts.next().unwrap_or_default();
        if !content.is_empty() {
            fs::write(dir.join(name), content)?;
        }
    }
    let weights = match dir.join(INDEX).exists() {
        true => "a.safetensors",
        false => "model.safetensors",
    };
    fs::write(dir.join(weights), parts.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::fs;

    /// Seeds, and inputs that once failed.
    #[test]
    fn the_corpus_is_harmless() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = fs::read_dir("../fuzz/corpus/checkpoint").unwrap().peekable();
        assert!(files.peek().is_some());
        for file in files {
            let input = fs::read(file.unwrap().path()).unwrap();
            super::directory(&dir.path().join("model"), &input).unwrap();
        }
    }
}
