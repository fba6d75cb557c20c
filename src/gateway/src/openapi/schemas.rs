//! What requests and answers look like.

use schemars::{JsonSchema, schema_for};
use serde_json::{Value, json};

use crate::{feedback, head};

/// The schema of what a type reads, as a part of the document.
pub fn schema_of<T: JsonSchema>() -> Value {
    let mut schema = schema_for!(T).to_value();
    if let Some(schema) = schema.as_object_mut() {
        // They belong to a document of its own.
        for name in ["$schema", "title", "description"] {
            schema.shift_remove(name);
        }
    }
    schema
}

/// All schemas, by name.
pub fn schemas() -> Value {
    json!({
        "ChatRequest": request(&[
            ("messages", "The conversation."),
            ("tools", "What the model may call."),
            ("response_format", "The form of the answer, as a JSON schema."),
        ]),
        "CompletionRequest": request(&[("prompt", "The text to continue.")]),
        "EmbeddingsRequest": request(&[("input", "The texts.")]),
        "RerankRequest": request(&[("query", "The question."), ("documents", "The texts to rank.")]),
        "ChatAnswer": answer("choices"),
        "CompletionAnswer": answer("choices"),
        "EmbeddingsAnswer": answer("data"),
        "RerankAnswer": answer("results"),
        "Model": model(),
        "ModelList": {
            "type": "object",
            "required": ["object", "data"],
            "properties": {
                "object": {"const": "list"},
                "data": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}},
            },
        },
        "Feedback": feedback::schema(),
        "KeptFeedback": kept_feedback(),
        "Error": error(),
    })
}

/// What the gateway reads of every request, beside `fields` that it passes on unread.
fn request(fields: &[(&str, &str)]) -> Value {
    let mut schema = head::schema();
    for (name, description) in fields {
        schema["properties"][name] = json!({"description": description});
    }
    schema
}

/// An answer whose substance is in `field`.
fn answer(field: &str) -> Value {
    json!({
        "type": "object",
        "properties": {
            "id": {"type": "string", "description": "Feedback may name it."},
            "model": {"type": "string"},
            (field): {"type": "array"},
            "usage": {"type": ["object", "null"], "description": "How many tokens were read and written."},
            "atelier": {"type": "object", "description": "What guardrails found and let pass."},
        },
        "additionalProperties": true,
    })
}

fn model() -> Value {
    json!({
        "type": "object",
        "required": ["id", "object", "created", "owned_by"],
        "properties": {
            "id": {"type": "string", "description": "What requests call it."},
            "object": {"const": "model"},
            "created": {"type": "integer", "description": "Seconds since 1970."},
            "owned_by": {"type": "string", "description": "Its namespace."},
            "parent": {"type": "string", "description": "The model that an adapter belongs to."},
        },
        "additionalProperties": false,
    })
}

fn kept_feedback() -> Value {
    let text = json!({"type": "string"});
    let text_or_null = json!({"type": ["string", "null"]});
    json!({
        "type": "object",
        "required": ["object", "id", "kind", "value", "comment", "model", "adapter", "version", "revision"],
        "properties": {
            "object": {"const": "feedback"},
            "id": {"type": "string", "description": "The x-request-id of the answer."},
            "kind": text,
            "value": text,
            "comment": text_or_null,
            "model": text,
            "adapter": text_or_null,
            "version": text_or_null,
            "revision": {"type": "integer", "minimum": 1, "description": "How often something else was said."},
        },
        "additionalProperties": false,
    })
}

fn error() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": {"error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string", "description": "What is wrong, and what to do, for people."},
                "type": {"enum": [
                    "invalid_request_error", "permission_error", "rate_limit_error", "server_error",
                ]},
                "param": {"type": ["string", "null"], "description": "The field that it is about."},
                "code": {"type": "string", "description": "For programs; it does not change."},
            },
            "additionalProperties": false,
        }},
        "additionalProperties": false,
    })
}
