//! Lets an answer through sentence by sentence, each after it was checked.
//!
//! A stream of text goes in; of what comes out every sentence is clean and checked. In between the caller may ask
//! others about a sentence, which takes time, so it goes in two steps: [`Gate::push`] gives complete sentences, and
//! [`Gate::decide`] says what becomes of each of them.

use std::{collections::BTreeSet, ops::Range};

use super::{
    asked::Asked,
    citations::{self, Citation, Dangling},
    grounding::{About, Reason, Settings, Signals, Verdict, check},
    places::Places,
    prompt::data,
    repeats::Repeats,
    sanitize::{Clean, Links, Sanitizer},
    sentences::Splitter,
    source::Source,
    tells::is_told,
};

/// What becomes of sentences that are not supported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The answer ends before the first of them.
    #[default]
    Refuse,
    /// They are marked.
    Annotate,
}

/// What follows a sentence that is not supported.
pub const UNSUPPORTED: &str = "⚠ [not supported by the documents]";

/// A sentence of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// Its text, with the spaces that follow it.
    pub text: String,
    /// The places of the chunks that it cites, from 0, as far as they are there.
    pub cites: BTreeSet<usize>,
    /// Where it stands in the answer as the model wrote it, in bytes, with what of it was taken out.
    pub place: Range<usize>,
}

/// What becomes of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// This is shown.
    Show(String),
    /// This is shown, and it is marked in it that the sentence is not supported.
    ShowMarked(String, Reason),
    /// Nothing more is shown: the answer is refused.
    Refuse(Reason),
}

/// An answer on its way to the reader.
#[derive(Debug)]
pub struct Gate<'a> {
    sources: &'a [Source<'a>],
    about: About,
    settings: Settings,
    policy: Policy,
    sanitizer: Sanitizer,
    splitter: Splitter,
    places: Places,
    nonce: Option<String>,
    shown: Vec<String>,
    asked: Asked,
    /// Sentences that are supported, until one has what was asked for: it is then known that they lead to an answer.
    held: Vec<String>,
    is_told: bool,
    repeats: Repeats,
    verdicts: Vec<Verdict>,
    is_refused: bool,
}

impl<'a> Gate<'a> {
    /// For an answer to `question` from these chunks, in the order of their numbers.
    pub fn new(question: &str, sources: &'a [Source<'a>], settings: Settings, policy: Policy, links: Links) -> Self {
        Self {
            about: About::of(question, sources),
            sources,
            settings,
            policy,
            sanitizer: Sanitizer::new(links),
            splitter: Splitter::default(),
            places: Places::default(),
            nonce: None,
            shown: Vec::new(),
            asked: Asked::of(question),
            held: Vec::new(),
            is_told: policy == Policy::Annotate,
            repeats: Repeats::default(),
            verdicts: Vec::new(),
            is_refused: false,
        }
    }

    /// The same, for a model that was told of the documents with this [`super::prompt::Request::nonce`]: what it copies of
    /// their frame is not shown.
    #[must_use]
    pub fn told_with(mut self, nonce: &str) -> Self {
        self.nonce = Some(nonce.into());
        self
    }

    /// Takes the next piece of the answer and gives the sentences that it completes.
    pub fn push(&mut self, piece: &str) -> Vec<Sentence> {
        let clean = self.sanitizer.push_placed(piece);
        let sentences = clean.iter().flat_map(|piece| self.split(piece)).collect();
        self.sentences(sentences)
    }

    /// The answer ends: gives the rest.
    pub fn finish(&mut self) -> Vec<Sentence> {
        let clean = self.sanitizer.finish_placed();
        let mut sentences = self.split(&clean);
        sentences.extend(self.splitter.finish());
        self.sentences(sentences)
    }

    fn split(&mut self, clean: &Clean) -> Vec<String> {
        self.places.add(clean);
        self.splitter.push(&clean.text)
    }

    /// Says what becomes of a sentence, in the order that they were given in. After a refusal nothing is shown any
    /// more.
    pub fn decide(&mut self, sentence: &Sentence, signals: &Signals) -> Step {
        let verdict = match self.repeats.add(&sentence.text) {
            true => Verdict::Unsupported(Reason::Repetition),
            false => check(&sentence.text, self.sources, &self.about, &self.settings, signals),
        };
        self.verdicts.push(verdict.clone());
        if self.is_refused {
            // The reason of the first one was given.
            return Step::Show(String::new());
        }
        match (verdict, self.policy) {
            (verdict @ (Verdict::NoClaim | Verdict::Supported), _) => {
                self.held.push(sentence.text.clone());
                self.is_told |= verdict == Verdict::Supported && self.tells(sentence);
                Step::Show(if self.is_told { self.release() } else { String::new() })
            }
            (Verdict::Unsupported(reason), Policy::Annotate) => {
                // Citations that point nowhere are not shown: nobody could follow them.
                let text = match &reason {
                    Reason::Dangling(_) => citations::without_marks(&sentence.text),
                    _ => sentence.text.clone(),
                };
                let body = text.trim_end();
                let marked = format!("{body} {UNSUPPORTED}{}", &text[body.len()..]);
                self.shown.push(text);
                Step::ShowMarked(marked, reason)
            }
            (Verdict::Unsupported(reason), Policy::Refuse) => {
                self.is_refused = true;
                Step::Refuse(reason)
            }
        }
    }

    /// Whether a sentence that is supported has what was asked for. Where that is known, it or what it cites has to tell it.
    fn tells(&self, sentence: &Sentence) -> bool {
        let text = citations::without_marks(&sentence.text);
        let cited = || {
            let places = 0..self.sources.len();
            let is_cited = |place: &usize| sentence.cites.is_empty() || sentence.cites.contains(place);
            places.filter(is_cited).map(|place| &self.sources[place])
        };
        if !self.asked.is_told_by(&text) {
            return false;
        }
        match self.asked.fact() {
            Some(fact) if cited().all(Source::is_prose) => cited().any(|source| is_told(fact, source, &text)),
            _ => true,
        }
    }

    fn release(&mut self) -> String {
        let text = self.held.concat();
        self.shown.append(&mut self.held);
        text
    }

    /// Says what becomes of sentences that were held back, once the last one is decided: they are shown if they state
    /// nothing, such as that the answer is not known. Otherwise all of it is beside the point.
    pub fn rest(&mut self) -> Step {
        if self.held.is_empty() || self.is_refused {
            return Step::Show(String::new());
        }
        if self.verdicts.contains(&Verdict::Supported) {
            self.held.clear();
            self.is_refused = true;
            return Step::Refuse(Reason::Evasive);
        }
        Step::Show(self.release())
    }

    /// What became of each sentence so far, for the audit trail.
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// What the sentences that were shown cite.
    ///
    /// # Errors
    /// When one of them cites what is not there, which [`Self::decide`] does not let happen.
    pub fn citations(&self) -> Result<Vec<Citation>, Dangling> {
        let shown: Vec<&str> = self.shown.iter().map(String::as_str).collect();
        citations::cited(&shown, self.sources)
    }

    /// The sentence with a citation that supports it, where its own are missing, point nowhere or at the wrong chunk: small
    /// models know what they have read better than its number. Without such a chunk it stays as it is.
    fn attributed(&self, text: String) -> String {
        // Others are asked about what is cited in the end.
        let settings = Settings {
            entailment: None,
            similarity: None,
            most_uncertain: None,
            ..self.settings
        };
        let verdict = |text: &str| check(text, self.sources, &self.about, &settings, &Signals::default());
        match verdict(&text) {
            // A chunk that says the opposite is not passed over for another one.
            Verdict::Unsupported(reason) if self.settings.citations && !matches!(reason, Reason::Contradiction(_)) => {}
            _ => return text,
        }
        let bare = citations::without_marks(&text);
        let mut candidates = (1..=self.sources.len()).map(|number| citations::with_mark(&bare, number));
        candidates
            .find(|text| verdict(text) == Verdict::Supported)
            .unwrap_or(text)
    }

    fn sentences(&mut self, sentences: Vec<String>) -> Vec<Sentence> {
        let placed: Vec<_> = (sentences.into_iter())
            .map(|text| (self.places.next(&text), text))
            .collect();
        let cites = |text: &str| {
            let numbers = citations::marks(text).into_iter().flat_map(|mark| mark.numbers);
            let places = numbers.filter_map(|number| number.checked_sub(1));
            places.filter(|place| *place < self.sources.len()).collect()
        };
        placed
            .into_iter()
            .filter_map(|(place, text)| match &self.nonce {
                Some(nonce) => Some((place, data::unframed(&text, nonce)?.into())),
                None => Some((place, text)),
            })
            .map(|(place, text)| (place, self.attributed(text)))
            .map(|(place, text)| Sentence {
                cites: cites(&text),
                text,
                place,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::source::testing::chunk, *};

    const ANSWER: &str =
        "Fees are 5 EUR [1]. Doors open at 9 [2]. ![](https://evil.example/?q=5)\nPets may stay [2]. Cards work [1].";

    fn run(policy: Policy, cut: usize) -> (String, Vec<&'static str>, Vec<usize>) {
        let chunks = [chunk(1, "Fees are 5 EUR. Cards work."), chunk(2, "Doors open at 9.")];
        let sources: Vec<_> = chunks.iter().map(Source::of).collect();
        let mut gate = Gate::new("fees?", &sources, Settings::default(), policy, Links::default());
        let letters: Vec<char> = ANSWER.chars().collect();
        let mut sentences = Vec::new();
        for piece in letters.chunks(cut) {
            sentences.extend(gate.push(&piece.iter().collect::<String>()));
        }
        sentences.extend(gate.finish());
        let (mut shown, mut reasons) = (String::new(), Vec::new());
        for sentence in &sentences {
            match gate.decide(sentence, &Signals::default()) {
                Step::Show(text) => shown += &text,
                Step::ShowMarked(text, reason) => {
                    shown += &text;
                    reasons.push(reason.code());
                }
                Step::Refuse(reason) => reasons.push(reason.code()),
            }
        }
        let cited = gate
            .citations()
            .unwrap()
            .into_iter()
            .map(|citation| citation.number)
            .collect();
        (shown, reasons, cited)
    }

    #[test]
    fn what_is_not_supported_ends_the_answer() {
        for cut in 1..30 {
            let (shown, reasons, cited) = run(Policy::Refuse, cut);
            assert_eq!(shown.trim_end(), "Fees are 5 EUR [1]. Doors open at 9 [2].", "{cut}");
            assert_eq!((reasons, cited), (vec!["Overlap"], vec![1, 2]));
        }
    }

    #[test]
    fn a_statement_is_attributed_to_the_chunk_that_supports_it() {
        let chunks = [chunk(1, "Fees are 5 EUR. Cards work."), chunk(2, "Doors open at 9.")];
        let sources: Vec<_> = chunks.iter().map(Source::of).collect();
        let shown = |answer: &str, citations: bool| {
            let settings = Settings {
                citations,
                ..Settings::default()
            };
            let mut gate = Gate::new("fees?", &sources, settings, Policy::Refuse, Links::default());
            let mut sentences = gate.push(answer);
            sentences.extend(gate.finish());
            let mut text = String::new();
            for sentence in &sentences {
                match gate.decide(sentence, &Signals::default()) {
                    Step::Show(more) => text += &more,
                    Step::ShowMarked(more, _) => text += &more,
                    Step::Refuse(reason) => return Err(reason.code()),
                }
            }
            Ok(text)
        };
        let both = "Fees are 5 EUR [1]. Doors open at 9 [2].";
        for answer in [
            "Fees are 5 EUR. Doors open at 9.",
            "Fees are 5 EUR [9]. Doors open at 9 [1].",
            both,
        ] {
            assert_eq!(shown(answer, true).as_deref(), Ok(both), "{answer}");
        }
        assert_eq!(shown("Fees are 6 EUR.", true), Err("Uncited"));
        assert_eq!(shown("Doors do not open at 9 [2].", true), Err("Contradiction"));
        // Where nobody wants citations nobody gets any.
        assert_eq!(shown("Doors open at 9.", false).as_deref(), Ok("Doors open at 9."));
    }

    #[test]
    fn a_sentence_is_known_by_its_place_in_what_the_model_wrote() {
        const WROTE: &str = "Fees are <b>5</b> EUR [see](https://evil.example/?q=5) [1]. ![](https://evil.example) Doors \
            o\u{AD}pen at 9 [1]. Cards work.";
        let chunks = [chunk(1, "Fees are 5 EUR. Cards work."), chunk(2, "Doors open at 9.")];
        let sources: Vec<_> = chunks.iter().map(Source::of).collect();
        for cut in [1, 2, 3, 7, 1000] {
            let settings = Settings::default();
            let mut gate = Gate::new("fees?", &sources, settings, Policy::Refuse, Links::default());
            let letters: Vec<char> = WROTE.chars().collect();
            let mut sentences = Vec::new();
            for piece in letters.chunks(cut) {
                sentences.extend(gate.push(&piece.iter().collect::<String>()));
            }
            sentences.extend(gate.finish());
            let wrote = |text: &str| {
                let found = sentences.iter().find(|sentence| sentence.text.trim_end() == text);
                let found = found.unwrap_or_else(|| panic!("{text}: {sentences:?}"));
                WROTE[found.place.clone()].trim()
            };
            let fees = wrote("Fees are 5 EUR see [1].");
            assert_eq!(fees, "Fees are <b>5</b> EUR [see](https://evil.example/?q=5) [1].");
            assert!(
                wrote("Doors open at 9 [2].").ends_with("Doors o\u{AD}pen at 9 [1]."),
                "{cut}"
            );
            assert_eq!(wrote("Cards work [1]."), "Cards work.");
        }
    }

    #[test]
    fn what_is_copied_of_the_frame_is_not_shown() {
        let chunks = [chunk(1, "Fees are 5 EUR. Cards work.")];
        let sources: Vec<_> = chunks.iter().map(Source::of).collect();
        let (settings, links) = (Settings::default(), Links::default());
        let mut gate = Gate::new("fees?", &sources, settings, Policy::Refuse, links).told_with("n0nce");
        let framed = data::document(1, &chunks[0], "n0nce");
        let mut sentences = gate.push(&format!("{framed}\nFees are 5 EUR [1].\n"));
        sentences.extend(gate.finish());
        let shown: String = sentences.into_iter().map(|it| it.text).collect();
        assert!(!shown.contains("n0nce") && !shown.contains('|'), "{shown}");
        assert!(shown.starts_with("Fees are 5 EUR [1]. Cards work [1].\n"), "{shown}");
    }

    #[test]
    fn or_it_is_marked() {
        for cut in 1..30 {
            let (shown, reasons, cited) = run(Policy::Annotate, cut);
            assert!(
                shown.contains(&format!("Pets may stay [2]. {UNSUPPORTED} Cards work [1].")),
                "{shown}"
            );
            assert!(!shown.contains("evil"));
            assert_eq!((reasons, cited), (vec!["Overlap"], vec![1, 2]));
        }
    }
}
