//! The tokenizer beside trained weights, so that their directory is a model of its own.

use std::{fs, path::Path};

use checkpoint::Checkpoint;
use engine::text::Tokenizer;
use protocol::tune::TrainFailure;
use serde_json::json;

use super::{
    durable,
    failure::{io_at, permanent, reasons},
};

const TEMPLATE: &str = "chat_template.jinja";
const CONFIG: &str = "config.json";

/// Copies the tokenizer of the base, or writes down that of a GGUF file. A `template` takes the place of its own.
///
/// # Errors
/// When it cannot be read or written.
pub fn write(model: &Path, template: Option<&str>, to: &Path) -> Result<(), TrainFailure> {
    match checkpoint::is_safetensors(model) {
        true => copy(model, to)?,
        false => write_down(model, to)?,
    }
    if let Some(template) = template {
        put(&to.join(TEMPLATE), template.as_bytes())?;
    }
    Ok(())
}

fn copy(model: &Path, to: &Path) -> Result<(), TrainFailure> {
    let directory = match model.is_dir() {
        true => model,
        false => model.parent().unwrap_or(model),
    };
    for name in checkpoint::SETTINGS.iter().filter(|name| **name != CONFIG) {
        let from = directory.join(name);
        if from.is_file() {
            let bytes = fs::read(&from).map_err(io_at("read", &from))?;
            // Those of sentence encoders lie in a directory of their own.
            if let Some(parent) = to.join(name).parent() {
                fs::create_dir_all(parent).map_err(io_at("write", parent))?;
            }
            put(&to.join(name), &bytes)?;
        }
    }
    Ok(())
}

fn write_down(model: &Path, to: &Path) -> Result<(), TrainFailure> {
    let refused = |why: String| {
        let message = format!("failed to write the tokenizer of {} down: {why}", model.display());
        permanent(reasons::INTERNAL, message)
    };
    let file = Checkpoint::open(model).map_err(|error| refused(error.to_string()))?;
    let tokenizer = Tokenizer::from_metadata(&file.header().metadata).map_err(|error| refused(error.to_string()))?;
    put(
        &to.join("tokenizer.json"),
        tokenizer.to_json().map_err(refused)?.as_bytes(),
    )?;
    let name = |token: Option<u32>| token.map(|token| tokenizer.name(token).to_owned());
    let mut settings = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": false,
    });
    for (field, name) in [
        ("bos_token", name(tokenizer.begin())),
        ("eos_token", name(tokenizer.end())),
    ] {
        if let Some(name) = name {
            settings[field] = name.into();
        }
    }
    if let Ok(added) = file.header().metadata.bool("tokenizer.ggml.add_bos_token") {
        settings["add_bos_token"] = added.into();
    }
    put_json(&to.join("tokenizer_config.json"), &settings)?;
    if let Some(template) = tokenizer.chat_template() {
        put(&to.join(TEMPLATE), template.as_bytes())?;
    }
    if !tokenizer.ends().is_empty() {
        put_json(
            &to.join("generation_config.json"),
            &json!({"eos_token_id": tokenizer.ends()}),
        )?;
    }
    Ok(())
}

fn put_json(path: &Path, value: &serde_json::Value) -> Result<(), TrainFailure> {
    put(path, format!("{value:#}\n").as_bytes())
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), TrainFailure> {
    durable::write(path, bytes).map_err(io_at("write", path))
}
