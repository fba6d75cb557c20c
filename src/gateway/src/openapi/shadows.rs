//! What is collected of ShadowDeployments, as the document describes it.

use protocol::shadows::Pairs;
use serde_json::{Map, Value, json};

use super::{
    paths::{body, reference, refusals},
    rooms::schema,
};

/// All paths of ShadowDeployments.
pub fn paths() -> Map<String, Value> {
    let parameter = |name: &str, place: &str, required: bool| json!({"name": name, "in": place, "required": required, "schema": {"type": "string"}});
    let one = [
        parameter("namespace", "path", true),
        parameter("name", "path", true),
        parameter("uid", "query", true),
    ];
    let mut after = one.to_vec();
    after.push(json!({
        "name": "after",
        "in": "query",
        "required": false,
        "description": "The number of the last pair that is known. Default: 0, before the first one.",
        "schema": {"type": "integer", "minimum": 0, "maximum": i64::MAX},
    }));
    let mut collected = refusals(&[400, 401, 404, 501, 503]);
    collected.insert(
        "200".into(),
        body("Pairs, and what was counted.", reference("ShadowPairs")),
    );
    let mut forgotten = refusals(&[400, 401, 404, 501, 503]);
    forgotten.insert("204".into(), json!({"description": "Nothing is kept of it any more."}));
    let by_name = &one[..2];
    let report = |kind: &str, schema: Value| {
        let mut told = refusals(&[401, 404, 501, 503]);
        let described =
            "Its numbers, and the words of a few pairs where they are kept and the caller has the verb audit.";
        told.insert(
            "200".into(),
            json!({"description": described, "content": {kind: {"schema": schema}}}),
        );
        told
    };
    let mut written = refusals(&[400, 401, 404, 413, 501, 503]);
    written.insert("204".into(), json!({"description": "It is kept."}));
    let paths = json!({
        "/v1/shadows/{namespace}/{name}/report": {
            "get": {
                "operationId": "getShadowReport",
                "summary": "What came of a ShadowDeployment, for whoever may get it.",
                "tags": ["shadows"],
                "parameters": by_name,
                "responses": report("application/json", json!({"type": "object"})),
            },
            "put": {
                "operationId": "keepShadowReport",
                "summary": "Keeps what came of a ShadowDeployment, for its operator.",
                "tags": ["shadows"],
                "parameters": one,
                "requestBody": {"required": true, "content": {"application/json": {"schema": {"type": "object"}}}},
                "responses": written,
            },
        },
        "/v1/shadows/{namespace}/{name}/report.html": {"get": {
            "operationId": "getShadowReportPage",
            "summary": "The same as one page, which needs nothing else.",
            "tags": ["shadows"],
            "parameters": by_name,
            "responses": report("text/html", json!({"type": "string"})),
        }},
        "/v1/shadows/{namespace}/{name}/pairs": {"get": {
            "operationId": "collectShadowPairs",
            "summary": "What was measured of the pairs of a ShadowDeployment after one of them, for its operator.",
            "tags": ["shadows"],
            "parameters": after,
            "responses": collected,
        }},
        "/v1/shadows/{namespace}/{name}": {"delete": {
            "operationId": "forgetShadowPairs",
            "summary": "Forgets all pairs of a ShadowDeployment, for its operator. None is kept of it any more.",
            "tags": ["shadows"],
            "parameters": one,
            "responses": forgotten,
        }},
    });
    match paths {
        Value::Object(paths) => paths,
        _ => Map::new(),
    }
}

/// All schemas of ShadowDeployments, by name.
pub fn schemas() -> Map<String, Value> {
    [("ShadowPairs".to_owned(), schema::<Pairs>())].into_iter().collect()
}
