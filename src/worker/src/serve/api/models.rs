//! `/v1/models`: the one model that is served here.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::{Value, json};

use super::{Api, error::Error};

/// What a client may know of a model.
pub struct Model {
    /// Its name in requests.
    pub id: String,
    /// Seconds since 1970 when it began to be served.
    pub created: u64,
    /// Tokens that one conversation may have.
    pub max_model_len: usize,
}

impl Api {
    /// All models that can be asked for.
    pub fn models(&self) -> Vec<Model> {
        vec![self.describe(&self.model.served_name)]
    }

    fn describe(&self, name: &str) -> Model {
        Model {
            id: name.into(),
            created: self.started,
            max_model_len: self.model.engine.options().context_length,
        }
    }
}

impl Model {
    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "model",
            "created": self.created,
            "owned_by": "atelier",
            "max_model_len": self.max_model_len,
        })
    }
}

/// `GET /v1/models`
pub async fn list(State(api): State<Arc<Api>>) -> Json<Value> {
    let models: Vec<Value> = api.models().iter().map(Model::json).collect();
    Json(json!({"object": "list", "data": models}))
}

/// `GET /v1/models/{model}`
pub async fn get(State(api): State<Arc<Api>>, Path(model): Path<String>) -> Result<Json<Value>, Error> {
    api.check_model(&model)?;
    Ok(Json(api.describe(&model).json()))
}
