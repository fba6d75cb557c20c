use std::collections::BTreeSet;

use super::{super::source::testing::chunk, *};

const TEXTS: [&str; 4] = [
    "The deposit for a flat is 450 EUR and is paid by bank transfer. Pets are not allowed in furnished flats of the city. \
     The contract was signed by Jane Miller on 3 May 2024. | a | table |",
    "Employees have 26 days of paid leave in each calendar year. Overtime may be taken as leave until the end of March. \
     Questions about payroll are answered by Robert Kowalski every morning.",
    "Der Antrag auf Elternzeit ist schriftlich bei der Personalabteilung zu stellen. Die Frist beträgt 7 Wochen vor Beginn \
     der Elternzeit.",
    "Invoices above 10000 EUR need the signature of Maria Rossi. The archive keeps signed invoices for 10 years.",
];

fn chunks() -> Vec<Chunk> {
    (1..).zip(TEXTS).map(|(id, text)| chunk(id, text)).collect()
}

fn all(groups: &[Group]) -> Vec<&Labelled> {
    groups.iter().flat_map(|group| &group.sentences).collect()
}

fn plain() -> impl Iterator<Item = Option<Signals>> {
    std::iter::repeat(Some(Signals::default()))
}

fn alone(citations: bool, overlap: bool) -> Settings {
    Settings {
        citations,
        overlap,
        ..Settings::default()
    }
}

#[test]
fn exactly_one_thing_is_changed() {
    let mut kinds = BTreeSet::new();
    for seed in 0..10 {
        kinds.extend(changes(seed));
    }
    assert_eq!(kinds.len(), 7, "{kinds:?}");
}

/// Looks at a set; the kinds of changes in it.
fn changes(seed: u64) -> BTreeSet<Change> {
    let groups = label(chunks(), seed);
    let sentences = all(&groups);
    let words = |text: &str| -> Vec<String> { without_marks(text).split_whitespace().map(Into::into).collect() };
    let originals: Vec<_> = sentences
        .iter()
        .filter(|it| it.change == Change::None)
        .map(|it| words(&it.text))
        .collect();
    assert_eq!(originals.len(), 8);
    let mut kinds = BTreeSet::new();
    for sentence in &sentences {
        kinds.insert(sentence.change);
        let own = words(&sentence.text);
        let differences = |original: &Vec<String>| {
            let lacks = original.iter().filter(|word| !own.contains(word)).count();
            let more = own.iter().filter(|word| !original.contains(word)).count();
            (lacks, more)
        };
        let nearest = originals.iter().map(differences).min().unwrap();
        let expected = match sentence.change {
            Change::None | Change::Foreign | Change::Dangling => nearest == (0, 0),
            Change::Number | Change::Date | Change::Name => nearest == (1, 1),
            Change::Denial => nearest.0 + nearest.1 == 1,
        };
        assert!(expected, "{sentence:?} {nearest:?}");
        assert_eq!(sentence.cites.is_none(), sentence.change == Change::Dangling);
    }
    kinds
}

#[test]
fn what_is_put_in_stands_nowhere_in_what_is_cited() {
    for seed in 0..50 {
        for group in label(chunks(), seed) {
            for sentence in &group.sentences {
                let Some(cites) = sentence.cites else { continue };
                let text = &group.chunks[cites].text;
                let stands = text.contains(without_marks(&sentence.text).trim());
                assert_eq!(stands, sentence.change.is_supported(), "{sentence:?}");
            }
        }
    }
}

#[test]
fn a_set_is_the_same_for_the_same_seed_and_bounded() {
    let texts = |seed| -> Vec<String> {
        let groups = label(chunks(), seed);
        all(&groups).iter().map(|it| it.text.clone()).collect()
    };
    assert_eq!(texts(1), texts(1));
    assert_ne!(texts(1), texts(2));
    let many: Vec<Chunk> = (0..100).map(|id| chunk(id, TEXTS[id as usize % 4])).collect();
    let groups = label(many, 1);
    assert_eq!(all(&groups).len(), MOST);
    assert!(groups.iter().all(|group| group.chunks.len() <= GROUP));
    assert!(label(Vec::new(), 1).is_empty());
    assert!(all(&label(vec![chunk(1, "Too short.")], 1)).is_empty());
}

#[test]
fn detectors_are_right_about_what_they_look_for() {
    let groups = label(chunks(), 3);
    let unsupported = all(&groups).iter().filter(|it| !it.change.is_supported()).count();
    let dangling = all(&groups).iter().filter(|it| it.change == Change::Dangling).count();
    // Who looks at citations alone sees those that point nowhere, and nothing else.
    let citations = measure(&groups, &alone(true, false), plain());
    assert_eq!((citations.found, citations.falsely), (dangling, 0));
    assert_eq!(
        (citations.missed, citations.precision()),
        (unsupported - dangling, Some(1.0))
    );
    // Words tell the rest, and let through what stands there.
    let overlap = measure(&groups, &alone(false, true), plain());
    assert_eq!((overlap.falsely, overlap.passed), (0, 8));
    assert!(overlap.recall() >= Some(0.9), "{overlap:?}");
    assert_eq!(overlap.all(), all(&groups).len());
}

#[test]
fn sentences_of_which_nothing_is_known_are_left_out() {
    let groups = label(chunks(), 3);
    let settings = Settings {
        entailment: Some(0.5),
        ..alone(false, false)
    };
    let says = all(&groups).into_iter().enumerate().map(|(place, sentence)| {
        let entailment = Some(if sentence.change.is_supported() { 0.9 } else { 0.1 });
        (place < 10).then_some(Signals {
            entailment,
            ..Signals::default()
        })
    });
    let measured = measure(&groups, &settings, says.collect::<Vec<_>>());
    assert_eq!(measured.all(), 10);
    assert_eq!((measured.missed, measured.falsely), (0, 0));
}
