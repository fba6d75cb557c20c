//! Rooms, as the document describes them.

use protocol::rooms::{
    RED_TEAM_HEADER, TOKEN_HEADER, answers, ask, documents, ingest, redteam, search, state, uploads,
};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::paths::{body, reference, refusals, sent};

/// How something is asked for.
struct Call {
    path: &'static str,
    method: &'static str,
    id: &'static str,
    summary: &'static str,
    /// Names of values in the query, and whether they must be there.
    query: &'static [(&'static str, bool)],
    /// The schema of what is sent, a media type where it is no JSON, or nothing.
    sent: Option<&'static str>,
    /// The schema of what comes back.
    told: &'static str,
}

const BYTES: &str = "*/*";

const fn call(
    method: &'static str,
    path: &'static str,
    id: &'static str,
    told: &'static str,
    summary: &'static str,
) -> Call {
    Call {
        path,
        method,
        id,
        summary,
        query: &[],
        sent: None,
        told,
    }
}

impl Call {
    const fn asked(self, query: &'static [(&'static str, bool)]) -> Self {
        Self { query, ..self }
    }

    const fn sent(self, schema: &'static str) -> Self {
        Self {
            sent: Some(schema),
            ..self
        }
    }
}

const CALLS: [Call; 29] = [
    call("get", "", "getRoom", "Room", "The Room, as the caller sees it."),
    call(
        "delete",
        "",
        "purgeRoom",
        "Purged",
        "Takes away all that belongs to a Room that is being deleted.",
    ),
    call(
        "post",
        "/search",
        "searchRoom",
        "Found",
        "Finds what a question is about.",
    )
    .sent("Search"),
    call(
        "post",
        "/ask",
        "askRoom",
        "Answer",
        "Answers a question from what is found. With `stream`, server-sent events.",
    )
    .sent("Ask"),
    call(
        "get",
        "/documents",
        "listRoomDocuments",
        "Documents",
        "Documents that the caller sees.",
    )
    .asked(&[
        ("after", false),
        ("limit", false),
        ("quarantined", false),
        ("mine", false),
    ]),
    call(
        "post",
        "/documents",
        "uploadRoomDocument",
        "Uploaded",
        "Uploads a document.",
    )
    .asked(&[("source", true), ("file", true)])
    .sent(BYTES),
    call(
        "get",
        "/documents/{document}",
        "getRoomDocument",
        "Document",
        "A document, if the caller sees it.",
    ),
    call(
        "delete",
        "/documents/{document}",
        "removeRoomDocument",
        "Done",
        "Removes a document for good.",
    ),
    call(
        "post",
        "/documents/{document}/release",
        "releaseRoomDocument",
        "Done",
        "Lets a document in that was set aside.",
    ),
    call(
        "get",
        "/documents/{document}/pages/{page}",
        "getRoomPage",
        BYTES,
        "The picture of a page.",
    )
    .asked(&[("quarantined", false)]),
    call(
        "post",
        "/feedback",
        "giveRoomFeedback",
        "KeptFeedback",
        "Says something about an answer of the Room.",
    )
    .sent("Feedback"),
    call(
        "get",
        "/history",
        "listRoomHistory",
        "History",
        "What the caller has asked.",
    )
    .asked(&[("after", false), ("limit", false)]),
    call("get", "/audit", "auditRoom", "Audit", "Who has asked what.").asked(&[("after", false), ("limit", false)]),
    call(
        "post",
        "/generations",
        "beginRoomGeneration",
        "Begun",
        "Begins to fill the Room at the side.",
    )
    .sent("Begin"),
    call(
        "get",
        "/generations/{generation}/known",
        "listRoomKnown",
        "Known",
        "What the Room knows of a source.",
    )
    .asked(&[("source", true), ("after", false)]),
    call(
        "post",
        "/generations/{generation}/carry",
        "carryRoomDocuments",
        "Carried",
        "Takes over what has not changed.",
    )
    .sent("Carry"),
    call(
        "post",
        "/generations/{generation}/documents",
        "placeRoomDocuments",
        "PlacedDocuments",
        "Places documents.",
    )
    .sent("PlaceDocuments"),
    call(
        "post",
        "/generations/{generation}/chunks",
        "addRoomChunks",
        "Added",
        "Adds chunks of documents.",
    )
    .sent("AddChunks"),
    call(
        "put",
        "/generations/{generation}/documents/{document}/pages/{page}",
        "putRoomPage",
        "Nothing",
        "Keeps the picture of a page.",
    )
    .sent(BYTES),
    call(
        "post",
        "/generations/{generation}/verify",
        "verifyRoomGeneration",
        "Verified",
        "Counts what there is.",
    ),
    call(
        "post",
        "/generations/{generation}/publish",
        "publishRoomGeneration",
        "Published",
        "Makes it answer.",
    )
    .sent("Publish"),
    call(
        "post",
        "/generations/{generation}/live",
        "rollBackRoom",
        "RolledBack",
        "Goes back to a generation from before.",
    ),
    call(
        "post",
        "/rights",
        "setRoomRights",
        "Changed",
        "Says who may see documents.",
    )
    .sent("SetRights"),
    call(
        "post",
        "/removed",
        "removeFromRoom",
        "Changed",
        "Takes away what a source has no more.",
    )
    .sent("Removed"),
    call(
        "get",
        "/uploads",
        "listRoomUploads",
        "Uploads",
        "What people have uploaded, for whoever fills the Room.",
    )
    .asked(&[("source", true), ("after", false)]),
    call(
        "get",
        "/uploads/{upload}",
        "readRoomUpload",
        BYTES,
        "The bytes of an upload.",
    ),
    call(
        "get",
        "/state",
        "getRoomState",
        "State",
        "How the Room stands, for its operator.",
    ),
    call(
        "get",
        "/redteam",
        "getRoomRedTeam",
        "RedTeam",
        "What there is to be attacked, for whoever tests the Room.",
    ),
    call(
        "get",
        "/redteam/detectors",
        "measureRoomDetectors",
        "Detectors",
        "How well the Room's detectors tell sentences that its documents support from others, for whoever tests the Room.",
    ),
];

/// What may be read by whoever tests the Room as somebody whom they play.
const PLAYED: [&str; 8] = [
    "getRoom",
    "searchRoom",
    "askRoom",
    "listRoomDocuments",
    "getRoomDocument",
    "getRoomPage",
    "listRoomHistory",
    "measureRoomDetectors",
];

/// What schemas of Rooms are called among all others.
fn named(schema: &str) -> String {
    match schema {
        "Feedback" | "KeptFeedback" => schema.into(),
        schema => format!("Room{}", schema.strip_prefix("Room").unwrap_or(schema)),
    }
}

/// All paths of Rooms.
pub fn paths() -> Map<String, Value> {
    let mut paths = Map::new();
    for call in &CALLS {
        let path = format!("/v1/rooms/{{namespace}}/{{room}}{}", call.path);
        let described = describe(call, &path);
        let known = paths.entry(path).or_insert_with(|| json!({}));
        known[call.method] = described;
    }
    paths
}

fn describe(call: &Call, path: &str) -> Value {
    let in_path = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name: &str, place: &str, required: bool| json!({"name": name, "in": place, "required": required, "schema": {"type": "string"}});
    let mut parameters: Vec<_> = in_path.map(|name| parameter(name, "path", true)).collect();
    parameters.extend(
        call.query
            .iter()
            .map(|(name, required)| parameter(name, "query", *required)),
    );
    if call.path.starts_with("/generations/") && !call.path.ends_with("/live") {
        parameters.push(parameter(TOKEN_HEADER, "header", true));
    }
    if PLAYED.contains(&call.id) {
        parameters.push(parameter(RED_TEAM_HEADER, "header", false));
    }
    let mut responses = refusals(&[400, 401, 404, 408, 409, 413, 422, 429, 501, 502, 503, 504]);
    let mut told = match call.told {
        BYTES => json!({"description": "Its bytes.", "content": {(BYTES): {}}}),
        schema => body(call.summary, reference(&named(schema))),
    };
    if call.id == "askRoom" {
        told["content"]["text/event-stream"] = json!({});
    }
    responses.insert("200".into(), told);
    let mut described = json!({
        "operationId": call.id,
        "summary": call.summary,
        "tags": ["rooms"],
        "parameters": parameters,
        "responses": responses,
    });
    match call.sent {
        None => {}
        Some(BYTES) => described["requestBody"] = json!({"required": true, "content": {(BYTES): {}}}),
        Some(schema) => described["requestBody"] = sent(&named(schema)),
    }
    described
}

/// The schema of a type, with all that is in it.
pub(super) fn schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Some(schema) = schema.as_object_mut() {
        for name in ["$schema", "title", "description"] {
            schema.shift_remove(name);
        }
    }
    schema
}

/// All schemas of Rooms, by name.
pub fn schemas() -> Map<String, Value> {
    let all = [
        ("Room", schema::<search::Overview>()),
        ("Purged", schema::<state::Purged>()),
        ("Search", schema::<search::Search>()),
        ("Found", schema::<search::Found>()),
        ("Ask", schema::<ask::Ask>()),
        ("Answer", schema::<ask::Answer>()),
        ("Documents", schema::<documents::Documents>()),
        ("Document", schema::<documents::Document>()),
        ("Uploaded", schema::<documents::Uploaded>()),
        ("Done", schema::<documents::Done>()),
        ("History", schema::<answers::History>()),
        ("Audit", schema::<answers::Audit>()),
        ("Begin", schema::<ingest::Begin>()),
        ("Begun", schema::<ingest::Begun>()),
        ("Known", schema::<ingest::Known>()),
        ("Carry", schema::<ingest::Carry>()),
        ("Carried", schema::<ingest::Carried>()),
        ("PlaceDocuments", schema::<ingest::PlaceDocuments>()),
        ("PlacedDocuments", schema::<ingest::PlacedDocuments>()),
        ("AddChunks", schema::<ingest::AddChunks>()),
        ("Added", schema::<ingest::Added>()),
        ("Verified", schema::<ingest::Verified>()),
        ("Publish", schema::<ingest::Publish>()),
        ("Published", schema::<ingest::Published>()),
        ("RolledBack", schema::<state::RolledBack>()),
        ("SetRights", schema::<ingest::SetRights>()),
        ("Removed", schema::<ingest::Removed>()),
        ("Changed", schema::<ingest::Changed>()),
        ("Uploads", schema::<uploads::Uploads>()),
        ("State", schema::<state::State>()),
        ("RedTeam", schema::<redteam::Facts>()),
        ("Detectors", schema::<redteam::Detectors>()),
        ("Nothing", json!({"type": "object"})),
    ];
    all.into_iter().map(|(name, schema)| (named(name), schema)).collect()
}
