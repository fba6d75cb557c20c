//! What can be asked, and what comes back.

use serde_json::{Map, Value, json};

use super::PATH;
use crate::{console, headers, metrics::Operation, name};

/// All paths.
pub fn paths() -> Value {
    json!({
        (Operation::Chat.path()): {"post": inference(Operation::Chat, "Continues a conversation.")},
        (Operation::TextCompletion.path()): {"post": inference(Operation::TextCompletion, "Continues a text.")},
        (Operation::Embeddings.path()): {"post": inference(Operation::Embeddings, "Turns texts into vectors.")},
        (Operation::Rerank.path()): {"post": inference(Operation::Rerank, "Ranks documents by a question.")},
        "/v1/models": {"get": list_models()},
        "/v1/models/{id}": {"get": get_model()},
        "/v1/feedback": {"post": give_feedback()},
        (PATH): {"get": {
            "operationId": "getOpenApi",
            "summary": "This document.",
            "tags": ["document"],
            "security": [],
            "responses": {"200": body("The document.", json!({"type": "object", "required": ["openapi", "paths"]}))},
        }},
        (console::SHORT): {"get": page("getConsole", "Leads to the console.", &[], &["308"])},
        (console::PATH): {"get": page("getConsoleHome", "The page on which a Room is chosen.", &[], &["200", "304"])},
        (console::ROOM): {"get": page(
            "getConsoleRoom",
            "The page of a Room, whether there is one by that name or not.",
            &["namespace", "room"],
            &["200", "304"],
        )},
        (console::ASSETS): {"get": page("getConsoleAsset", "What pages are made of.", &["file"], &["200", "304", "404"])},
        "/healthz": admin("getHealth", "Whether the process is alive.", &["200"]),
        "/readyz": admin("getReadiness", "Whether it may get requests.", &["200", "503"]),
        "/metrics": admin("getMetrics", "Its metrics, for Prometheus.", &["200"]),
    })
}

/// Names of the schemas of a request and of its answer.
fn schemas_of(operation: Operation) -> [&'static str; 2] {
    match operation {
        Operation::Chat => ["ChatRequest", "ChatAnswer"],
        Operation::TextCompletion => ["CompletionRequest", "CompletionAnswer"],
        Operation::Embeddings => ["EmbeddingsRequest", "EmbeddingsAnswer"],
        Operation::Rerank => ["RerankRequest", "RerankAnswer"],
    }
}

fn inference(operation: Operation, summary: &str) -> Value {
    let [request, answer] = schemas_of(operation);
    let mut content = json!({"application/json": {"schema": reference(answer)}});
    if matches!(operation, Operation::Chat | Operation::TextCompletion) {
        // Version 3.1 has no words for what events are.
        content["text/event-stream"] = json!({});
    }
    let mut responses = refusals(&[400, 401, 403, 404, 408, 413, 429, 502, 503, 504]);
    let description = "The answer, as what serves the model gives it. With `stream`, server-sent events: parts of it in \
                       JSON, and `[DONE]` at the end. What fails after the beginning is an event `error` with an Error.";
    responses.insert("200".into(), json!({"description": description, "content": content}));
    // What serves the model may be any engine or provider.
    let own_words = |what: &str| json!({"description": format!("{what} by what serves the model, in its own words.")});
    responses.insert("4XX".into(), own_words("Refused"));
    responses.insert("5XX".into(), own_words("Not answered"));
    let mut described = json!({
        "operationId": operation.name(),
        "summary": summary,
        "tags": ["inference"],
        "requestBody": sent(request),
        "responses": responses,
    });
    if matches!(operation, Operation::Chat | Operation::TextCompletion) {
        described["parameters"] = json!([{
            "name": headers::SHADOW.as_str(),
            "in": "header",
            "required": false,
            "description": "`off`: no candidate gets a copy of the request (ShadowDeployments). Other values say nothing.",
            "schema": {"type": "string"},
        }]);
    }
    described
}

fn list_models() -> Value {
    let mut responses = refusals(&[401, 503]);
    responses.insert("200".into(), body("The models.", reference("ModelList")));
    json!({
        "operationId": "listModels",
        "summary": "The models that the caller may use, and their adapters.",
        "tags": ["models"],
        "responses": responses,
    })
}

fn get_model() -> Value {
    let mut responses = refusals(&[400, 401, 403, 404, 503]);
    responses.insert("200".into(), body("The model.", reference("Model")));
    json!({
        "operationId": "getModel",
        "summary": "A model or an adapter, if the caller may use it.",
        "tags": ["models"],
        "parameters": [{
            "name": "id",
            "in": "path",
            "required": true,
            "description": "The name, as in requests. Its slash may be sent as it is.",
            "schema": {"type": "string", "maxLength": 512, "pattern": name::PATTERN},
        }],
        "responses": responses,
    })
}

fn give_feedback() -> Value {
    let mut responses = refusals(&[400, 401, 404, 408, 413, 501, 503]);
    responses.insert("200".into(), body("What was kept.", reference("KeptFeedback")));
    json!({
        "operationId": "giveFeedback",
        "summary": "Says something about an answer that the caller got. What is said again replaces what was said.",
        "tags": ["feedback"],
        "requestBody": sent("Feedback"),
        "responses": responses,
    })
}

/// A page of the console, or a part of one. Anybody may have it.
fn page(id: &str, summary: &str, names: &[&str], statuses: &[&str]) -> Value {
    let parameters = names.iter().map(|name| {
        let mut schema = json!({"type": "string", "minLength": 1});
        if *name == "file" {
            schema["enum"] = console::PARTS.iter().map(|file| file.name).collect();
        }
        json!({"name": name, "in": "path", "required": true, "schema": schema})
    });
    let responses = statuses.iter().map(|status| {
        let response = match *status {
            "200" => json!({"description": "The file.", "content": {"*/*": {}}}),
            "404" => body(meaning(404), reference("Error")),
            "308" => {
                json!({"description": "It is elsewhere.", "headers": {"Location": {"schema": {"type": "string"}}}})
            }
            _ => json!({"description": "The browser has it."}),
        };
        ((*status).to_owned(), response)
    });
    json!({
        "operationId": id,
        "summary": summary,
        "tags": ["console"],
        "security": [],
        "parameters": parameters.collect::<Vec<_>>(),
        "responses": responses.collect::<Map<_, _>>(),
    })
}

/// Something at the admin port, which is not for callers.
fn admin(id: &str, summary: &str, statuses: &[&str]) -> Value {
    let responses = statuses.iter().map(|status| {
        let text = json!({"text/plain": {"schema": {"type": "string"}}});
        ((*status).to_owned(), json!({"description": summary, "content": text}))
    });
    json!({
        "servers": [{
            "url": "http://{host}:{port}",
            "variables": {
                "host": {"default": "localhost"},
                "port": {"default": protocol::ports::GATEWAY_ADMIN.to_string()},
            },
        }],
        "get": {
            "operationId": id,
            "summary": summary,
            "tags": ["admin"],
            "security": [],
            "responses": responses.collect::<Map<_, _>>(),
        },
    })
}

pub(super) fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

pub(super) fn sent(schema: &str) -> Value {
    json!({"required": true, "content": {"application/json": {"schema": reference(schema)}}})
}

pub(super) fn body(description: &str, schema: Value) -> Value {
    json!({"description": description, "content": {"application/json": {"schema": schema}}})
}

/// Our own refusals, which look alike.
pub(super) fn refusals(statuses: &[u16]) -> Map<String, Value> {
    let refusal = |status: &u16| {
        let mut refusal = body(meaning(*status), reference("Error"));
        if let Some((name, header)) = header(*status) {
            refusal["headers"] = json!({(name): header});
        }
        (status.to_string(), refusal)
    };
    statuses.iter().map(refusal).collect()
}

fn meaning(status: u16) -> &'static str {
    match status {
        400 => "The request makes no sense, or a guardrail refuses it.",
        401 => "There are no credentials, or none that count.",
        403 => "The model does not exist, or the caller may not use it.",
        404 => "There is no such thing.",
        408 => "The body did not arrive in time.",
        409 => "Somebody else was faster, or something has to be done before.",
        413 => "The body is too large.",
        422 => "What was sent cannot be kept.",
        429 => "The caller has used up what may be used for now.",
        501 => "This gateway does not do that.",
        502 => "What serves the model broke off or answered nonsense.",
        503 => "Nothing can answer for now.",
        504 => "What serves the model did not answer in time.",
        _ => "Refused.",
    }
}

/// The header that a refusal may have beside the usual ones.
fn header(status: u16) -> Option<(&'static str, Value)> {
    let seconds = json!({"description": "Seconds after which to try again.", "schema": {"type": "string"}});
    match status {
        401 => Some((
            "WWW-Authenticate",
            json!({"description": "The scheme.", "required": true, "schema": {"type": "string"}}),
        )),
        429 | 503 => Some(("Retry-After", seconds)),
        _ => None,
    }
}
