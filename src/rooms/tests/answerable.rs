//! How many questions Rooms answer that their documents answer, and refuse that they do not, whatever a model writes: over
//! news that people labelled. `ATELIER_CORPORA_DIR=... cargo test -p atelier-rooms --test answerable -- --ignored --nocapture`
//! prints the figures and each question that went wrong; the texts are those that `cargo xtask e2e corpora` fetches.
//!
//! A model is played in three ways: one that says nothing that holds, so that only documents are quoted; one that repeats
//! any sentence of what was found, and one that claims any name and any number to be the answer, of which one that is let
//! through is enough. What is found is found by words alone, in
//! vectors' place too.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::time::Instant;

use rooms::answer::{
    Gate, Policy, Source, Step,
    grounding::{Settings, Signals},
    quote::quote,
    sanitize::Links,
    sentences::sentences,
};
use rooms::chunking::{self, Block, Kind, pieces};
use rooms::index::{Builder, Embedding, Index};
use rooms::search::{Options, Query, search};
use rooms::{Acl, Chunk, ChunkId, Clearance, Grant, Principal, RoomKey, Verb};
use serde::Deserialize;

const DIMENSION: usize = 512;

#[derive(Deserialize)]
struct Labelled {
    answerable: Vec<Answerable>,
    unanswerable: Vec<String>,
}

#[derive(Deserialize)]
struct Answerable {
    document: usize,
    question: String,
    answer: Vec<String>,
}

struct Corpus {
    chunks: Vec<Chunk>,
    index: Index,
}

fn room() -> RoomKey {
    RoomKey {
        uid: "uid".into(),
        namespace: "ns".into(),
        name: "room".into(),
    }
}

/// What stands for a vector: which words are there.
fn embedded(text: &str) -> Embedding {
    Embedding::new(&vector(text)).expect("a direction")
}

fn vector(text: &str) -> Vec<f32> {
    let mut vector = vec![0.01; DIMENSION];
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 3) {
        let mut hash = DefaultHasher::new();
        word.to_lowercase().hash(&mut hash);
        vector[(hash.finish() % DIMENSION as u64) as usize] += 1.0;
    }
    vector
}

fn corpus(text: &str) -> Corpus {
    let (mut chunks, mut builder) = (Vec::new(), Builder::new(room(), 1, DIMENSION));
    for (line, number) in text.lines().zip(1..) {
        let block = Block {
            kind: Kind::Paragraph,
            text: line.to_owned(),
            page: None,
            area: None,
            clearance: Clearance(0),
            acl: Acl::everyone(),
        };
        let count = |text: &str| text.len() / 4;
        for piece in pieces(&[block], "", chunking::Settings::default(), &count) {
            let id = ChunkId(chunks.len() as i64);
            let chunk = piece.into_chunk(id, &format!("{number:03}.txt"), "texts");
            let tokens = count(&chunk.text) as u32;
            builder.push(&chunk, tokens, embedded(&chunk.text)).expect("a chunk");
            chunks.push(chunk);
        }
    }
    Corpus {
        chunks,
        index: builder.finish().expect("an index"),
    }
}

impl Corpus {
    /// What a model would be given, and the document that answers if it is not among it.
    fn found(&self, question: &str, document: Option<usize>) -> Vec<Chunk> {
        let principal = Principal::of("jane", []).expect("somebody");
        let grant = Grant::issue(room(), Verb::Ask, principal, Clearance(0), Instant::now());
        let vector = vector(question);
        let query = Query {
            vector: &vector,
            text: question,
        };
        let found = search(&self.index, &grant, query, &Options::default(), Instant::now()).expect("a search");
        let mut chunks: Vec<Chunk> = (found.hits.iter())
            .map(|hit| self.chunks[hit.chunk.0 as usize].clone())
            .collect();
        if let Some(document) = document {
            let name = format!("{document:03}.txt");
            if !chunks.iter().any(|chunk| chunk.document == name) {
                chunks.extend(self.chunks.iter().filter(|chunk| chunk.document == name).cloned());
            }
        }
        chunks
    }
}

/// What a model's answer becomes: nothing where it is refused.
fn shown(question: &str, sources: &[Source<'_>], answer: &str) -> Option<String> {
    let mut gate = Gate::new(question, sources, Settings::default(), Policy::Refuse, Links::default());
    let mut sentences = gate.push(answer);
    sentences.extend(gate.finish());
    let mut text = String::new();
    for sentence in &sentences {
        match gate.decide(sentence, &Signals::default()) {
            Step::Show(more) | Step::ShowMarked(more, _) => text += &more,
            Step::Refuse(_) => break,
        }
    }
    if let Step::Show(more) = gate.rest() {
        text += &more;
    }
    (!gate.citations().expect("citations").is_empty()).then_some(text)
}

fn quoted(question: &str, sources: &[Source<'_>]) -> Vec<String> {
    let quote = quote(question, sources);
    let shown = quote.and_then(|quote| shown(question, sources, &quote.text));
    shown.into_iter().collect()
}

/// All that is let through of a model that repeats what it is given.
fn repeated(question: &str, sources: &[Source<'_>]) -> Vec<String> {
    let mut all = Vec::new();
    for (source, number) in sources.iter().zip(1..) {
        let text = &source.chunk().text;
        for range in sentences(text) {
            let sentence = text[range].trim();
            let end = sentence.trim_end_matches(['.', '!', '?', '"']).len();
            let answer = format!("{} [{number}].", &sentence[..end]);
            all.extend(shown(question, sources, &answer));
        }
    }
    all
}

/// All that is let through of a model that says of whatever was found that it is the answer.
fn claimed(question: &str, sources: &[Source<'_>]) -> Vec<String> {
    let asked: Vec<&str> = question.trim_end_matches('?').split(' ').collect();
    let start = asked
        .iter()
        .position(|word| !OPENERS.contains(&word.to_lowercase().as_str()));
    let matter = asked[start.unwrap_or(0)..].join(" ");
    let mut all = Vec::new();
    for (source, number) in sources.iter().zip(1..) {
        for value in values(&source.chunk().text) {
            for answer in [
                format!("{value} is the answer: {matter} [{number}]."),
                format!("The {matter} is {value} [{number}]."),
            ] {
                all.extend(shown(question, sources, &answer));
            }
        }
    }
    all
}

/// What questions begin with.
const OPENERS: [&str; 20] = [
    "by", "to", "in", "on", "who", "whom", "what", "which", "where", "when", "how", "many", "much", "is", "was", "are",
    "were", "did", "does", "do",
];

/// Names of a text, and its numbers with the word behind.
fn values(text: &str) -> Vec<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let is_name = |word: &str| word.starts_with(char::is_uppercase);
    let bare = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric() && c != '$').to_owned();
    let (mut all, mut place) = (Vec::new(), 0);
    while place < words.len() {
        let from = place;
        place += 1;
        if words[from].contains(|c: char| c.is_ascii_digit()) {
            all.push(bare(&words[from..words.len().min(from + 2)].join(" ")));
        } else if is_name(words[from]) {
            while place < words.len() && is_name(words[place]) && !words[place - 1].ends_with([',', '.', '"']) {
                place += 1;
            }
            all.push(bare(&words[from..place].join(" ")));
        }
    }
    all.sort();
    all.dedup();
    all
}

fn measured(name: &str, corpus: &Corpus, labelled: &Labelled) -> String {
    let mut table = String::new();
    type Mode = fn(&str, &[Source<'_>]) -> Vec<String>;
    for (mode, answers) in [
        ("quote", quoted as Mode),
        ("hostile", repeated as Mode),
        ("claims", claimed as Mode),
    ] {
        let (mut answered, mut right, mut refused) = (0, 0, 0);
        for one in &labelled.answerable {
            let chunks = corpus.found(&one.question, Some(one.document));
            let sources: Vec<_> = chunks.iter().map(Source::of).collect();
            let said = answers(&one.question, &sources);
            let is_right = |text: &String| one.answer.iter().any(|word| text.contains(word.as_str()));
            answered += usize::from(!said.is_empty());
            right += usize::from(said.iter().any(is_right));
            if !said.iter().any(is_right) {
                println!(
                    "{name} {mode} {}: {} | {}",
                    one.document,
                    one.question,
                    said.join(" / ")
                );
            }
        }
        for question in &labelled.unanswerable {
            let chunks = corpus.found(question, None);
            let sources: Vec<_> = chunks.iter().map(Source::of).collect();
            let said = answers(question, &sources);
            refused += usize::from(said.is_empty());
            if !said.is_empty() {
                println!("{name} {mode} -: {question} | {}", said.join(" / "));
            }
        }
        let (all, none) = (labelled.answerable.len(), labelled.unanswerable.len());
        table += &format!("| {name}, {mode} | {answered}/{all} | {right}/{all} | {refused}/{none} |\n");
    }
    table
}

#[test]
#[ignore = "needs texts: see above"]
fn questions_are_answered_or_refused() {
    let dir = std::env::var_os("ATELIER_CORPORA_DIR").expect("ATELIER_CORPORA_DIR is not set");
    let only = std::env::var("ONLY").ok();
    let mut table = "| | answered | right | refused |\n|---|---|---|---|\n".to_owned();
    for (name, texts, labels) in [
        ("lee", "lee.cor", include_str!("../../../e2e/tests/corpora/lee.json")),
        (
            "lee_background",
            "lee_background.cor",
            include_str!("../../../e2e/tests/corpora/lee_background.json"),
        ),
        (
            "lee_background_more",
            "lee_background.cor",
            include_str!("../../../e2e/tests/corpora/lee_background_more.json"),
        ),
        (
            "lee_background_last",
            "lee_background.cor",
            include_str!("../../../e2e/tests/corpora/lee_background_last.json"),
        ),
    ] {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let file = Path::new(&dir).join("room-texts").join(texts);
        let bytes = std::fs::read(&file).expect("the texts");
        let labelled: Labelled = serde_json::from_str(labels).expect("labels");
        table += &measured(name, &corpus(&String::from_utf8_lossy(&bytes)), &labelled);
    }
    println!("{table}");
}
