//! Tokenizes a data set once; later attempts, and the other processes of a training, find the result.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use protocol::tune::{DatasetManifest, MANIFEST, TrainFailure, records_file};
use serde::{Deserialize, Serialize};

use super::{
    claim::{self, Claimed},
    masked::Masked,
    records::Record,
    render::{Rendered, Renderer},
    tokens::{Tokens, Writer},
};
use crate::train::{
    durable,
    failure::{io_at, of_io, permanent, reasons},
};

/// The parts of a data set.
const PARTS: [&str; 3] = ["train", "validation", "test"];
/// Directory of what was tokenized.
const DIRECTORY: &str = ".tokens";
/// Longest line, in bytes.
const MAX_LINE: usize = 256 << 20;

/// A data set, ready to be learned from.
#[derive(Debug)]
pub struct Dataset {
    /// Its digest.
    pub digest: String,
    /// What is learned from.
    pub train: Tokens,
    /// What is measured on during the training, if anything.
    pub validation: Option<Tokens>,
    /// What the result is measured on, if anything.
    pub test: Option<Tokens>,
    /// What was found on the way.
    pub summary: Summary,
}

/// What became of the records: `summary.json`, written last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// By part.
    pub parts: BTreeMap<String, PartSummary>,
}

/// What became of a part's records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartSummary {
    /// Lines read.
    pub records: u64,
    /// Texts, pairs or windows.
    pub texts: u64,
    /// Tokens of all of them.
    pub tokens: u64,
    /// Records whose answer was cut at the sequence's end.
    pub cut: u64,
    /// Records that are not learned from, by reason.
    pub skipped: BTreeMap<String, u64>,
}

/// Reads the manifest of a data set.
///
/// # Errors
/// When there is none, or it is none.
pub fn manifest(dataset: &Path) -> Result<DatasetManifest, TrainFailure> {
    let path = dataset.join(MANIFEST);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let message = format!("{} is no complete data set: it has no {MANIFEST}", dataset.display());
            return Err(permanent(reasons::NO_DATA, message));
        }
        Err(error) => return Err(of_io("read", &path, &error)),
    };
    serde_json::from_str(&text).map_err(|error| {
        let message = format!("failed to read {}: {error}", path.display());
        permanent(reasons::INVALID_DATA, message)
    })
}

/// Finds the tokens of a data set, or makes them. `key` names everything that they depend on beside the records;
/// `elsewhere` is where they go if the data set cannot be written to. `stopped` is asked now and then.
///
/// # Errors
/// Which record cannot be learned from, and why; that there are none; or what cannot be read or written.
/// `None` if it was stopped.
pub fn prepare(
    dataset: &Path,
    elsewhere: &Path,
    key: &str,
    renderer: &Renderer<'_>,
    stopped: &dyn Fn() -> bool,
) -> Result<Option<Dataset>, TrainFailure> {
    let manifest = manifest(dataset)?;
    let places = [dataset, elsewhere].map(|place| place.join(DIRECTORY).join(key));
    let found = places.iter().find_map(|place| open(place).ok());
    let found = match found {
        Some(found) => Some(found),
        None => find_or_make(dataset, &places, renderer, stopped)?,
    };
    let Some(([train, validation, test], summary)) = found else {
        return Ok(None);
    };
    check(&manifest, dataset, &summary)?;
    let has_texts = |part: &str| summary.parts.get(part).is_some_and(|part| part.texts > 0);
    Ok(Some(Dataset {
        digest: manifest.report.digest,
        train,
        validation: has_texts("validation").then_some(validation),
        test: has_texts("test").then_some(test),
        summary,
    }))
}

/// Removes what processes that are gone did not complete.
pub fn sweep(dataset: &Path) {
    claim::sweep(&dataset.join(DIRECTORY));
}

/// The tokens of all [`PARTS`].
type Opened = ([Tokens; 3], Summary);

fn open(place: &Path) -> std::io::Result<Opened> {
    let invalid = |error: serde_json::Error| std::io::Error::new(std::io::ErrorKind::InvalidData, error);
    let summary: Summary = serde_json::from_slice(&fs::read(place.join("summary.json"))?).map_err(invalid)?;
    let part = |name: &str| {
        let part = summary.parts.get(name).cloned().unwrap_or_default();
        Tokens::open(place, name, part.texts, part.tokens)
    };
    let [train, validation, test] = PARTS;
    Ok(([part(train)?, part(validation)?, part(test)?], summary))
}

fn check(manifest: &DatasetManifest, dataset: &Path, summary: &Summary) -> Result<(), TrainFailure> {
    let counts = manifest.report.parts;
    for (name, expected) in PARTS.into_iter().zip([counts.train, counts.validation, counts.test]) {
        let found = summary.parts.get(name).map_or(0, |part| part.records);
        if found != expected {
            let file = records_file(dataset, name);
            let message = format!(
                "{} has {found} records, its manifest says {expected}: prepare the data again",
                file.display()
            );
            return Err(permanent(reasons::INVALID_DATA, message));
        }
    }
    let train = &summary.parts["train"];
    if train.texts > 0 {
        return Ok(());
    }
    let skipped: Vec<String> = train
        .skipped
        .iter()
        .map(|(why, count)| format!("{count} {why}"))
        .collect();
    let message = match (train.records, skipped.is_empty()) {
        (0, _) => format!(
            "{} is empty: give more data, or hold less of it back",
            records_file(dataset, "train").display()
        ),
        (records, true) => format!("{records} records give no text to learn from: they are too short"),
        (records, false) => format!("none of {records} records can be learned from: {}", skipped.join(", ")),
    };
    Err(permanent(reasons::NO_DATA, message))
}

/// Makes the tokens in the first place that can be written to, unless somebody else does it meanwhile.
fn find_or_make(
    dataset: &Path,
    places: &[PathBuf; 2],
    renderer: &Renderer<'_>,
    stopped: &dyn Fn() -> bool,
) -> Result<Option<Opened>, TrainFailure> {
    let find = |place: &Path| open(place).ok();
    let (claimed, target) = match claim::claim(&places[0], find, stopped) {
        Ok(claimed) => (claimed, &places[0]),
        Err(error) => {
            let place = &places[1];
            tracing::info!(
                "the data set cannot be written to ({error}): tokens go to {}",
                place.display()
            );
            (
                claim::claim(place, find, stopped).map_err(io_at("write", place))?,
                place,
            )
        }
    };
    // Held until it is made.
    let _claim = match claimed {
        Claimed::Own(claim) => claim,
        Claimed::Made(found) => return Ok(Some(found)),
        Claimed::Stopped => return Ok(None),
    };
    let temporary = durable::temporary(target).map_err(io_at("make", target))?;
    let mut summary = Summary::default();
    for part in PARTS {
        let counted = tokenize(dataset, temporary.path(), part, renderer, stopped)?;
        let Some(counted) = counted else { return Ok(None) };
        tracing::info!(part, ?counted, "tokenized");
        summary.parts.insert(part.into(), counted);
    }
    let text = serde_json::to_vec_pretty(&summary).expect("it has text keys only");
    let path = temporary.path().join("summary.json");
    durable::write(&path, &text).map_err(io_at("write", &path))?;
    // What is damaged goes. Where nothing can be locked another process may have been faster: its tokens are the same.
    let published = match target.exists() && open(target).is_err() {
        true => temporary.replace(target),
        false => temporary.publish(target),
    };
    published.map_err(io_at("write", target))?;
    open(target).map(Some).map_err(io_at("read", target))
}

fn tokenize(
    dataset: &Path,
    to: &Path,
    part: &str,
    renderer: &Renderer<'_>,
    stopped: &dyn Fn() -> bool,
) -> Result<Option<PartSummary>, TrainFailure> {
    let path = records_file(dataset, part);
    let mut writer = Writer::create(to, part).map_err(io_at("write", to))?;
    let mut counted = PartSummary::default();
    let mut lines = match File::open(&path) {
        Ok(file) => Some(BufReader::with_capacity(1 << 20, file)),
        // Nothing was held back.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && part != "train" => None,
        Err(error) => return Err(of_io("read", &path, &error)),
    };
    let mut window = Window::new(renderer.length);
    let mut line = String::new();
    while let Some(lines) = &mut lines {
        line.clear();
        let read = std::io::Read::take(&mut *lines, MAX_LINE as u64).read_line(&mut line);
        if read.map_err(io_at("read", &path))? == 0 {
            break;
        }
        counted.records += 1;
        let number = counted.records;
        let at_line = |why: String| {
            let message = format!("{}:{number}: {why}", path.display());
            permanent(reasons::INVALID_DATA, message)
        };
        if !line.ends_with('\n') && line.len() >= MAX_LINE {
            return Err(at_line(format!("the record has more than {MAX_LINE} bytes: split it")));
        }
        let record = Record::parse(line.trim_end_matches('\n')).map_err(at_line)?;
        let (rendered, cut) = renderer.render(record).map_err(at_line)?;
        counted.cut += u64::from(cut);
        let written = match rendered {
            Rendered::One(text) => writer.add(number, &text, None),
            Rendered::Pair(chosen, rejected) => writer.add(number, &chosen, Some(&rejected)),
            Rendered::Piece(tokens) => window.add(number, &tokens, &mut writer),
            Rendered::Skipped(skip) => {
                *counted.skipped.entry(skip.name().into()).or_default() += 1;
                Ok(())
            }
        };
        written.map_err(io_at("write", to))?;
        if number % 256 == 0 && stopped() {
            return Ok(None);
        }
    }
    window.finish(&mut writer).map_err(io_at("write", to))?;
    (counted.texts, counted.tokens) = writer.counts();
    writer.finish().map_err(io_at("write", to))?;
    Ok(Some(counted))
}

/// Cuts one long text, of all documents with ends between them, into pieces: each begins with the token that the one
/// before ended with, so that every token but the first is learned once.
struct Window {
    length: usize,
    tokens: Vec<u32>,
    line: u64,
}

impl Window {
    fn new(length: usize) -> Self {
        Self {
            length,
            tokens: Vec::new(),
            line: 1,
        }
    }

    fn add(&mut self, line: u64, tokens: &[u32], writer: &mut Writer) -> std::io::Result<()> {
        self.tokens.extend_from_slice(tokens);
        let mut at = 0;
        while self.tokens.len() - at > self.length {
            writer.add(self.line, &learned(&self.tokens[at..=at + self.length]), None)?;
            self.line = line;
            at += self.length;
        }
        self.tokens.drain(..at);
        Ok(())
    }

    fn finish(self, writer: &mut Writer) -> std::io::Result<()> {
        match self.tokens.len() {
            0 | 1 => Ok(()),
            _ => writer.add(self.line, &learned(&self.tokens), None),
        }
    }
}

fn learned(tokens: &[u32]) -> Masked {
    let mut masked = Masked::default();
    masked.push(tokens, true);
    masked
}
