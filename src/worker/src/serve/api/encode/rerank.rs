//! How well each document answers a query: `POST /v1/rerank`, as Cohere and Jina have it, and what
//! `Rerank` of gRPC shares with it.

use std::sync::Arc;

use axum::extract::State;
use rand::distr::{Alphanumeric, SampleString as _};
use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;

use super::EncodeApi;
use crate::serve::api::{Json, error::Error, fields::Fields};

/// Most documents of one request, as Cohere has it.
const MAX_DOCUMENTS: usize = 1000;

/// Documents in falling order of their scores.
pub struct Ranking {
    /// The place of each in the request, and its score.
    pub results: Vec<(usize, f32)>,
    /// All documents of the request.
    documents: Vec<String>,
    /// Tokens of all pairs of query and document.
    pub tokens: usize,
}

/// Scores the documents of a request's body.
///
/// # Errors
/// When the body asks for something that cannot be, or the model fails.
pub async fn rank(api: &EncodeApi, body: &Map<String, Value>) -> Result<Ranking, Error> {
    let fields = Fields::new(body);
    let model = fields.text("model")?.ok_or(Error::MissingField { field: "model" })?;
    api.check_model(model)?;
    let query = fields.text("query")?.ok_or(Error::MissingField { field: "query" })?;
    let documents = documents(fields)?;
    let top = fields
        .integer("top_n", 1..=u64::MAX)?
        .map_or(documents.len(), |top| usize::try_from(top).unwrap_or(usize::MAX));
    let wants_logits = fields.flag("raw_scores")?;

    let tokenizer = api.model.tokenizer.clone();
    let (query, texts) = (query.to_owned(), documents.clone());
    let encode = move || texts.iter().map(|text| tokenizer.encode_pair(&query, text)).collect();
    let pairs: Result<Result<Vec<_>, String>, _> = spawn_blocking(encode).await;
    let pairs = pairs
        .unwrap_or_else(|error| Err(error.to_string()))
        .map_err(Error::Tokenizer)?;
    let (rows, tokens) = api.encode("documents", pairs).await?;
    let scores: Vec<f32> = rows.iter().filter_map(|row| row.first().copied()).collect();
    let score = |index: usize| match wants_logits {
        true => scores[index],
        false => sigmoid(scores[index]),
    };
    let best = best(&scores, top).into_iter();
    Ok(Ranking {
        results: best.map(|index| (index, score(index))).collect(),
        documents,
        tokens,
    })
}

/// `POST /v1/rerank`
pub async fn handle(State(api): State<Arc<EncodeApi>>, Json(body): Json) -> Result<axum::Json<Value>, Error> {
    let wants_documents = Fields::new(&body).flag("return_documents")?;
    let Ranking {
        results,
        documents,
        tokens,
    } = rank(&api, &body).await?;
    let result = |(index, score): (usize, f32)| {
        let mut result = json!({"index": index, "relevance_score": score});
        if wants_documents {
            result["document"] = json!({"text": documents[index]});
        }
        result
    };
    let results: Vec<Value> = results.into_iter().map(result).collect();
    Ok(axum::Json(json!({
        "id": format!("rerank-{}", Alphanumeric.sample_string(&mut rand::rng(), 24)),
        "model": api.model.served_name,
        "results": results,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })))
}

/// Documents are texts, or objects with a `text`.
pub fn documents(fields: Fields<'_>) -> Result<Vec<String>, Error> {
    let field = "documents";
    let value = fields.get(field).ok_or(Error::MissingField { field })?;
    let expected = || {
        fields.invalid(
            field,
            format!("1 to {MAX_DOCUMENTS} strings, or objects with a \"text\""),
        )
    };
    let list = value.as_array().ok_or_else(expected)?;
    if list.is_empty() || list.len() > MAX_DOCUMENTS {
        return Err(expected());
    }
    let text = |document: &Value| match document {
        Value::String(text) => Some(text.clone()),
        other => other["text"].as_str().map(Into::into),
    };
    list.iter().map(text).collect::<Option<_>>().ok_or_else(expected)
}

/// The places of the `top` highest scores, best first; equal ones in the order given.
fn best(scores: &[f32], top: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    order.truncate(top);
    order
}

/// The probability that a logit stands for.
fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_come_first() {
        assert_eq!(best(&[0.1, -2.0, 0.5, 0.1], 3), [2, 0, 3]);
        assert_eq!(best(&[0.1], 9), [0]);
        assert_eq!((sigmoid(0.0), sigmoid(200.0), sigmoid(-200.0)), (0.5, 1.0, 0.0));
    }

    #[test]
    fn documents_have_two_shapes() {
        let read = |value: Value| {
            let body = json!({ "documents": value });
            documents(Fields::new(body.as_object().unwrap())).map_err(|error| error.to_string())
        };
        assert_eq!(read(json!(["a", {"text": "b"}])).unwrap(), ["a", "b"]);
        for wrong in [
            json!([]),
            json!("a"),
            json!([1]),
            json!([{"title": "a"}]),
            json!(vec!["a"; 1001]),
        ] {
            assert!(read(wrong).unwrap_err().contains("1 to 1000 strings"));
        }
    }
}
