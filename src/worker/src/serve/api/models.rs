//! `/v1/models`: the one model that is served here.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::{Value, json};

use super::{Api, error::Error};

/// `GET /v1/models`
pub async fn list(State(api): State<Arc<Api>>) -> Json<Value> {
    Json(json!({"object": "list", "data": [describe(&api)]}))
}

/// `GET /v1/models/{model}`
pub async fn get(State(api): State<Arc<Api>>, Path(model): Path<String>) -> Result<Json<Value>, Error> {
    api.check_model(&model)?;
    Ok(Json(describe(&api)))
}

fn describe(api: &Api) -> Value {
    json!({
        "id": api.model.served_name,
        "object": "model",
        "created": api.started,
        "owned_by": "atelier",
        "max_model_len": api.model.engine.options().context_length,
    })
}
