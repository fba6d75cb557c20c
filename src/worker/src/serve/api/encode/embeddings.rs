//! A vector for each text: `POST /v1/embeddings`, and what `Embed` of gRPC shares with it.

use std::sync::Arc;

use axum::extract::State;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use engine::encoder::{Encoded, normalize};
use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;

use super::{
    EncodeApi,
    input::{self, Input},
};
use crate::serve::api::{Json, error::Error, fields::Fields};

/// Vectors of texts.
pub struct Embeddings {
    /// In order of the input.
    pub rows: Vec<Vec<f32>>,
    /// Tokens of all texts.
    pub tokens: usize,
}

/// Embeds the texts of a request's body.
///
/// # Errors
/// When the body asks for something that cannot be, or the model fails.
pub async fn embed(api: &EncodeApi, body: &Map<String, Value>) -> Result<Embeddings, Error> {
    let fields = Fields::new(body);
    let model = fields.text("model")?.ok_or(Error::MissingField { field: "model" })?;
    api.check_model(model)?;
    let width = api.model.encoder.config().hidden_size.unsigned_abs();
    let dimensions = fields.integer("dimensions", 1..=width)?;
    // It names who asks; nothing is kept of it.
    fields.text("user")?;
    let texts = encoded(api, input::read(fields)?).await?;
    let (rows, tokens) = api.encode("input", texts).await?;
    let cut = |row| match dimensions {
        Some(count) => shortened(row, count as usize),
        None => row,
    };
    Ok(Embeddings {
        rows: rows.into_iter().map(cut).collect(),
        tokens,
    })
}

/// `POST /v1/embeddings`
pub async fn handle(State(api): State<Arc<EncodeApi>>, Json(body): Json) -> Result<axum::Json<Value>, Error> {
    let fields = Fields::new(&body);
    let format = match fields.text("encoding_format")? {
        None | Some("float") => Format::Float,
        Some("base64") => Format::Base64,
        Some(_) => return Err(fields.invalid("encoding_format", "\"float\" or \"base64\"")),
    };
    let Embeddings { rows, tokens } = embed(&api, &body).await?;
    let embedding = |(index, row): (usize, Vec<f32>)| json!({"object": "embedding", "index": index, "embedding": format.write(&row)});
    let data: Vec<Value> = rows.into_iter().enumerate().map(embedding).collect();
    Ok(axum::Json(json!({
        "object": "list",
        "data": data,
        "model": api.model.served_name,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })))
}

/// The tokens of all inputs; long texts take a while, so not on the threads that serve.
async fn encoded(api: &EncodeApi, inputs: Vec<Input>) -> Result<Vec<Encoded>, Error> {
    let tokenizer = api.model.tokenizer.clone();
    let encode = move || {
        let one = |input| match input {
            Input::Text(text) => tokenizer.encode(&text),
            Input::Tokens(tokens) => Ok(Encoded::of_tokens(tokens)),
        };
        inputs.into_iter().map(one).collect()
    };
    let encoded: Result<Result<Vec<_>, String>, _> = spawn_blocking(encode).await;
    encoded
        .unwrap_or_else(|error| Err(error.to_string()))
        .map_err(Error::Tokenizer)
}

/// The first numbers of a vector, as long as one again.
fn shortened(mut row: Vec<f32>, count: usize) -> Vec<f32> {
    row.truncate(count);
    normalize(&mut row);
    row
}

/// How vectors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Float,
    /// The bytes of the numbers, little-endian: a third of the size, and exact.
    Base64,
}

impl Format {
    fn write(self, row: &[f32]) -> Value {
        match self {
            Self::Float => json!(row),
            Self::Base64 => {
                let bytes: Vec<u8> = row.iter().flat_map(|number| number.to_le_bytes()).collect();
                STANDARD.encode(bytes).into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shorter_vectors_have_length_one() {
        assert_eq!(shortened(vec![0.6, 0.8, 0.0], 2), [0.6, 0.8]);
        assert_eq!(shortened(vec![0.6, 0.8, 0.0], 1), [1.0]);
        assert_eq!(shortened(vec![0.0, 0.0], 1), [0.0]);
    }

    #[test]
    fn both_formats_hold_the_same_numbers() {
        assert_eq!(Format::Float.write(&[0.5, -1.0]), json!([0.5, -1.0]));
        assert_eq!(Format::Base64.write(&[1.0]), json!("AACAPw=="));
    }
}
