//! One thing of a sentence, changed.

use super::{
    super::{
        grounding::About,
        source::{Part, Source},
        text::{
            language::{Language, language},
            names::names,
            words::{Word, share},
        },
    },
    draw::Draw,
};

/// How often something is drawn that stands nowhere in the cited chunk.
const TRIES: usize = 8;
/// Share of a sentence's words that a chunk may have which has nothing of it: they have words such as "year" in common.
const NOTHING: f64 = 0.25;

/// Verbs that a denial goes with, by language, and what is put in: behind the verb or before it.
const DENIALS: [(Language, &str, &str, bool); 4] = [
    (
        Language::English,
        "is are was were may must can will should shall",
        "not",
        true,
    ),
    (
        Language::German,
        "ist sind war waren darf dürfen muss müssen kann können wird werden soll sollen",
        "nicht",
        true,
    ),
    (
        Language::Polish,
        "jest są może mogą musi muszą był była było były",
        "nie",
        false,
    ),
    (
        Language::Spanish,
        "es son está están fue fueron puede pueden debe deben",
        "no",
        false,
    ),
];
/// Denials that can be taken out alone.
const ALONE: [&str; 4] = ["not", "nicht", "nie", "never"];

/// A sentence that is to be changed.
pub(super) struct Changer<'a> {
    /// The sentence.
    pub part: &'a Part,
    /// The place of the chunk that it is of.
    pub place: usize,
    /// All chunks.
    pub sources: &'a [Source<'a>],
    /// What the names in them are.
    pub about: &'a About,
    pub draw: &'a mut Draw,
}

impl Changer<'_> {
    /// With another number, of as many digits; of two where it has one, for those may be told in words.
    pub fn number(&mut self) -> Option<String> {
        let is_date = |at: usize| {
            let mut dates = self.part.dates.iter();
            dates.any(|date| (date.at..date.end).contains(&at))
        };
        let numbers: Vec<_> = self.part.numbers.iter().filter(|one| !is_date(one.at)).collect();
        let number = *numbers.get(self.draw.below(numbers.len()))?;
        let (at, digits) = *digits(&number.text).first()?;
        for _ in 0..TRIES {
            let mut other: String = (0..digits.len().max(2))
                .map(|_| char::from(b'0' + self.draw.below(10) as u8))
                .collect();
            if other.starts_with('0') {
                other.replace_range(..1, "7");
            }
            if !self.chunk().contains(&other) && other != digits {
                return Some(self.with(number.at + at, digits, &other));
            }
        }
        None
    }

    /// With a date in another year, or on another day where it has no year.
    pub fn date(&mut self) -> Option<String> {
        let dates = &self.part.dates;
        let date = dates.get(self.draw.below(dates.len()))?;
        let (at, run) = digits(&date.text).into_iter().max_by_key(|(_, run)| run.len())?;
        for _ in 0..TRIES {
            let other = match run.len() {
                4 => (run.parse::<usize>().ok()? + 1 + self.draw.below(9)).to_string(),
                1 | 2 => (1 + self.draw.below(28)).to_string(),
                _ => return None,
            };
            let told = format!("{}{other}{}", &date.text[..at], &date.text[at + run.len()..]);
            if other.trim_start_matches('0') != run.trim_start_matches('0')
                && !self.chunk().contains(&told.to_lowercase())
            {
                return Some(self.with(date.at + at, run, &other));
            }
        }
        None
    }

    /// With a name of another chunk.
    pub fn name(&mut self) -> Option<String> {
        let own = self.names(self.part);
        let name = own.get(self.draw.below(own.len()))?;
        let chunk = self.chunk();
        let others = (self.sources.iter().enumerate())
            .filter(|(place, _)| *place != self.place)
            .flat_map(|(_, source)| source.parts())
            .flat_map(|part| self.names(part))
            .filter(|other| other.text.chars().all(char::is_alphabetic) && other.text.chars().count() >= 3);
        let others: Vec<Word> = others.filter(|other| !chunk.contains(&other.folded)).collect();
        let other = others.get(self.draw.below(others.len()))?;
        Some(self.with(name.at, &name.text, &other.text))
    }

    /// With a denial more, or without the only one.
    pub fn denial(&self) -> Option<String> {
        let words = &self.part.words;
        let denials: Vec<&Word> = words.iter().filter(|word| word.is_denial).collect();
        let text = &self.part.text;
        match denials.as_slice() {
            [] => {
                let language = language(words.iter().map(|word| word.folded.as_str()));
                let (_, verbs, denial, is_behind) = DENIALS.iter().find(|known| known.0 == language)?;
                let is_verb = |word: &&Word| verbs.split(' ').any(|verb| verb == word.text);
                let verb = words.iter().find(is_verb)?;
                let (at, put) = match is_behind {
                    true => (verb.at + verb.text.len(), format!(" {denial}")),
                    false => (verb.at, format!("{denial} ")),
                };
                Some(format!("{}{put}{}", &text[..at], &text[at..]))
            }
            [denial] if denial.folded == "cannot" => Some(self.with(denial.at, &denial.text, "can")),
            [denial] if ALONE.contains(&denial.text.as_str()) => {
                let without = text[..denial.at].trim_end();
                Some(format!("{without}{}", &text[denial.at + denial.text.len()..]))
            }
            _ => None,
        }
    }

    /// The place of another chunk that has nothing of it, if there is one.
    pub fn foreign(&self) -> Option<usize> {
        let telling: Vec<&Word> = self.part.words.iter().filter(|word| word.is_telling).collect();
        let others = self
            .sources
            .iter()
            .enumerate()
            .filter(|(place, _)| *place != self.place);
        let scored = others.map(|(place, source)| (share(&telling, source.words()), place));
        let least = scored.reduce(|least, other| if other.0 < least.0 { other } else { least });
        least.filter(|(share, _)| *share < NOTHING).map(|(_, place)| place)
    }

    /// The words of a part that are names, but for those of months.
    fn names(&self, part: &Part) -> Vec<Word> {
        let language = language(part.words.iter().map(|word| word.folded.as_str()));
        let names = names(&part.words, language, |word| self.about.is_name(word));
        let is_date = |word: &Word| part.dates.iter().any(|date| (date.at..date.end).contains(&word.at));
        let is_name = |word: &&Word| !is_date(word) && names.iter().any(|name| name.text == word.text);
        part.words.iter().filter(is_name).cloned().collect()
    }

    /// All that the cited chunk says and is called, in lower case.
    fn chunk(&self) -> String {
        let chunk = self.sources[self.place].chunk();
        let headings = chunk.place.headings.join("\n");
        format!("{}\n{headings}\n{}\n{}", chunk.text, chunk.document, chunk.source).to_lowercase()
    }

    /// The sentence with `new` where `old` stands at `at`.
    fn with(&self, at: usize, old: &str, new: &str) -> String {
        let text = &self.part.text;
        format!("{}{new}{}", &text[..at], &text[at + old.len()..])
    }
}

/// Runs of digits with their places.
fn digits(text: &str) -> Vec<(usize, &str)> {
    let (mut found, mut at) = (Vec::new(), 0);
    for part in text.split_inclusive(|c: char| !c.is_ascii_digit()) {
        let run = part.trim_end_matches(|c: char| !c.is_ascii_digit());
        if !run.is_empty() {
            found.push((at, run));
        }
        at += part.len();
    }
    found
}
