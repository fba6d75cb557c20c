//! A gateway that has one Room, for tests: it keeps everything in memory, and keeps to `protocol::rooms` as the real one
//! does: fences, recipes, what may be carried, and that nothing is published unverified.
#![allow(dead_code, reason = "each test uses some of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, mpsc};

use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use protocol::rooms::ingest::{
    AddChunks, Added, Begin, Begun, Carried, Carry, Changed, Known, KnownDocument, NewChunk, NewDocument,
    PlaceDocuments, Placed, PlacedDocuments, Publish, Published, Recipe, Removed, SetRights, Verified,
};
use protocol::rooms::state;
use protocol::rooms::uploads::{Upload, Uploads};
use protocol::rooms::{MAX_BATCH, MAX_BODY, TOKEN_HEADER, code, vector};
use serde_json::{Value, json};

/// What whoever calls it has to show.
pub const TOKEN: &str = "a-token-of-a-service-account";
/// The model that embeds.
pub const MODEL: &str = "team/embed";
pub const DIMENSION: usize = 8;

/// A document, in all generations.
#[derive(Clone, Debug, Default)]
pub struct Document {
    pub id: i64,
    pub clearance: u8,
    pub acl: Option<Vec<String>>,
    pub is_deleted: bool,
    pub is_barred: bool,
    pub released: Option<String>,
}

/// What a generation has of a document.
#[derive(Clone, Debug)]
pub struct Content {
    pub new: NewDocument,
    pub chunks: BTreeMap<u32, NewChunk>,
    pub pages: BTreeSet<u32>,
}

#[derive(Clone, Debug)]
pub struct Generation {
    pub recipe: Recipe,
    pub token: String,
    pub contents: BTreeMap<i64, Content>,
    pub is_verified: bool,
    pub is_building: bool,
}

/// What happens to requests.
#[derive(Debug, Default)]
pub struct Faults {
    /// Each n-th one is answered with 503, once each.
    pub every: Option<u64>,
    /// From this one on, none is answered; whoever waits is told.
    pub hold_at: Option<(u64, mpsc::Sender<()>)>,
    /// What is held goes on.
    pub is_released: bool,
    /// Embedding is answered with 503.
    pub no_model: bool,
    /// Characters of a text that the model takes.
    pub longest: Option<usize>,
}

#[derive(Debug, Default)]
pub struct Inner {
    pub documents: BTreeMap<(String, String), Document>,
    pub generations: BTreeMap<i64, Generation>,
    pub live: Option<i64>,
    pub uploads: BTreeMap<i64, (String, Upload, Vec<u8>)>,
    pub read: BTreeMap<String, i64>,
    pub faults: Faults,
    /// Sources that the Room has no more.
    pub strangers: BTreeSet<String>,
    /// Requests, as `METHOD path`.
    pub log: Vec<String>,
    /// Texts that were embedded.
    pub embedded: Vec<String>,
    clock: i64,
}

/// The gateway.
#[derive(Clone)]
pub struct Room {
    inner: Arc<Mutex<Inner>>,
    pub address: SocketAddr,
}

type Shared = Arc<Mutex<Inner>>;

impl Room {
    /// One that listens.
    pub fn start() -> Self {
        let inner = Shared::default();
        let (sender, receiver) = mpsc::channel();
        let shared = inner.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                sender.send(listener.local_addr().unwrap()).unwrap();
                axum::serve(listener, router(shared)).await.unwrap();
            });
        });
        let address = receiver.recv().unwrap();
        Self { inner, address }
    }

    pub fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// What the generation that answers has, by source and name.
    pub fn live(&self) -> BTreeMap<(String, String), Content> {
        let inner = self.inner();
        let Some(live) = inner.live else { return BTreeMap::new() };
        let contents = &inner.generations[&live].contents;
        let is_there = |document: &Document| !document.is_deleted && !document.is_barred;
        let documents = inner.documents.iter().filter(|(_, document)| is_there(document));
        let found = documents.filter_map(|(key, document)| Some((key.clone(), contents.get(&document.id)?.clone())));
        found.collect()
    }

    /// Names in a source that can be found.
    pub fn names(&self, source: &str) -> Vec<String> {
        let live = self.live().into_iter();
        let found = live.filter(|((of, _), content)| of == source && content.new.quarantined.is_none());
        found.map(|((_, name), _)| name).collect()
    }

    /// Why documents of a source are set aside.
    pub fn quarantined(&self, source: &str) -> BTreeMap<String, String> {
        let live = self.live().into_iter().filter(|((of, _), _)| of == source);
        live.filter_map(|((_, name), content)| Some((name, content.new.quarantined?)))
            .collect()
    }

    /// All text of a document.
    pub fn text(&self, source: &str, name: &str) -> String {
        let live = self.live();
        let content = live
            .get(&(source.to_owned(), name.to_owned()))
            .unwrap_or_else(|| panic!("{name} is not there"));
        content
            .chunks
            .values()
            .map(|chunk| format!("{}\n", chunk.text))
            .collect()
    }
}

fn router(shared: Shared) -> Router {
    let room = Router::new()
        .route("/generations", post(begin))
        .route("/generations/{n}/known", get(known))
        .route("/generations/{n}/carry", post(carry))
        .route("/generations/{n}/documents", post(place))
        .route("/generations/{n}/chunks", post(chunks))
        .route("/generations/{n}/documents/{id}/pages/{page}", put(page))
        .route("/generations/{n}/verify", post(verify))
        .route("/generations/{n}/publish", post(publish))
        .route("/removed", post(removed))
        .route("/rights", post(rights))
        .route("/state", get(state_of))
        .route("/uploads", get(uploads))
        .route("/uploads/{id}", get(upload));
    Router::new()
        .nest("/v1/rooms/team/handbook", room)
        .route("/v1/embeddings", post(embeddings))
        .layer(from_fn_with_state(shared.clone(), watch))
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
        .with_state(shared)
}

fn error(status: u16, code: &str, message: &str) -> Response {
    let body = json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": code}});
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}

async fn watch(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let held = {
        let mut inner = shared.lock().unwrap();
        inner.clock += 1;
        let path = format!("{} {}", request.method(), request.uri().path());
        inner.log.push(path);
        let count = inner.log.len() as u64;
        let shown = request
            .headers()
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        if shown != Some(&format!("Bearer {TOKEN}")) {
            return error(
                404,
                code::NOT_FOUND,
                "there is no such Room, or you may not do this in it",
            );
        }
        if inner.faults.every.is_some_and(|every| count.is_multiple_of(every)) {
            return error(503, code::UNAVAILABLE, "the database is away");
        }
        match &inner.faults.hold_at {
            Some((at, sender)) if count >= *at => {
                let _ = sender.send(());
                true
            }
            _ => false,
        }
    };
    // Until it is let go, or whoever asked is gone.
    while held && !shared.lock().unwrap().faults.is_released {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    next.run(request).await
}

async fn begin(State(shared): State<Shared>, Json(begin): Json<Begin>) -> Response {
    let mut inner = shared.lock().unwrap();
    let now = inner.clock;
    let token = format!("fence-{now}");
    let same = inner
        .generations
        .iter_mut()
        .find(|(_, generation)| generation.is_building && generation.recipe == begin.recipe);
    if let Some((number, generation)) = same.filter(|_| !begin.anew) {
        generation.token.clone_from(&token);
        return Json(Begun {
            generation: *number,
            token,
            resumed: true,
            now,
        })
        .into_response();
    }
    inner
        .generations
        .values_mut()
        .for_each(|generation| generation.is_building = false);
    let number = inner.generations.keys().last().copied().unwrap_or_default() + 1;
    inner.generations.insert(
        number,
        Generation {
            recipe: begin.recipe,
            token: token.clone(),
            contents: BTreeMap::new(),
            is_verified: false,
            is_building: true,
        },
    );
    Json(Begun {
        generation: number,
        token,
        resumed: false,
        now,
    })
    .into_response()
}

/// The generation, if the writer is the one that fills it.
fn fenced<'a>(inner: &'a mut Inner, number: i64, headers: &HeaderMap) -> Result<&'a mut Generation, Box<Response>> {
    let token = headers
        .get(TOKEN_HEADER)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let found = inner
        .generations
        .get_mut(&number)
        .filter(|generation| generation.is_building && generation.token == token);
    found.ok_or_else(|| Box::new(error(409, code::FENCED, "another writer has begun since")))
}

async fn known(
    State(shared): State<Shared>,
    Path(number): Path<i64>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let mut inner = shared.lock().unwrap();
    if let Err(response) = fenced(&mut inner, number, &headers) {
        return *response;
    }
    let (source, after) = (&query["source"], &query["after"]);
    if inner.strangers.contains(source) {
        return error(422, code::UNFIT, "the Room has no such source that has documents");
    }
    let live = inner.live.and_then(|live| inner.generations.get(&live));
    let documents = inner
        .documents
        .iter()
        .filter(|((of, name), _)| of == source && name > after);
    let documents: Vec<KnownDocument> = documents
        .map(|((_, name), document)| {
            let content = live.and_then(|live| live.contents.get(&document.id));
            KnownDocument {
                name: name.clone(),
                digest: content.map(|content| content.new.digest.clone()),
                clearance: document.clearance,
                acl: document.acl.clone(),
                quarantined: content.and_then(|content| content.new.quarantined.clone()),
                released: document.released.clone(),
                barred: document.is_barred,
                deleted: document.is_deleted,
            }
        })
        // Small pages, so that there are several.
        .take(3)
        .collect();
    let next = (documents.len() == 3).then(|| documents[2].name.clone());
    Json(Known {
        now: inner.clock,
        documents,
        next,
    })
    .into_response()
}

async fn carry(
    State(shared): State<Shared>,
    Path(number): Path<i64>,
    headers: HeaderMap,
    Json(carry): Json<Carry>,
) -> Response {
    let mut inner = shared.lock().unwrap();
    let recipe = match fenced(&mut inner, number, &headers) {
        Ok(generation) => {
            generation.is_verified = false;
            generation.recipe.clone()
        }
        Err(response) => return *response,
    };
    assert!(carry.documents.len() <= MAX_BATCH);
    let mut whole = Vec::new();
    for (name, digest) in carry.documents {
        let Some(document) = inner.documents.get(&(carry.source.clone(), name.clone())) else {
            continue;
        };
        if document.is_deleted || document.is_barred {
            continue;
        }
        let (id, released) = (document.id, document.released.clone());
        let fits = |content: &Content| {
            content.new.digest == digest && (content.new.quarantined.is_none() || released.as_ref() != Some(&digest))
        };
        let live = inner
            .live
            .and_then(|live| inner.generations.get(&live))
            .filter(|live| live.recipe == recipe);
        let taken = live
            .and_then(|live| live.contents.get(&id))
            .filter(|content| fits(content))
            .cloned();
        let contents = &mut inner.generations.get_mut(&number).unwrap().contents;
        if let (Some(taken), false) = (taken, contents.contains_key(&id)) {
            contents.insert(id, taken);
        }
        let is_whole = |content: &Content| fits(content) && content.chunks.len() as u32 == content.new.chunks;
        if contents.get(&id).is_some_and(is_whole) {
            whole.push(name);
        }
    }
    Json(Carried { documents: whole }).into_response()
}

async fn place(
    State(shared): State<Shared>,
    Path(number): Path<i64>,
    headers: HeaderMap,
    Json(place): Json<PlaceDocuments>,
) -> Response {
    let mut inner = shared.lock().unwrap();
    if let Err(response) = fenced(&mut inner, number, &headers) {
        return *response;
    }
    assert!(place.read > 0 && place.read <= inner.clock);
    let mut placed = Vec::new();
    for new in place.documents {
        if new.quarantined.is_some() && new.chunks > 0 {
            return error(422, code::UNFIT, "a document that is set aside has no chunks");
        }
        let next = inner.documents.len() as i64 + 1;
        let key = (place.source.clone(), new.name.clone());
        let document = inner.documents.entry(key).or_insert_with(|| Document {
            id: next,
            ..Document::default()
        });
        if document.is_barred {
            placed.push(Placed::Barred);
            continue;
        }
        document.is_deleted = false;
        (document.clearance, document.acl) = (new.clearance, new.acl.clone());
        let id = document.id;
        placed.push(Placed::Here { id });
        let generation = inner.generations.get_mut(&number).unwrap();
        generation.is_verified = false;
        generation.contents.insert(
            id,
            Content {
                new,
                chunks: BTreeMap::new(),
                pages: BTreeSet::new(),
            },
        );
    }
    Json(PlacedDocuments { documents: placed }).into_response()
}

async fn chunks(
    State(shared): State<Shared>,
    Path(number): Path<i64>,
    headers: HeaderMap,
    Json(add): Json<AddChunks>,
) -> Response {
    let mut inner = shared.lock().unwrap();
    let generation = match fenced(&mut inner, number, &headers) {
        Ok(generation) => generation,
        Err(response) => return *response,
    };
    generation.is_verified = false;
    let mut added = 0;
    for chunk in add.chunks {
        let components = vector::decode(&chunk.vector).map(|components| components.len());
        if components != Some(generation.recipe.dimension as usize) {
            return error(422, code::UNFIT, "a vector of another dimension");
        }
        let Some(content) = generation.contents.get_mut(&chunk.document) else {
            continue;
        };
        if chunk.ordinal >= content.new.chunks || chunk.text.is_empty() {
            return error(422, code::UNFIT, "a chunk behind the last of its document");
        }
        content.chunks.insert(chunk.ordinal, chunk);
        added += 1;
    }
    Json(Added { chunks: added }).into_response()
}

async fn page(
    State(shared): State<Shared>,
    Path((number, id, page)): Path<(i64, i64, u32)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut inner = shared.lock().unwrap();
    let generation = match fenced(&mut inner, number, &headers) {
        Ok(generation) => generation,
        Err(response) => return *response,
    };
    assert!(headers[header::CONTENT_TYPE] == "image/jpeg" && body.starts_with(b"\xff\xd8\xff"));
    match generation.contents.get_mut(&id) {
        Some(content) => {
            content.pages.insert(page);
            Json(json!({})).into_response()
        }
        None => error(404, code::NO_SUCH_THING, "no such document"),
    }
}

async fn verify(State(shared): State<Shared>, Path(number): Path<i64>, headers: HeaderMap) -> Response {
    let mut inner = shared.lock().unwrap();
    let generation = match fenced(&mut inner, number, &headers) {
        Ok(generation) => generation,
        Err(response) => return *response,
    };
    if generation
        .contents
        .values()
        .any(|content| content.chunks.len() as u32 != content.new.chunks)
    {
        return error(409, code::INCOMPLETE, "documents lack chunks");
    }
    generation.is_verified = true;
    let aside = generation
        .contents
        .values()
        .filter(|content| content.new.quarantined.is_some())
        .count() as u64;
    Json(Verified {
        documents: generation.contents.len() as u64 - aside,
        quarantined: aside,
        chunks: generation
            .contents
            .values()
            .map(|content| content.chunks.len() as u64)
            .sum(),
        recall_at_10: Some(1.0),
    })
    .into_response()
}

async fn publish(
    State(shared): State<Shared>,
    Path(number): Path<i64>,
    headers: HeaderMap,
    Json(publish): Json<Publish>,
) -> Response {
    let mut inner = shared.lock().unwrap();
    match fenced(&mut inner, number, &headers) {
        Ok(generation) if !generation.is_verified => return error(409, code::UNVERIFIED, "verify it first"),
        Ok(generation) => generation.is_building = false,
        Err(response) => return *response,
    }
    inner.live = Some(number);
    inner.read.extend(publish.read);
    Json(Published {
        live: number,
        expired: Vec::new(),
    })
    .into_response()
}

async fn removed(State(shared): State<Shared>, Json(removed): Json<Removed>) -> Response {
    let mut inner = shared.lock().unwrap();
    let mut documents = 0;
    for name in removed.documents {
        if let Some(document) = inner.documents.get_mut(&(removed.source.clone(), name)) {
            document.is_deleted = true;
            documents += 1;
        }
    }
    Json(Changed { documents }).into_response()
}

async fn rights(State(shared): State<Shared>, Json(set): Json<SetRights>) -> Response {
    let mut inner = shared.lock().unwrap();
    let mut documents = 0;
    for rights in set.documents {
        if let Some(document) = inner.documents.get_mut(&(set.source.clone(), rights.name)) {
            (document.clearance, document.acl) = (rights.clearance, rights.acl);
            documents += 1;
        }
    }
    Json(Changed { documents }).into_response()
}

async fn state_of(State(shared): State<Shared>) -> Response {
    let inner = shared.lock().unwrap();
    let names: BTreeSet<&String> = inner.documents.keys().map(|(source, _)| source).collect();
    let source = |name: &String| state::Source {
        name: name.clone(),
        ..state::Source::default()
    };
    Json(state::State {
        generation: inner.live,
        sources: names.into_iter().map(source).collect(),
        ..state::State::default()
    })
    .into_response()
}

async fn uploads(State(shared): State<Shared>, Query(query): Query<BTreeMap<String, String>>) -> Response {
    let inner = shared.lock().unwrap();
    let of = inner.uploads.values().filter(|(source, ..)| *source == query["source"]);
    let mut uploads: Vec<Upload> = of
        .map(|(_, upload, _)| upload.clone())
        .filter(|upload| upload.name > query["after"])
        .collect();
    uploads.sort_by(|a, b| a.name.cmp(&b.name));
    Json(Uploads { uploads, next: None }).into_response()
}

async fn upload(State(shared): State<Shared>, Path(id): Path<i64>) -> Response {
    match shared.lock().unwrap().uploads.get(&id) {
        Some((_, _, bytes)) => bytes.clone().into_response(),
        None => error(404, code::NO_SUCH_THING, "no such upload"),
    }
}

async fn embeddings(State(shared): State<Shared>, Json(body): Json<Value>) -> Response {
    let mut inner = shared.lock().unwrap();
    if inner.faults.no_model {
        return error(503, "model_not_ready", "no worker");
    }
    if body["model"] != MODEL {
        return error(404, "model_not_found", "the model does not exist");
    }
    let texts: Vec<String> = serde_json::from_value(body["input"].clone()).unwrap();
    if inner
        .faults
        .longest
        .is_some_and(|longest| texts.iter().any(|text| text.len() > longest))
    {
        return error(400, "context_length_exceeded", "a text is too long");
    }
    let data: Vec<Value> = texts.iter().enumerate().map(|(index, text)| json!({"object": "embedding", "index": index, "embedding": vector::encode(&embedding(text))})).collect();
    inner.embedded.extend(texts);
    Json(json!({"object": "list", "data": data})).into_response()
}

/// A vector of a text's letters, of length one.
fn embedding(text: &str) -> Vec<f32> {
    let mut vector = [0.01_f32; DIMENSION];
    text.bytes()
        .for_each(|byte| vector[usize::from(byte) % DIMENSION] += 1.0);
    let length = vector.iter().map(|component| component * component).sum::<f32>().sqrt();
    vector.iter().map(|component| component / length).collect()
}
