//! What the fuzz targets `tokenizer` and `adapter` do with an input.

use std::{fs, io, path::Path};

use gguf::{Architecture, Header, Metadata, Value};

use crate::{
    Dtype, ModelConfig,
    lora::AdapterFiles,
    text::{TextStream, Tokenizer},
};

/// Words, numbers, marks, a name of a token, characters of many bytes, and spaces.
const TEXT: &str = "Hello, it's 1234 <s>é▁漢字\u{301}</s>  \n\t don't";
/// Between an adapter's configuration and its weights: JSON cannot have this byte.
const END: u8 = 0xff;

/// Builds a tokenizer from a GGUF header or else from the text of a `tokenizer.json`, and takes texts
/// to tokens and back.
///
/// # Panics
/// When a token is outside the vocabulary.
pub fn tokenizer(input: &[u8]) {
    let metadata = match Header::read(input, input.len() as u64) {
        Ok(header) => header.metadata,
        Err(_) => {
            let Ok(text) = str::from_utf8(input) else { return };
            let entry = (checkpoint::keys::TOKENIZER.to_owned(), Value::String(text.into()));
            [entry].into_iter().collect::<Metadata>()
        }
    };
    let Ok(tokenizer) = Tokenizer::from_metadata(&metadata) else {
        return;
    };
    for text in [TEXT, &String::from_utf8_lossy(&input[..input.len().min(64)])] {
        // It may say that it gives up on a text.
        let Ok(tokens) = tokenizer.encode(text, true) else {
            continue;
        };
        let mut stream = TextStream::new(&["lo".into()]);
        for token in tokens {
            assert!((token as usize) < tokenizer.len(), "{token} is not in the vocabulary");
            stream.push(tokenizer.bytes(token));
        }
        stream.finish();
    }
}

/// Loads the adapter whose files are in `input` for a small model. `dir` is overwritten.
///
/// # Errors
/// When a file cannot be written.
pub fn adapter(dir: &Path, input: &[u8]) -> io::Result<()> {
    let (config, weights) = match input.iter().position(|byte| *byte == END) {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (input, &[][..]),
    };
    fs::create_dir_all(dir)?;
    fs::write(dir.join("adapter_config.json"), config)?;
    fs::write(dir.join("adapter_model.safetensors"), weights)?;
    let model = model();
    if let Ok(files) = AdapterFiles::open(dir, &model) {
        // Values that are no numbers are found only now.
        let _ = files.read(&model, Dtype::Fp32);
    }
    Ok(())
}

/// One block of a width of 4, so that adapters of it are short.
fn model() -> ModelConfig {
    ModelConfig {
        architecture: Architecture::named("llama").expect("it is supported"),
        layers: 1,
        hidden_size: 4,
        feed_forward_size: 6,
        heads: 2,
        kv_heads: 1,
        head_dim: 2,
        rope_base: 10_000.0,
        norm_epsilon: 1e-5,
        context_length: 16,
        vocabulary_size: 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seeds, and inputs that once failed.
    fn corpus(target: &str) -> Vec<Vec<u8>> {
        let files = fs::read_dir(format!("../fuzz/corpus/{target}")).unwrap();
        let inputs: Vec<_> = files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
        assert!(!inputs.is_empty());
        inputs
    }

    #[test]
    fn the_corpus_of_tokenizers_is_harmless() {
        corpus("tokenizer").iter().for_each(|input| tokenizer(input));
    }

    #[test]
    fn the_corpus_of_adapters_is_harmless() {
        let dir = tempfile::tempdir().unwrap();
        for input in corpus("adapter") {
            adapter(dir.path(), &input).unwrap();
        }
    }
}
