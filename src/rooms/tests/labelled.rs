//! How well the checks of answers tell what documents support from what they do not, on sentences that people labelled.
//!
//! "Found" is a sentence that is not supported. Precision is the share of the flagged sentences that are not supported,
//! recall the share of those that are not supported that were flagged. `cargo test -p atelier-rooms --test labelled --
//! --nocapture` prints them by kind.

use std::collections::BTreeMap;

use rooms::answer::{
    Source, Verdict,
    grounding::{About, Measured, Settings, Signals, check},
};
use rooms::{Acl, Chunk, ChunkId, Clearance, Place};

const TUNED: &str = include_str!("labelled/tuned.txt");
const SEEN: &str = include_str!("labelled/seen.txt");
const HELD_OUT: &str = include_str!("labelled/held_out.txt");

#[derive(Default)]
struct Section {
    chunks: Vec<Chunk>,
    question: String,
    sentences: Vec<(char, String, String)>,
}

fn sections(text: &str) -> Vec<Section> {
    let mut sections = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if line.starts_with("=== ") {
            sections.push(Section::default());
            continue;
        }
        let Some(section) = sections.last_mut() else { continue };
        if let Some(title) = line.strip_prefix("--- ") {
            let (document, heading) = title.split_once(" / ").unwrap_or((title, ""));
            section.chunks.push(Chunk {
                id: ChunkId(section.chunks.len() as i64),
                document: document.into(),
                source: "docs".into(),
                place: Place {
                    headings: (!heading.is_empty()).then(|| heading.into()).into_iter().collect(),
                    ..Place::default()
                },
                text: String::new(),
                clearance: Clearance(0),
                acl: Acl::everyone(),
            });
        } else if let Some(question) = line.strip_prefix("? ") {
            section.question = question.into();
        } else if let Some((sign, rest)) = ['+', '-', '=']
            .iter()
            .find_map(|sign| Some((*sign, line.strip_prefix(*sign)?)))
        {
            let (kind, sentence) = rest.trim().split_once(" | ").expect("a kind and a sentence");
            section.sentences.push((sign, kind.into(), sentence.into()));
        } else {
            let text = &mut section.chunks.last_mut().expect("a passage").text;
            text.push_str(line);
            text.push('\n');
        }
    }
    sections
}

fn report(name: &str, text: &str) -> Measured {
    let mut measured = Measured::default();
    let mut kinds: BTreeMap<(char, String), (usize, usize)> = BTreeMap::new();
    for section in sections(text) {
        let sources: Vec<_> = section.chunks.iter().map(Source::of).collect();
        let about = About::of(&section.question, &sources);
        for (sign, kind, sentence) in section.sentences {
            let verdict = check(&sentence, &sources, &about, &Settings::default(), &Signals::default());
            let is_right = match sign {
                '+' => verdict == Verdict::Supported,
                '=' => verdict == Verdict::NoClaim,
                _ => !verdict.may_pass(),
            };
            if !is_right {
                println!("{sign} {kind}: {sentence} -> {verdict:?}");
            }
            measured.add(sign != '-', &verdict);
            let count = kinds.entry((sign, kind)).or_default();
            count.0 += usize::from(!verdict.may_pass());
            count.1 += 1;
        }
    }
    for ((sign, kind), (flagged, all)) in kinds {
        println!("{name} {sign} {kind}: {flagged} of {all} flagged");
    }
    let [precision, recall, passing] = shares(&measured);
    let all = measured.all();
    println!(
        "{name}: {all} sentences, precision {precision:.3}, recall {recall:.3}, supported ones that pass {passing:.3}"
    );
    measured
}

fn shares(measured: &Measured) -> [f64; 3] {
    [measured.precision(), measured.recall(), measured.passing()].map(|share| share.expect("sentences of both kinds"))
}

#[test]
fn what_is_not_supported_is_found() {
    let all = [
        report("tuned", TUNED),
        report("seen", SEEN),
        report("held out", HELD_OUT),
    ];
    assert!(all.iter().map(Measured::all).sum::<usize>() >= 300);
    let [tuned, seen, held_out] = all.map(|measured| shares(&measured));
    assert!(tuned.iter().chain(&seen).all(|share| *share >= 0.95));
    assert!(
        held_out
            .iter()
            .zip([0.9, 0.85, 0.85])
            .all(|(share, floor)| *share >= floor)
    );
}
