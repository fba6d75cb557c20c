//! A directory of safetensors files as one model.

use std::collections::HashSet;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use gguf::{GgmlType, Header, TensorInfo};

use crate::config::Config;
use crate::names::Name;
use crate::safetensors::Entry;
use crate::shards::{INDEX, Listing, Shards};
use crate::{Error, sentence, tokenizer};

/// Files whose content decides what is computed, beside the weights. Those that are there make up
/// the model, see [`Files`].
pub const SETTINGS: [&str; 9] = [
    "config.json",
    tokenizer::TOKENIZER,
    tokenizer::TOKENIZER_CONFIG,
    tokenizer::SPECIAL_TOKENS,
    tokenizer::GENERATION_CONFIG,
    tokenizer::CHAT_TEMPLATE,
    sentence::MODULES,
    sentence::POOLING,
    sentence::TRANSFORMER,
];
/// Types of weights that can be read.
const TYPES: [(&str, GgmlType); 3] = [("F32", GgmlType::F32), ("F16", GgmlType::F16), ("BF16", GgmlType::BF16)];

/// The files that make up a model in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Where they are.
    pub dir: PathBuf,
    /// All names, sorted.
    pub names: Vec<String>,
    /// Those that hold weights, sorted.
    pub weights: Vec<String>,
}

impl Files {
    /// Lists what is in a directory, or around a single weights file.
    ///
    /// # Errors
    /// When there are no weights files, or their index cannot be read.
    pub fn of(path: &Path) -> Result<Self, Error> {
        let (dir, only) = split(path);
        let listing = Listing::of(&dir, only.as_deref())?;
        let settings = SETTINGS.iter().filter(|name| dir.join(name).is_file());
        let mut names: Vec<String> = settings.map(|name| (*name).to_owned()).collect();
        names.extend(listing.indexed.then(|| INDEX.to_owned()));
        names.extend_from_slice(&listing.names);
        names.sort();
        Ok(Self {
            dir,
            names,
            weights: listing.names,
        })
    }
}

/// Directory and, if `path` is a file in it, that file's name.
fn split(path: &Path) -> (PathBuf, Option<String>) {
    match (path.is_dir(), path.parent(), path.file_name()) {
        (false, Some(parent), Some(name)) => (parent.into(), Some(name.to_string_lossy().into_owned())),
        _ => (path.into(), None),
    }
}

/// An open model: the weights files and the header that a GGUF file of the same model would have.
#[derive(Debug)]
pub(crate) struct Directory {
    pub header: Header,
    pub shards: Shards,
}

impl Directory {
    pub fn open(path: &Path) -> Result<Self, Error> {
        let (dir, only) = split(path);
        let listing = Listing::of(&dir, only.as_deref())?;
        let config = Config::read(&dir)?;
        let (shards, entries) = Shards::open(&dir, &listing)?;
        let tensors = tensors(&dir, &config, &shards, entries)?;
        let mut metadata = config.metadata.clone();
        metadata.extend(tokenizer::read(&dir, &config)?);
        if config.architecture == "bert" {
            metadata.extend(sentence::read(&dir, tokenizer::longest(&dir)?)?);
        }
        let header = Header {
            version: 3,
            metadata: metadata.into_iter().collect(),
            tensors,
        };
        Ok(Self { header, shards })
    }

    pub fn read_tensor(&self, tensor: &TensorInfo) -> Result<Vec<u8>, Error> {
        let absent = || gguf::Error::MissingTensor {
            name: tensor.name.clone(),
        };
        let (file, path, offset) = self.shards.place(tensor.offset).ok_or_else(absent)?;
        let size = usize::try_from(tensor.bytes)
            .map_err(|_| Error::invalid(path, "the tensor", "it is larger than this machine can address"))?;
        let mut bytes = vec![0; size];
        file.read_exact_at(&mut bytes, offset).map_err(Error::io(path))?;
        Ok(bytes)
    }
}

/// The tensors that the network uses, under their names in GGUF files.
fn tensors(dir: &Path, config: &Config, shards: &Shards, entries: Vec<Entry>) -> Result<Vec<TensorInfo>, Error> {
    let (mut tensors, mut names) = (Vec::new(), HashSet::new());
    for entry in entries {
        let path = shards.place(entry.offset).map_or(dir, |(_, path, _)| path);
        let what = format!("tensor {:?}", entry.name);
        let name = match config.name(&entry.name) {
            Name::Known(name) => name,
            Name::Unused => continue,
            Name::Stranger => {
                let why = "models of the family as this release knows it have none; use a plain model of that family";
                return Err(Error::unsupported(path, what, why));
            }
        };
        let Some((_, ggml_type)) = TYPES.into_iter().find(|(dtype, _)| *dtype == entry.dtype) else {
            let why = format!("its type is {}; F32, F16 and BF16 are supported", entry.dtype);
            return Err(Error::unsupported(path, what, why));
        };
        if entry.bytes == 0 || entry.shape.is_empty() || entry.shape.len() > 2 {
            let why = format!("its shape is {:?}, expected a vector or a matrix", entry.shape);
            return Err(Error::invalid(path, what, why));
        }
        if !names.insert(name.clone()) {
            return Err(Error::invalid(path, what, format!("another tensor is {name:?} too")));
        }
        tensors.push(TensorInfo {
            name,
            shape: entry.shape,
            ggml_type,
            offset: entry.offset,
            bytes: entry.bytes,
        });
    }
    check_outer(config, &tensors)?;
    Ok(tensors)
}

/// What the settings say of the tensors outside the blocks.
fn check_outer(config: &Config, tensors: &[TensorInfo]) -> Result<(), Error> {
    let find = |name: &str| tensors.iter().find(|tensor| tensor.name == name);
    if let Some(embedding) = find("token_embd.weight")
        && embedding.shape[0] != config.vocabulary_size
    {
        let why = format!("the embedding has {} rows", embedding.shape[0]);
        return Err(config.settings.invalid("vocab_size", why));
    }
    let decoder = config.architecture != "bert";
    if decoder && !config.tied && find("output.weight").is_none() {
        let why = "it is false and the files have no lm_head.weight; set it to true if the head is the embedding";
        return Err(config.settings.invalid("tie_word_embeddings", why));
    }
    if let Some(classifier) = find("cls.output.weight")
        && classifier.shape[0] != 1
    {
        let why = format!(
            "the classifier has {} labels, only one (a score) is supported",
            classifier.shape[0]
        );
        return Err(config.settings.invalid("id2label", why));
    }
    Ok(())
}
