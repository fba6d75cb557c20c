//! Rooms with documents in them, at a gateway of one's own.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use api::llmmodel::Task;
use axum::{
    Json, Router,
    body::Body,
    http::{Response, StatusCode, header},
    response::IntoResponse,
    routing::post,
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use protocol::rooms::{TOKEN_HEADER, ingest as wire, vector};
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use store::{
    audit::{Log, Mode, Settings},
    testing::{Postgres, TestDatabase},
};
use tokio::{net::TcpListener, sync::Semaphore};

use super::super::within;
use crate::{
    audit::Recorder,
    rooms::room::testing::watched,
    testing::{TestGateway, VERSION, model},
};

pub const DIMENSION: usize = 64;
/// Whoever fills all Rooms.
pub const JOB: &str = "job";

/// What a model does that is asked how probable its tokens are.
#[derive(Clone, Default)]
pub enum Telling {
    /// It passes over that.
    #[default]
    Nothing,
    /// It refuses.
    Refused,
    /// It tells that it doubts these words, and no others.
    All(Vec<String>),
}

/// An embedding model that knows words, and a model that writes what it is told to.
pub struct Models {
    pub address: SocketAddr,
    /// What the next chats answer; without any, all that stands in the documents.
    pub says: Arc<Mutex<Option<String>>>,
    /// What the next chats answer that ask for a statement, the first one first; without any, that there is none.
    pub writes: Arc<Mutex<VecDeque<String>>>,
    /// What is told of tokens.
    pub tells: Arc<Mutex<Telling>>,
    /// Pieces of answers that may go out.
    pub pieces: Arc<Semaphore>,
    pub asked: Arc<Mutex<Vec<Value>>>,
}

pub fn embed(text: &str) -> Vec<f32> {
    let mut vector = vec![0.01; DIMENSION];
    for word in text
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        let mut hash = DefaultHasher::new();
        word.to_lowercase().hash(&mut hash);
        vector[hash.finish() as usize % DIMENSION] += 1.0;
    }
    vector
}

/// What a model would say that keeps nothing to itself.
fn everything(chat: &Value) -> String {
    let messages = chat["messages"].as_array().unwrap();
    let prompt = messages.last().unwrap()["content"].as_str().unwrap();
    let (mut said, mut number) = (String::new(), String::new());
    for line in prompt.lines() {
        match line.strip_prefix("| ") {
            Some(text) if !text.starts_with('(') => said += &format!("{} {number}. ", text.trim_end_matches('.')),
            Some(_) => {}
            None if line.starts_with("DOCUMENT") => number = line.rsplit(' ').next().unwrap().into(),
            None => {}
        }
    }
    said
}

impl Models {
    pub async fn start() -> Self {
        let says = Arc::new(Mutex::new(None::<String>));
        let writes = Arc::new(Mutex::new(VecDeque::<String>::new()));
        let tells = Arc::new(Mutex::new(Telling::default()));
        let pieces = Arc::new(Semaphore::new(1 << 20));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let embeddings = async |Json(body): Json<Value>| {
            let texts = body["input"].as_array().unwrap().iter();
            let data = texts.map(|text| json!({"embedding": embed(text.as_str().unwrap())}));
            Json(json!({"data": data.collect::<Vec<_>>()}))
        };
        let chat = {
            let (says, writes) = (says.clone(), writes.clone());
            let (pieces, asked, tells) = (pieces.clone(), asked.clone(), tells.clone());
            async move |Json(body): Json<Value>| {
                asked.lock().unwrap().push(body.clone());
                let doubted = match tells.lock().unwrap().clone() {
                    Telling::All(doubted) if body["logprobs"] == true => Some(doubted),
                    Telling::Refused if body["logprobs"] == true => {
                        let error = json!({"error": {"message": "unknown field logprobs"}});
                        return (StatusCode::BAD_REQUEST, Json(error)).into_response();
                    }
                    _ => None,
                };
                if body["stream"] != true {
                    let written = writes.lock().unwrap().pop_front();
                    let content = written.unwrap_or_else(|| rooms::sql::NO_QUERY.into());
                    let choices = json!([{"message": {"role": "assistant", "content": content}}]);
                    return Json(json!({"choices": choices})).into_response();
                }
                let text = says.lock().unwrap().clone().unwrap_or_else(|| everything(&body));
                let words: Vec<String> = text.split_inclusive(' ').map(Into::into).collect();
                let events = stream::iter(words).then(move |word| {
                    let pieces = pieces.clone();
                    let logprobs = doubted.as_ref().map(|doubted| {
                        let logprob = if doubted.iter().any(|one| word.trim() == one) {
                            -5.0
                        } else {
                            -0.01
                        };
                        json!({"content": [{"token": word, "bytes": word.as_bytes(), "logprob": logprob}]})
                    });
                    async move {
                        pieces.acquire().await.unwrap().forget();
                        let event = json!({"choices": [{"delta": {"content": word}, "logprobs": logprobs}]});
                        Ok::<_, Infallible>(Bytes::from(format!("data: {event}\n\n")))
                    }
                });
                let done = stream::iter([Ok(Bytes::from_static(b"data: [DONE]\n\n"))]);
                Response::builder()
                    .header(header::CONTENT_TYPE, "text/event-stream")
                    .body(Body::from_stream(events.chain(done)))
                    .unwrap()
            }
        };
        // It takes a document for the source of a sentence that has no other words than it.
        let rerank = async |Json(body): Json<Value>| {
            let words = |text: &Value| -> Vec<String> {
                let text = text.as_str().unwrap();
                let text = text.split_once(" [").map_or(text, |(text, _)| text);
                let words = text.split(|letter: char| !letter.is_alphanumeric());
                words.filter(|word| !word.is_empty()).map(Into::into).collect()
            };
            let query = words(&body["query"]);
            let documents = body["documents"].as_array().unwrap().iter().enumerate();
            let results = documents.map(|(index, document)| {
                let document = words(document);
                let has_all = query.iter().all(|word| document.contains(word));
                json!({"index": index, "relevance_score": if has_all { 0.9 } else { 0.1 }})
            });
            Json(json!({"results": results.collect::<Vec<_>>()}))
        };
        let router = Router::new()
            .route("/v1/embeddings", post(embeddings))
            .route("/v1/rerank", post(rerank))
            .route("/v1/chat/completions", post(chat));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            says,
            writes,
            tells,
            pieces,
            asked,
        }
    }

    pub fn tell(&self, telling: Telling) {
        *self.tells.lock().unwrap() = telling;
    }

    /// Writes these for databases, one after the other.
    pub fn write(&self, statements: &[&str]) {
        *self.writes.lock().unwrap() = statements.iter().map(ToString::to_string).collect();
    }

    pub fn say(&self, text: &str) {
        *self.says.lock().unwrap() = Some(text.into());
    }
}

/// A gateway with a database and models, and no Rooms yet.
pub struct House {
    pub gateway: TestGateway,
    pub models: Models,
    pub test: TestDatabase,
    pub log: Arc<Log>,
    rooms: Mutex<BTreeMap<String, (String, Value)>>,
}

/// A document to be.
#[derive(Clone, Debug)]
pub struct Doc {
    pub source: &'static str,
    pub name: String,
    pub title: Option<String>,
    pub texts: Vec<String>,
    pub clearance: u8,
    pub acl: Option<Vec<String>>,
    pub quarantined: Option<String>,
}

impl Doc {
    pub fn called(&self) -> String {
        self.title.clone().unwrap_or_else(|| format!("Title of {}", self.name))
    }
}

pub fn doc(name: &str, texts: &[&str]) -> Doc {
    Doc {
        source: "files",
        name: name.into(),
        title: None,
        texts: texts.iter().map(ToString::to_string).collect(),
        clearance: 0,
        acl: None,
        quarantined: None,
    }
}

/// What somebody was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub status: u16,
    pub text: String,
}

impl Told {
    pub fn json<T: DeserializeOwned>(&self) -> T {
        assert_eq!(self.status, 200, "{}", self.text);
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn code(&self) -> String {
        let body: Value = serde_json::from_str(&self.text).unwrap();
        body["error"]["code"].as_str().unwrap().into()
    }

    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, &*self.code()), (status, code), "{}", self.text);
    }

    /// The data of server-sent events.
    pub fn events(&self) -> Vec<Value> {
        assert_eq!(self.status, 200, "{}", self.text);
        let data: Vec<_> = self
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .collect();
        let (last, events) = data.split_last().unwrap();
        assert_eq!(*last, "[DONE]");
        events
            .iter()
            .map(|event| serde_json::from_str(event).unwrap())
            .collect()
    }
}

pub fn spec() -> Value {
    json!({
        "model": {"name": "chat"}, "embedding": {"name": "e"},
        "sources": [
            {"name": "files", "http": {"urls": ["http://127.0.0.1/"]}},
            {"name": "people", "upload": {"maxSize": "9Mi"}, "clearance": 1},
        ],
    })
}

impl House {
    pub async fn build() -> Self {
        let test = Postgres::shared().database().await;
        let settings = Settings {
            mode: Mode::Strict,
            capacity: 1024,
            patience: Duration::from_secs(30),
            vault: None,
        };
        let log = Log::start(test.database.clone(), settings).unwrap();
        let recorder = Recorder::new(log.clone(), test.database.clone());
        let database = test.database.clone();
        let gateway = TestGateway::start(&[], |timing| {
            timing.audit = recorder;
            timing.database = Some(database);
        })
        .await;
        let models = Models::start().await;
        for (name, task) in [("e", Task::Embed), ("chat", Task::Generate), ("rerank", Task::Rerank)] {
            let mut model = model("ns", name);
            model.task = Some(task);
            gateway.catalog.apply_model(model);
            gateway.set_workers(name, VERSION, &[models.address]);
        }
        within(async {
            while !log.stats().up {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        gateway.reviewer.know(JOB, "system:serviceaccount:ns:ingest");
        Self {
            gateway,
            models,
            test,
            log,
            rooms: Mutex::default(),
        }
    }

    /// A Room is there, and whoever fills it may.
    pub fn room(&self, name: &str, spec: Value) {
        let uid = format!("uid-{name}");
        self.rooms
            .lock()
            .unwrap()
            .insert(name.into(), (uid.clone(), spec.clone()));
        let rooms = &self.gateway.gateway.rooms;
        rooms.catalog.apply(watched(name, &uid, spec).into());
        let uids = self
            .rooms
            .lock()
            .unwrap()
            .values()
            .map(|known| known.0.clone())
            .collect();
        rooms.catalog.retain(&uids);
        let job = "system:serviceaccount:ns:ingest";
        self.gateway.reviewer.allow_in(job, "ingest", "ns", name);
        rooms.authorizer().forget_rooms();
    }

    /// Somebody with a token of their own name, who may do these in a Room.
    pub fn let_in(&self, user: &str, verbs: &[&str], room: &str) {
        self.gateway.reviewer.know(user, user);
        for verb in verbs {
            self.gateway.reviewer.allow_in(user, verb, "ns", room);
        }
        self.gateway.gateway.rooms.authorizer().forget_rooms();
    }

    pub fn request(&self, token: &str, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}/v1/rooms/ns/{path}", self.gateway.address);
        self.gateway.client.request(method, url).bearer_auth(token)
    }

    pub async fn tell(&self, request: reqwest::RequestBuilder) -> Told {
        let response = within(request.send()).await.unwrap();
        let status = response.status().as_u16();
        let text = within(response.text()).await.unwrap();
        Told { status, text }
    }

    pub async fn get(&self, token: &str, path: &str) -> Told {
        self.tell(self.request(token, Method::GET, path)).await
    }

    pub async fn post(&self, token: &str, path: &str, body: &Value) -> Told {
        self.tell(self.request(token, Method::POST, path).body(body.to_string()))
            .await
    }

    pub async fn search(&self, token: &str, room: &str, query: &str) -> Told {
        self.post(token, &format!("{room}/search"), &json!({"query": query}))
            .await
    }

    /// The texts that a search finds.
    pub async fn finds(&self, token: &str, room: &str, query: &str) -> Vec<String> {
        let found: protocol::rooms::search::Found = self.search(token, room, query).await.json();
        found.hits.into_iter().map(|hit| hit.text).collect()
    }

    pub async fn job(&self, writer: &wire::Begun, path: &str, body: &Value) -> Told {
        let request = self.request(JOB, Method::POST, path);
        self.tell(request.header(TOKEN_HEADER, &writer.token).body(body.to_string()))
            .await
    }

    pub async fn begin(&self, room: &str, anew: bool) -> wire::Begun {
        let recipe = json!({"model": "e", "digest": VERSION, "dimension": DIMENSION, "settings": "s"});
        let body = json!({"recipe": recipe, "anew": anew});
        self.post(JOB, &format!("{room}/generations"), &body).await.json()
    }

    /// Places documents with their chunks.
    pub async fn put(&self, room: &str, writer: &wire::Begun, documents: &[Doc]) -> Vec<wire::Placed> {
        let mut all = Vec::new();
        for doc in documents {
            let body = json!({"source": doc.source, "read": writer.now, "documents": [{
                "name": doc.name, "digest": digest(&doc.texts), "clearance": doc.clearance, "acl": doc.acl,
                "title": doc.called(), "origin": format!("/files/{}", doc.name), "bytes": 10,
                "pages": 1, "chunks": doc.texts.len(), "quarantined": doc.quarantined,
            }]});
            let path = format!("{room}/generations/{}", writer.generation);
            let placed: wire::PlacedDocuments = self.job(writer, &format!("{path}/documents"), &body).await.json();
            let wire::Placed::Here { id } = placed.documents[0] else {
                all.extend(placed.documents);
                continue;
            };
            let chunks: Vec<_> = (doc.texts.iter().enumerate())
                .map(|(ordinal, text)| {
                    json!({
                        "document": id, "ordinal": ordinal, "text": text, "tokens": 8,
                        "vector": vector::encode(&embed(text)), "place": {"page": 1, "offsets": [0, text.len()]},
                    })
                })
                .collect();
            let body = json!({"chunks": chunks});
            let added: wire::Added = self.job(writer, &format!("{path}/chunks"), &body).await.json();
            assert_eq!(added.chunks as usize, doc.texts.len());
            all.extend(placed.documents);
        }
        all
    }

    pub async fn publish(&self, room: &str, writer: &wire::Begun) -> Told {
        let path = format!("{room}/generations/{}", writer.generation);
        let verified: wire::Verified = self.job(writer, &format!("{path}/verify"), &json!({})).await.json();
        assert!(verified.recall_at_10.is_none_or(|recall| recall > 0.99), "{verified:?}");
        let body = json!({"keep": 1, "read": {"files": writer.now}});
        self.job(writer, &format!("{path}/publish"), &body).await
    }

    pub async fn fill(&self, room: &str, documents: &[Doc]) {
        let writer = self.begin(room, true).await;
        self.put(room, &writer, documents).await;
        let _: wire::Published = self.publish(room, &writer).await.json();
    }

    /// Rows of the audit trail, once they are written.
    pub async fn audited(&self, condition: &str) -> i64 {
        assert!(self.log.drain(Duration::from_secs(60)).await);
        self.test
            .number(&format!("SELECT count(*) FROM audit WHERE {condition}"))
            .await
    }
}

pub fn digest(texts: &[String]) -> String {
    let mut hash = DefaultHasher::new();
    texts.hash(&mut hash);
    format!("{:016x}", hash.finish()).repeat(4)
}
