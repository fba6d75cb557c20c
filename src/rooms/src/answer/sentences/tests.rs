use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn split(text: &str) -> Vec<&str> {
    sentences(text).into_iter().map(|range| text[range].trim()).collect()
}

#[rstest]
#[case::plain("One. Two! Three?", &["One.", "Two!", "Three?"])]
#[case::abbreviations("Dr. Smith met Mr. Jones, e.g. on Monday. They left.", &["Dr. Smith met Mr. Jones, e.g. on Monday.", "They left."])]
#[case::initials("J. K. Rowling wrote it. It sold.", &["J. K. Rowling wrote it.", "It sold."])]
#[case::decimals("It costs 3.50 EUR. Version 1.2.3 is out.", &["It costs 3.50 EUR.", "Version 1.2.3 is out."])]
#[case::ends_with_an_abbreviation("Bring pens, paper etc. Then wait.", &["Bring pens, paper etc.", "Then wait."])]
#[case::times("Come at 10 a.m. on Friday. Go.", &["Come at 10 a.m. on Friday.", "Go."])]
#[case::citation_behind("Fees are 5 EUR. [1] They rise. [2][3]", &["Fees are 5 EUR. [1]", "They rise. [2][3]"])]
#[case::citation_before("Fees are 5 EUR [1]. They rise [2, 3].", &["Fees are 5 EUR [1].", "They rise [2, 3]."])]
#[case::citation_at_once("Fees rise.[1] They fall.", &["Fees rise.[1]", "They fall."])]
#[case::wide_citation("Fees rise 【1】. They fall.", &["Fees rise 【1】.", "They fall."])]
#[case::quotes("He said “No.” She left.", &["He said “No.”", "She left."])]
#[case::parentheses("(See page 5.) Then go.", &["(See page 5.)", "Then go."])]
#[case::list("Steps:\n1. Open it.\n2. Close it.\n- Done", &["Steps:", "1. Open it.", "2. Close it.", "- Done"])]
#[case::list_without_stops("- a\n- b\n\nEnd", &["- a", "- b", "End"])]
#[case::heading("# Title\nText. More.", &["# Title", "Text.", "More."])]
#[case::table("| a | b |\n|---|---|\n| 1. x | 2 |", &["| a | b |", "|---|---|", "| 1. x | 2 |"])]
#[case::wrapped("This is a\nsentence. And\nanother.", &["This is a\nsentence.", "And\nanother."])]
#[case::paragraphs("No stop here\n\nNext one", &["No stop here", "Next one"])]
#[case::code("Run:\n```sh\ncp a. B\n\nls\n```\nDone.", &["Run:", "```sh\ncp a. B\n\nls\n```", "Done."])]
#[case::german("Am 3. Mai kam Hr. Weber, z. B. mit Prof. Dr. Lang. Er ging.", &["Am 3. Mai kam Hr. Weber, z. B. mit Prof. Dr. Lang.", "Er ging."])]
#[case::german_ordinal("Der 2. Weltkrieg endete. Das war 1945. Danach kam Frieden.", &["Der 2. Weltkrieg endete.", "Das war 1945.", "Danach kam Frieden."])]
#[case::polish("Mieszka przy ul. Długiej 5. Umowę zawarto 3 maja 2024 r. w Łodzi. Koniec.", &["Mieszka przy ul. Długiej 5.", "Umowę zawarto 3 maja 2024 r. w Łodzi.", "Koniec."])]
#[case::french("Il est venu. « Pourquoi ? » Personne ne sait.", &["Il est venu.", "« Pourquoi ? »", "Personne ne sait."])]
#[case::spanish("¿Cuándo? ¡Ahora! El Sr. Pérez vino.", &["¿Cuándo?", "¡Ahora!", "El Sr. Pérez vino."])]
#[case::chinese("这是一句。这是另一句！对吗？", &["这是一句。", "这是另一句！", "对吗？"])]
#[case::hindi("यह एक वाक्य है। यह दूसरा है।", &["यह एक वाक्य है।", "यह दूसरा है।"])]
#[case::ellipsis("Wait… it goes on. Wait… Then.", &["Wait… it goes on.", "Wait…", "Then."])]
#[case::brand("Yahoo! is here. So.", &["Yahoo! is here.", "So."])]
#[case::url("See a.example.org/x.y for it. Yes.", &["See a.example.org/x.y for it.", "Yes."])]
#[case::country("The U.S. Army came. It left.", &["The U.S. Army came.", "It left."])]
fn are_split(#[case] text: &str, #[case] expected: &[&str]) {
    assert_eq!(split(text), expected);
}

#[test]
fn a_sentence_without_end_is_cut() {
    let text = "word ".repeat(5000);
    let found = sentences(&text);
    assert!(found.iter().all(|range| range.len() <= MAX_SENTENCE) && found.len() < 10);
    let mut splitter = Splitter::default();
    let early = splitter.push(&text);
    assert!(early.len() >= 5 && splitter.held() <= MAX_SENTENCE + 256);
}

/// Text of what decides.
fn texts() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "Word", "word", " ", " ", ". ", ".", "\n", "\n\n", "- ", "1. ", "[1]", " [2, 3]", "e.g. ", "Dr. ", "3. Mai",
        "5", "5.5", "!", "?", "…", "。", "```", "`", "|", "#", "\"", ")", "(", "ł", "【1】", "[", "]", "\u{a0}",
        "U.S.", "etc. ", "\t", ":",
    ]);
    prop::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn nothing_is_lost_and_cuts_change_nothing(text in prop_oneof![texts(), "(?s).{0,100}"], cut in 1_usize..7) {
        let whole: Vec<&str> = sentences(&text).into_iter().map(|range| &text[range]).collect();
        prop_assert_eq!(whole.concat(), text.clone());
        prop_assert!(whole.iter().all(|sentence| !sentence.is_empty()));
        let mut splitter = Splitter::default();
        let mut streamed = Vec::new();
        let letters: Vec<char> = text.chars().collect();
        for piece in letters.chunks(cut) {
            streamed.extend(splitter.push(&piece.iter().collect::<String>()));
        }
        streamed.extend(splitter.finish());
        prop_assert_eq!(streamed, whole);
    }
}
