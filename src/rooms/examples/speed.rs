//! How fast Rooms are searched, on one core: `cargo run --release -p atelier-rooms --example speed [CHUNKS...]`.
//!
//! Prints a line of JSON for each figure. Times are milliseconds of the clock; `cpu_ms` is what a call used of a core on
//! average, which says more where others are at work. Vectors and texts are random: vectors of 384 components around a
//! centre for every 500 chunks, texts of 100 words that are as unevenly distributed as words are.

use std::time::Instant;

use rand::{Rng, SeedableRng, rngs::StdRng};
use rooms::index::{Builder, Change, Embedding, Index, recall};
use rooms::search::{Options, Query, search};
use rooms::{Acl, Chunk, ChunkId, Clearance, Grant, Place, Principal, RoomKey, Verb};
use serde_json::{Value, json};

const DIMENSION: usize = 384;
const WORDS: usize = 100;
const CALLS: usize = 300;

/// Draws chunks and questions.
struct Source {
    random: StdRng,
    centres: Vec<Vec<f32>>,
}

impl Source {
    fn new(chunks: usize) -> Self {
        let mut random = StdRng::seed_from_u64(chunks as u64);
        let centre = |_| (0..DIMENSION).map(|_| random.random_range(-1f32..1.0)).collect();
        let centres = (0..chunks.div_ceil(500)).map(centre).collect();
        Self { random, centres }
    }

    fn vector(&mut self) -> Vec<f32> {
        let centre = self.random.random_range(0..self.centres.len());
        let centre = &self.centres[centre];
        centre
            .iter()
            .map(|component| component + self.random.random_range(-0.7f32..0.7))
            .collect()
    }

    fn text(&mut self, words: usize) -> String {
        let mut text = String::with_capacity(8 * words);
        for _ in 0..words {
            // The n-th word as often as 1/n.
            let word = 60_000f64.powf(self.random.random::<f64>()) as u32;
            text.push_str(&format!("w{word} "));
        }
        text
    }

    fn chunk(&mut self, id: usize, acl: Acl) -> Chunk {
        Chunk {
            id: ChunkId(id as i64),
            document: format!("document {}", id / 10),
            source: "source".into(),
            place: Place::default(),
            text: self.text(WORDS),
            clearance: Clearance(0),
            acl,
        }
    }
}

fn room() -> RoomKey {
    RoomKey {
        uid: "uid".into(),
        namespace: "ns".into(),
        name: "room".into(),
    }
}

/// Grants are for one request.
fn grant(user: &str) -> Grant {
    let principal = Principal {
        user: user.into(),
        groups: (0..10).map(|group| format!("group {group}")).collect(),
    };
    Grant::issue(room(), Verb::Search, principal, Clearance(0), Instant::now())
}

/// An index with so many lists of names, and the seconds that it took. Everyone's is the first one.
fn build(source: &mut Source, chunks: usize, lists: usize) -> (Index, f64) {
    let start = Instant::now();
    let mut builder = Builder::new(room(), 1, DIMENSION);
    for id in 0..chunks {
        let acl = match id % lists {
            0 => Acl::everyone(),
            list => Acl::of([format!("user:somebody {list}"), format!("group:a group {list}")]),
        };
        let embedding = Embedding::new(&source.vector()).expect("a direction");
        builder.push(&source.chunk(id, acl), 150, embedding).expect("a chunk");
    }
    (builder.finish().expect("an index"), start.elapsed().as_secs_f64())
}

/// Milliseconds that this thread had a core for, where the system tells.
fn cpu() -> Option<f64> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(told.split(' ').next()?.parse::<f64>().ok()? / 1e6)
}

/// Figures of calls, in milliseconds.
fn measure<T>(calls: usize, mut prepare: impl FnMut() -> T, mut call: impl FnMut(T)) -> Value {
    let (mut times, mut cpu_times) = (Vec::new(), 0.0);
    for _ in 0..calls {
        let prepared = prepare();
        let (start, before) = (Instant::now(), cpu());
        call(prepared);
        times.push(start.elapsed().as_secs_f64() * 1e3);
        cpu_times += cpu().zip(before).map_or(f64::NAN, |(after, before)| after - before);
    }
    times.sort_by(f64::total_cmp);
    let share = |share: f64| times[((calls - 1) as f64 * share) as usize];
    json!({"calls": calls, "p50_ms": share(0.5), "p99_ms": share(0.99), "cpu_ms": cpu_times / calls as f64})
}

fn print(what: &str, chunks: usize, more: Value, figures: Value) {
    let mut line = json!({"what": what, "chunks": chunks, "dimension": DIMENSION});
    for part in [more, figures] {
        if let (Value::Object(line), Value::Object(part)) = (&mut line, part) {
            line.extend(part);
        }
    }
    println!("{line}");
}

fn searches(source: &mut Source, index: &Index, chunks: usize, lists: usize) {
    for hybrid in [false, true] {
        let options = Options {
            hybrid,
            ..Options::default()
        };
        let mut found = 0;
        let figures = measure(
            CALLS,
            || (source.vector(), source.text(10), grant("jane")),
            |(vector, text, grant)| {
                let query = Query {
                    vector: &vector,
                    text: &text,
                };
                let hits = search(index, &grant, query, &options, Instant::now());
                found += hits.expect("hits").hits.len();
            },
        );
        let what = if hybrid {
            "search, vectors and words"
        } else {
            "search, vectors"
        };
        print(
            what,
            chunks,
            json!({"lists": lists, "hits": found as f64 / CALLS as f64}),
            figures,
        );
    }
}

fn main() {
    let sizes: Vec<usize> = std::env::args().skip(1).filter_map(|size| size.parse().ok()).collect();
    let sizes = if sizes.is_empty() {
        vec![100_000, 1_000_000]
    } else {
        sizes
    };
    for chunks in sizes {
        let mut source = Source::new(chunks);
        let (mut index, seconds) = build(&mut source, chunks, 1);
        let bytes = index.bytes();
        print(
            "build",
            chunks,
            json!({"seconds": seconds, "bytes": bytes, "bytes_per_chunk": bytes / chunks}),
            json!({}),
        );
        searches(&mut source, &index, chunks, 1);
        let share = recall(&index, &grant("jane"), 50, 10, Instant::now()).expect("a share");
        print("recall at 10", chunks, json!({"recall": share}), json!({}));
        let mut documents = (0..).map(|number| format!("document {number}"));
        let figures = measure(
            20,
            || documents.next().expect("a document"),
            |document| {
                let source = "source".into();
                index.revise(&[Change::Remove { source, document }]);
            },
        );
        print("remove a document", chunks, json!({}), figures);
    }
    // What it costs to find out who sees what, by how many lists of names there are.
    for lists in [1, 100, 10_000, 100_000] {
        let chunks = 100_000;
        let mut source = Source::new(chunks);
        let (index, _) = build(&mut source, chunks, lists);
        let user = format!("somebody {}", lists / 2);
        let figures = measure(
            CALLS,
            || grant(&user),
            |grant| {
                std::hint::black_box(index.visible(&grant));
            },
        );
        let seen = index.visible(&grant(&user));
        print(
            "visibility",
            chunks,
            json!({"lists": lists, "seen": seen, "bytes": index.bytes()}),
            figures,
        );
    }
}
