//! `/v1/models`: the model that is served here, and its adapters.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use engine::lora::Summary;
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
    /// The model that it is an adapter of.
    pub parent: Option<String>,
}

impl Api {
    /// All models that can be asked for.
    pub fn models(&self) -> Vec<Model> {
        let base = &self.model.served_name;
        let adapter = |summary: Summary| Model {
            parent: Some(base.clone()),
            ..self.describe(&format!("{base}:{}", summary.name))
        };
        let adapters = self.model.adapters.registry().list().into_iter().map(adapter);
        std::iter::once(self.describe(base)).chain(adapters).collect()
    }

    fn describe(&self, name: &str) -> Model {
        Model {
            id: name.into(),
            created: self.started,
            max_model_len: self.model.engine.options().model.context_length,
            parent: None,
        }
    }
}

impl Model {
    /// As `/v1/models` has it.
    pub fn json(&self) -> Value {
        let mut model = json!({
            "id": self.id,
            "object": "model",
            "created": self.created,
            "owned_by": "atelier",
            "max_model_len": self.max_model_len,
        });
        if let Some(parent) = &self.parent {
            model["parent"] = json!(parent);
        }
        model
    }
}

/// `GET /v1/models`
pub async fn list(State(api): State<Arc<Api>>) -> Json<Value> {
    let models: Vec<Value> = api.models().iter().map(Model::json).collect();
    Json(json!({"object": "list", "data": models}))
}

/// `GET /v1/models/{model}`
pub async fn get(State(api): State<Arc<Api>>, Path(model): Path<String>) -> Result<Json<Value>, Error> {
    let found = api.models().into_iter().find(|one| one.id == model);
    found
        .map(|model| Json(model.json()))
        .ok_or(Error::ModelNotFound { model })
}
