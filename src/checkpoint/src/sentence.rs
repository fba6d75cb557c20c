//! What `sentence-transformers` writes beside an encoder: how token vectors become one vector, and
//! how long a text may be.

use std::path::Path;

use gguf::Value;
use serde_json::Value as Json;

use crate::config::Entries;
use crate::json::{self, Settings};
use crate::{Error, keys};

/// The list of steps.
pub(crate) const MODULES: &str = "modules.json";
/// Settings of the pooling step.
pub(crate) const POOLING: &str = "1_Pooling/config.json";
/// Settings of the first step.
pub(crate) const TRANSFORMER: &str = "sentence_bert_config.json";
/// Where the pooling step must lie.
const POOLING_DIR: &str = "1_Pooling";
/// Ways of pooling: our name, the flag of older files, the number in GGUF files where there is one.
const POOLINGS: [(&str, &str, Option<u64>); 3] = [
    ("mean", "pooling_mode_mean_tokens", Some(1)),
    ("cls", "pooling_mode_cls_token", Some(2)),
    ("max", "pooling_mode_max_tokens", None),
];

/// Metadata of an encoder that embeds texts. Without any such file, vectors are averaged, as
/// `sentence-transformers` does then. `longest` is what the tokenizer allows.
pub(crate) fn read(dir: &Path, longest: Option<u64>) -> Result<Entries, Error> {
    let (mut metadata, mut length) = (Entries::new(), longest);
    let pooling = match json::value(&dir.join(MODULES))? {
        Some(modules) => {
            check_modules(&dir.join(MODULES), &modules)?;
            pooling(&Settings::read(dir, POOLING)?)?
        }
        None => POOLINGS[0].0,
    };
    metadata.push((keys::POOLING.into(), Value::String(pooling.into())));
    let number = POOLINGS.iter().find(|row| row.0 == pooling).and_then(|row| row.2);
    metadata.extend(number.map(|number| ("bert.pooling_type".into(), Value::Unsigned(number))));
    if let Some(settings) = Settings::find(dir, TRANSFORMER)? {
        // The tokenizer's own file says whether letters are folded; a second fold is not built in.
        if settings.flag("do_lower_case")? == Some(true) {
            return Err(settings.unsupported("do_lower_case", "fold letters by a normalizer in tokenizer.json"));
        }
        length = settings.optional("max_seq_length")?.or(length);
    }
    metadata.extend(length.map(|length| (keys::MAX_SEQUENCE_LENGTH.into(), Value::Unsigned(length))));
    Ok(metadata)
}

/// Steps are: the network, pooling, and perhaps normalization.
fn check_modules(file: &Path, modules: &Json) -> Result<(), Error> {
    let Some(modules) = modules.as_array() else {
        return Err(Error::invalid(file, "the file", "expected a list of modules"));
    };
    let text = |module: &Json, field: &str| module[field].as_str().unwrap_or_default().to_owned();
    for (index, module) in modules.iter().enumerate() {
        let (kind, path) = (text(module, "type"), text(module, "path"));
        let supported = match (index, kind.rsplit('.').next()) {
            (0, Some("Transformer")) => path.is_empty(),
            (1, Some("Pooling")) => path == POOLING_DIR,
            (2, Some("Normalize")) => true,
            _ => false,
        };
        if !supported {
            let what = format!("module {index} is {kind:?} in {path:?}");
            let why = format!(
                "only Transformer in the directory itself, Pooling in {POOLING_DIR:?} and Normalize are supported"
            );
            return Err(Error::unsupported(file, what, why));
        }
    }
    match modules.len() {
        0 | 1 => Err(Error::unsupported(file, "no Pooling module", "embeddings need one")),
        _ => Ok(()),
    }
}

fn pooling(settings: &Settings) -> Result<&'static str, Error> {
    let names = POOLINGS.map(|row| row.0).join(", ");
    if let Some(mode) = settings.text("pooling_mode")? {
        let known = POOLINGS.iter().find(|row| row.0 == mode);
        return known
            .map(|row| row.0)
            .ok_or_else(|| settings.unsupported("pooling_mode", format!("one of {names} is supported")));
    }
    let set = settings.flags().filter(|name| name.starts_with("pooling_mode_"));
    let set: Vec<&str> = set.collect();
    let known = POOLINGS.iter().find(|row| set == [row.1]);
    known.map(|row| row.0).ok_or_else(|| {
        let what = format!("pooling by {set:?}");
        Error::unsupported(&settings.file, what, format!("exactly one of {names} is supported"))
    })
}
