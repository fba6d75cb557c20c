//! Texts as vectors.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use protocol::PrepareFailure;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::call::{Call, Error};
use super::{GATEWAY_FAILED, Gateway};
use crate::failure::Result;

/// Texts of one request, and bytes of them all together.
const TEXTS: usize = 32;
const BYTES: usize = 96 << 10;
/// Requests at once, of all documents together.
const AT_ONCE: usize = 4;
/// Shorter than this, no text is too long for a model.
const SHORTEST: usize = 64;

/// The model that embeds.
#[derive(Clone, Debug)]
pub struct Embedder {
    gateway: Gateway,
    model: String,
    dimension: usize,
    places: Arc<Semaphore>,
}

/// Why there is no vector.
#[derive(Clone, Debug, PartialEq)]
pub enum Unembedded {
    /// The model does not take the text; what it says.
    Refused(String),
    /// It is not there.
    Failed(PrepareFailure),
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    index: usize,
    embedding: Value,
}

impl Embedder {
    /// A model of the gateway: it is asked for the dimension of its vectors.
    ///
    /// # Errors
    /// When it is not there, or no model that embeds.
    pub async fn new(gateway: &Gateway, model: &str) -> Result<Self> {
        let mut embedder = Self {
            gateway: gateway.clone(),
            model: model.to_owned(),
            dimension: 0,
            places: Arc::new(Semaphore::new(AT_ONCE)),
        };
        let probe = ["dimension"];
        let vectors = embedder
            .once(&probe)
            .await
            .map_err(|error| error.failure(&format!("embed with the model {model:?}")))?;
        embedder.dimension = vectors.first().map(Vec::len).unwrap_or_default();
        Ok(embedder)
    }

    /// How many components its vectors have.
    pub fn dimension(&self) -> u32 {
        self.dimension as u32
    }

    /// A vector for each text. One that is too long for the model is embedded by its beginning.
    ///
    /// # Errors
    /// When the model does not take a text however short, or is not there.
    pub async fn embed(&self, texts: &[&str]) -> std::result::Result<Vec<Vec<f32>>, Unembedded> {
        let requests = stream::iter(batches(texts)).map(|batch| self.batch(batch));
        let vectors: Vec<Vec<Vec<f32>>> = requests.buffered(AT_ONCE).try_collect().await?;
        Ok(vectors.into_iter().flatten().collect())
    }

    async fn batch(&self, texts: &[&str]) -> std::result::Result<Vec<Vec<f32>>, Unembedded> {
        let _place = self.places.acquire().await;
        match self.once(texts).await {
            Ok(vectors) => Ok(vectors),
            Err(error) if is_about_texts(&error) => self.one_by_one(texts).await,
            Err(error) => Err(Unembedded::Failed(error.failure("embed chunks"))),
        }
    }

    async fn one_by_one(&self, texts: &[&str]) -> std::result::Result<Vec<Vec<f32>>, Unembedded> {
        let mut vectors = Vec::new();
        for text in texts {
            let mut text = *text;
            let vector = loop {
                match self.once(&[text]).await {
                    Ok(mut found) => break found.pop().unwrap_or_default(),
                    Err(error) if is_about_texts(&error) && text.len() > SHORTEST => {
                        text = &text[..text.floor_char_boundary(text.len() / 2)];
                    }
                    Err(error) if is_about_texts(&error) => return Err(Unembedded::Refused(error.to_string())),
                    Err(error) => return Err(Unembedded::Failed(error.failure("embed chunks"))),
                }
            };
            vectors.push(vector);
        }
        Ok(vectors)
    }

    async fn once(&self, texts: &[&str]) -> std::result::Result<Vec<Vec<f32>>, Error> {
        let body = json!({"model": self.model, "input": texts, "encoding_format": "base64"});
        let call = Call {
            body: body.to_string().into(),
            ..Call::new(Method::POST, "/v1/embeddings".into())
        };
        let answer: Answer = self.gateway.json(&call).await?;
        self.vectors(answer, texts.len()).ok_or_else(|| {
            let what = format!(
                "answers with other vectors than {} for {} texts",
                self.dimension,
                texts.len()
            );
            Error::Refused {
                status: 502,
                code: GATEWAY_FAILED.into(),
                message: format!("the model {:?} {what}", self.model),
            }
        })
    }

    /// In the order of the texts.
    fn vectors(&self, answer: Answer, count: usize) -> Option<Vec<Vec<f32>>> {
        let mut vectors = vec![None; count];
        for row in answer.data {
            let vector = match row.embedding {
                Value::String(text) => decode(&text)?,
                Value::Array(numbers) => numbers
                    .iter()
                    .map(|number| Some(number.as_f64()? as f32))
                    .collect::<Option<_>>()?,
                _ => return None,
            };
            let is_one = !vector.is_empty()
                && (self.dimension == 0 || vector.len() == self.dimension)
                && vector.iter().all(|number: &f32| number.is_finite())
                && vector.iter().any(|number| *number != 0.0);
            *vectors.get_mut(row.index).filter(|_| is_one)? = Some(vector);
        }
        vectors.into_iter().collect()
    }
}

fn decode(text: &str) -> Option<Vec<f32>> {
    let bytes = STANDARD.decode(text).ok()?;
    let numbers = bytes.chunks_exact(4);
    let is_whole = numbers.remainder().is_empty();
    is_whole.then(|| {
        numbers
            .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect()
    })
}

fn is_about_texts(error: &Error) -> bool {
    matches!(
        error,
        Error::Refused {
            status: 400 | 413 | 422,
            ..
        }
    )
}

/// Texts in requests of a size.
fn batches<'a, 'b>(texts: &'a [&'b str]) -> Vec<&'a [&'b str]> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, text) in texts.iter().enumerate() {
        if at > start && (at - start >= TEXTS || bytes + text.len() > BYTES) {
            batches.push(&texts[start..at]);
            (start, bytes) = (at, 0);
        }
        bytes += text.len();
    }
    if start < texts.len() {
        batches.push(&texts[start..]);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_a_size() {
        let long = "x".repeat(60 << 10);
        let texts: Vec<&str> = std::iter::repeat_n("a", 40)
            .chain([long.as_str(), &long, "b"])
            .collect();
        let sizes: Vec<usize> = batches(&texts).iter().map(|batch| batch.len()).collect();
        assert_eq!(sizes, [32, 9, 2]);
        assert!(batches(&[]).is_empty());
    }

    #[test]
    fn vectors_come_in_both_forms() {
        assert_eq!(decode("AACAPw=="), Some(vec![1.0]));
        assert_eq!(decode("AAA="), None);
    }
}
