//! Whether recognized text can be believed.

use std::collections::BTreeMap;

use protocol::ingest::Ocr;
use protocol::quarantine::Reason;

use super::ink::Ink;
use super::table::Word;
use crate::documents::Doubt;

/// Words below this are guesses, in percent.
const GUESSED: f32 = 60.0;
/// Share of the words that may be.
const MOST_GUESSED: f32 = 0.25;
/// Cells of print that are chance: a stamp, a speck.
const CHANCE: usize = 25;
/// Share of the print that words must be on.
const LEAST_COVERED: f32 = 0.4;
/// Pages that a doubt names.
const NAMED: usize = 10;

/// Why the words of a page should not be believed, if so.
pub(super) fn judge(words: &[Word], ink: &Ink, settings: &Ocr) -> Option<(Reason, String)> {
    let cells = ink.cells();
    if words.is_empty() {
        return (cells > CHANCE).then(|| (Reason::LowCoverage, "no word is recognized, and there is print".into()));
    }
    let mean = mean(words);
    let guessed = words.iter().filter(|word| word.confidence < GUESSED).count() as f32 / words.len() as f32;
    if mean < f32::from(settings.min_confidence) || guessed > MOST_GUESSED {
        let what = format!(
            "confidence {mean:.0} of 100, {:.0}% of the words are guesses",
            guessed * 100.0
        );
        return Some((Reason::BadScan, what));
    }
    let covered = ink.covered(words);
    (cells > CHANCE && covered < LEAST_COVERED).then(|| {
        (
            Reason::LowCoverage,
            format!("words on {:.0}% of the print", covered * 100.0),
        )
    })
}

/// How sure it is of words on average; 0 without any.
pub(super) fn mean(words: &[Word]) -> f32 {
    words.iter().map(|word| word.confidence).sum::<f32>() / words.len().max(1) as f32
}

/// Doubts about pages, by their reasons.
#[derive(Debug, Default)]
pub(in crate::documents) struct Doubts(BTreeMap<Reason, Vec<(Option<u32>, String)>>);

impl Doubts {
    pub(in crate::documents) fn add(&mut self, reason: Reason, page: Option<u32>, what: String) {
        self.0.entry(reason).or_default().push((page, what));
    }

    pub(in crate::documents) fn finish(self) -> Vec<Doubt> {
        let doubt = |(reason, pages): (Reason, Vec<(Option<u32>, String)>)| {
            let named: Vec<String> = pages
                .iter()
                .take(NAMED)
                .map(|(page, what)| match page {
                    Some(page) => format!("page {page} ({what})"),
                    None => what.clone(),
                })
                .collect();
            let more = match pages.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let detail = format!("has {}{more}", named.join(", "));
            Doubt { reason, detail }
        };
        self.0.into_iter().map(doubt).collect()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::documents::pictures::Gray;

    fn settings() -> Ocr {
        Ocr {
            languages: vec!["eng".into()],
            min_confidence: 75,
        }
    }

    fn words(confidence: &[f32]) -> Vec<Word> {
        let word = |confidence: &f32| Word {
            confidence: *confidence,
            width: 500,
            height: 500,
            ..Word::default()
        };
        confidence.iter().map(word).collect()
    }

    fn page() -> Ink {
        Ink::of(
            &Gray::from_fn(500, 500, |x, _| image::Luma([if x % 5 == 0 { 0 } else { 255 }])),
            300,
        )
    }

    #[rstest]
    #[case::good(&[95.0; 100], None)]
    #[case::unsure(&[80.0; 100], None)]
    #[case::some_guesses(&[[95.0; 19].as_slice(), &[50.0]].concat(), None)]
    #[case::many_guesses(&[[99.0; 6].as_slice(), &[50.0; 4]].concat(), Some(Reason::BadScan))]
    #[case::bad(&[51.0; 100], Some(Reason::BadScan))]
    #[case::nothing(&[], Some(Reason::LowCoverage))]
    fn gates(#[case] confidence: &[f32], #[case] reason: Option<Reason>) {
        assert_eq!(
            judge(&words(confidence), &page(), &settings()).map(|(reason, _)| reason),
            reason
        );
    }

    #[test]
    fn sure_words_on_little_of_the_print_are_not_enough() {
        let mut few = words(&[96.0]);
        few[0].height = 50;
        assert_eq!(
            judge(&few, &page(), &settings()).map(|(reason, _)| reason),
            Some(Reason::LowCoverage)
        );
        let empty = Ink::of(&Gray::from_pixel(500, 500, image::Luma([255])), 300);
        assert_eq!(judge(&[], &empty, &settings()), None);
    }

    #[test]
    fn doubts_name_pages() {
        let mut doubts = Doubts::default();
        (1..=12).for_each(|page| doubts.add(Reason::BadScan, Some(page), "x".into()));
        let [doubt] = &doubts.finish()[..] else { panic!() };
        assert!(
            doubt.detail.starts_with("has page 1 (x), page 2 (x)") && doubt.detail.ends_with("page 10 (x) and 2 more")
        );
    }
}
