//! Sentences of which it is known whether their documents support them, by which detectors are measured.
//!
//! They are made of the documents that a Room has. A sentence as it stands in a chunk, cited to that chunk, is supported.
//! The same with exactly one thing changed is not: another number, date or name, a denial put in or taken out, or a citation
//! of a chunk that has nothing of it, or of one that is not there. What is put in stands nowhere in the cited chunk, which is
//! looked up in its letters and not by what is measured.
//!
//! What models get wrong is often less plain than that: the figures compare detectors, and Rooms, and show what a detector
//! is blind to. They are no promise for answers.

mod change;
mod draw;

#[cfg(test)]
mod tests;

use draw::Draw;

use super::{
    citations::{with_mark, without_marks},
    grounding::{About, Measured, Settings, Signals, check},
    source::{Part, Source},
};
use crate::document::Chunk;

/// Chunks that a sentence is held against, as many as an answer is mostly given.
const GROUP: usize = 8;
/// Most sentences of a chunk, before they are changed: those of a few chunks would be about the same.
const OF_CHUNK: usize = 2;
/// Most sentences of a set, changed ones among them.
pub const MOST: usize = 300;
/// Words that say something, of a sentence that can be changed in one thing and stay the same otherwise.
const LEAST_TELLING: usize = 4;
/// Words of a sentence at most. Longer ones are tables and lists.
const LONGEST: usize = 60;

/// What was done to a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// Nothing: it is supported.
    None,
    /// It has another number.
    Number,
    /// It has another date.
    Date,
    /// It has another name.
    Name,
    /// It denies what it said, or says what it denied.
    Denial,
    /// It cites a chunk that has nothing of it.
    Foreign,
    /// It cites a chunk that is not there.
    Dangling,
}

/// A sentence with its citation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// Its text.
    pub text: String,
    /// The place of the chunk that it cites, if that one is there.
    pub cites: Option<usize>,
    /// What was done to it.
    pub change: Change,
}

/// Chunks, as a model might be given them, and sentences that cite them.
#[derive(Clone, Debug)]
pub struct Group {
    /// The chunks, in the order of their numbers.
    pub chunks: Vec<Chunk>,
    /// The sentences.
    pub sentences: Vec<Labelled>,
}

impl Change {
    /// Whether the sentence is supported.
    pub fn is_supported(self) -> bool {
        self == Self::None
    }
}

/// Sentences of these chunks, the same for the same `seed`; at most [`MOST`].
pub fn label(chunks: Vec<Chunk>, seed: u64) -> Vec<Group> {
    let mut draw = Draw::of(seed);
    let mut left = MOST;
    let mut groups = Vec::new();
    let mut chunks = chunks.into_iter().peekable();
    while chunks.peek().is_some() && left > 0 {
        let chunks: Vec<Chunk> = chunks.by_ref().take(GROUP).collect();
        let mut sentences = sentences(&chunks, &mut draw);
        sentences.truncate(left);
        left -= sentences.len();
        groups.push(Group { chunks, sentences });
    }
    groups
}

/// How well checks tell them apart. `signals` has what others say of each sentence, in their order; sentences of which they
/// have nothing are left out.
pub fn measure(groups: &[Group], settings: &Settings, signals: impl IntoIterator<Item = Option<Signals>>) -> Measured {
    let mut measured = Measured::default();
    let mut signals = signals.into_iter();
    for group in groups {
        let sources: Vec<_> = group.chunks.iter().map(Source::of).collect();
        let about = About::of("", &sources);
        for sentence in &group.sentences {
            let Some(signals) = signals.next().flatten() else {
                continue;
            };
            let verdict = check(&sentence.text, &sources, &about, settings, &signals);
            measured.add(sentence.change.is_supported(), &verdict);
        }
    }
    measured
}

fn sentences(chunks: &[Chunk], draw: &mut Draw) -> Vec<Labelled> {
    let sources: Vec<_> = chunks.iter().map(Source::of).collect();
    let about = About::of("", &sources);
    let mut found = Vec::new();
    for (place, source) in sources.iter().enumerate() {
        let mut parts: Vec<Part> = source.parts().iter().filter_map(whole).collect();
        for _ in 0..OF_CHUNK {
            if parts.is_empty() {
                break;
            }
            let part = parts.swap_remove(draw.below(parts.len()));
            let cited = |text: &str, change| Labelled {
                text: with_mark(text, place + 1),
                cites: Some(place),
                change,
            };
            found.push(cited(&part.text, Change::None));
            let mut change = change::Changer {
                part: &part,
                place,
                sources: &sources,
                about: &about,
                draw,
            };
            let changed = [
                (Change::Number, change.number()),
                (Change::Date, change.date()),
                (Change::Name, change.name()),
                (Change::Denial, change.denial()),
            ];
            let changed = changed
                .into_iter()
                .filter_map(|(change, text)| Some(cited(&text?, change)));
            found.extend(changed);
            found.extend(change.foreign().map(|other| Labelled {
                text: with_mark(&part.text, other + 1),
                cites: Some(other),
                change: Change::Foreign,
            }));
            found.push(Labelled {
                text: with_mark(&part.text, sources.len() + 1),
                cites: None,
                change: Change::Dangling,
            });
        }
    }
    found
}

/// A part that is a whole sentence and says something.
fn whole(part: &Part) -> Option<Part> {
    let text = without_marks(part.text.trim());
    let is_sentence = text.ends_with(['.', '!']) && !text.contains(['\n', '|', '`', '\t']);
    let part = Part::of(&text, 0);
    let telling = part.words.iter().filter(|word| word.is_telling).count();
    (is_sentence && telling >= LEAST_TELLING && part.words.len() <= LONGEST).then_some(part)
}
