//! What known recipes would drop. Here it is only told: forms, tables and price lists fail these rules, and are good data.
//!
//! Numbers are those of the recipes, read from datatrove: Gopher (Rae et al. 2021, appendix A1), C4 (Raffel et al. 2020) and
//! FineWeb (Penedo et al. 2024). Where a recipe drops lines, a text is told of when a line of it would go. Not here are C4's
//! rule about the ends of lines, which FineWeb switched off, and its list of bad words.

use super::{
    measure::{Line, Measures},
    repetition::{Grams, repeated},
};

/// Names of the rules that `measures` break.
pub fn flags(measures: &Measures) -> Vec<&'static str> {
    let mut flags = Vec::new();
    let mut flag = |is_broken: bool, name: &'static str| flags.extend(is_broken.then_some(name));
    flag(measures.has_replacement, "unicode.replacementCharacter");
    gopher(measures, &mut flag);
    gopher_repetition(measures, &mut flag);
    c4(measures, &mut flag);
    fineweb(measures, &mut flag);
    flags
}

fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn lines(measures: &Measures, is: impl Fn(&Line) -> bool) -> f64 {
    let count = measures.lines.iter().filter(|line| is(line)).count();
    share(count as u64, measures.lines.len() as u64)
}

fn gopher(measures: &Measures, flag: &mut impl FnMut(bool, &'static str)) {
    let words = measures.words.len() as u64;
    flag(!(50..=100_000).contains(&measures.plain_words), "gopher.words");
    // Characters that are words say nothing about the length of words.
    if measures.words_alone * 2 < words {
        let mean = share(measures.plain_characters, measures.plain_words);
        flag(!(3.0..=10.0).contains(&mean), "gopher.meanWordLength");
    }
    flag(share(measures.hashes, words) > 0.1, "gopher.hashes");
    flag(share(measures.ellipses, words) > 0.1, "gopher.ellipses");
    flag(lines(measures, |line| line.is_bullet) > 0.9, "gopher.bulletLines");
    flag(
        lines(measures, |line| line.ends_in_ellipsis) > 0.3,
        "gopher.ellipsisLines",
    );
    flag(
        share(measures.words_with_letters, words) < 0.8,
        "gopher.wordsWithLetters",
    );
    // Only languages in Latin letters have stop words here.
    if measures.latin_letters * 2 > measures.letters {
        let most = measures.stop_words.iter().map(|found| found.count_ones()).max();
        flag(most < Some(2), "gopher.stopWords");
    }
}

fn gopher_repetition(measures: &Measures, flag: &mut impl FnMut(bool, &'static str)) {
    const TOP: [(&str, f64); 3] = [
        ("gopher.top2Gram", 0.2),
        ("gopher.top3Gram", 0.18),
        ("gopher.top4Gram", 0.16),
    ];
    const REPEATED: [(&str, f64); 6] = [
        ("gopher.repeated5Grams", 0.15),
        ("gopher.repeated6Grams", 0.14),
        ("gopher.repeated7Grams", 0.13),
        ("gopher.repeated8Grams", 0.12),
        ("gopher.repeated9Grams", 0.11),
        ("gopher.repeated10Grams", 0.1),
    ];
    let (again, characters) = measures.repeated_lines();
    flag(share(again, measures.lines.len() as u64) > 0.3, "gopher.repeatedLines");
    flag(
        share(characters, measures.characters) > 0.2,
        "gopher.repeatedLineCharacters",
    );
    let (again, characters) = repeated(measures.paragraphs.iter().copied());
    flag(
        share(again, measures.paragraphs.len() as u64) > 0.3,
        "gopher.repeatedParagraphs",
    );
    flag(
        share(characters, measures.characters) > 0.2,
        "gopher.repeatedParagraphCharacters",
    );
    let grams = Grams::of(measures);
    let shares = grams.top.iter().zip(TOP).chain(grams.repeated.iter().zip(REPEATED));
    shares.for_each(|(share, (name, most))| flag(*share > most, name));
}

fn c4(measures: &Measures, flag: &mut impl FnMut(bool, &'static str)) {
    let any = |is: fn(&Line) -> bool| measures.lines.iter().any(is);
    flag(any(|line| line.words < 3), "c4.shortLines");
    flag(any(|line| line.has_long_word), "c4.longWords");
    flag(any(|line| line.has_javascript), "c4.javascript");
    flag(any(|line| line.has_policy), "c4.policy");
    flag(measures.has_citation, "c4.citations");
    flag(measures.has_lorem_ipsum, "c4.loremIpsum");
    flag(measures.has_curly_bracket, "c4.curlyBracket");
    let is_kept = |line: &&Line| line.words >= 3 && !line.has_long_word && !line.has_javascript && !line.has_policy;
    let sentences = measures
        .lines
        .iter()
        .filter(is_kept)
        .map(|line| line.sentence_ends.max(1));
    flag(sentences.sum::<u64>() < 5, "c4.sentences");
}

fn fineweb(measures: &Measures, flag: &mut impl FnMut(bool, &'static str)) {
    flag(
        lines(measures, |line| line.ends_in_punctuation) < 0.12,
        "fineweb.linePunctuation",
    );
    flag(
        lines(measures, |line| line.characters <= 30) > 0.67,
        "fineweb.shortLines",
    );
    let (_, characters) = measures.repeated_lines();
    flag(
        share(characters, measures.characters - measures.newlines) > 0.01,
        "fineweb.repeatedLineCharacters",
    );
    flag(
        share(measures.newlines, measures.words.len() as u64) > 0.3,
        "fineweb.newlines",
    );
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Breaks no rule.
    fn good() -> String {
        let sentences = [
            "The committee will meet again in spring to decide whether that old bridge has to be repaired. ",
            "Nobody knows how much it would cost, and several experts have offered very different numbers. ",
            "A first estimate speaks of two million, which is more than the town could pay without help.\n",
            "Meanwhile heavy lorries take the longer road around the lake, much to the dismay of its residents. ",
            "They have written letters, called meetings and hung banners from their windows since last autumn. ",
            "What becomes of it all will be seen when the frost has gone and engineers return with instruments.",
        ];
        sentences.concat()
    }

    fn flags_of(text: &str) -> Vec<&'static str> {
        flags(&Measures::of(text))
    }

    #[test]
    fn good_prose_breaks_no_rule() {
        assert_eq!(flags_of(&good()), [""; 0]);
    }

    #[rstest]
    #[case("unicode.replacementCharacter", "a \u{FFFD} b".into())]
    #[case("gopher.words", "Too few of them.".into())]
    #[case("gopher.meanWordLength", "a b c d e f g".repeat(10))]
    #[case("gopher.hashes", "#one #two three four".into())]
    #[case("gopher.ellipses", "well... so… it is".into())]
    #[case("gopher.bulletLines", "- one\n• two\n* three".into())]
    #[case("gopher.ellipsisLines", "one...\ntwo…\nthree".into())]
    #[case("gopher.wordsWithLetters", "1 2 3 4 a".into())]
    #[case("gopher.stopWords", "apples pears plums cherries".into())]
    #[case("gopher.top2Gram", "see above or see above".into())]
    #[case("gopher.top3Gram", "go and see or go and see".into())]
    #[case("gopher.top4Gram", "go and see it or go and see it".into())]
    #[case("gopher.repeated5Grams", "one two three four five ".repeat(2))]
    #[case("gopher.repeated10Grams", "a b c d e f g h i j ".repeat(2))]
    #[case("gopher.repeatedLines", "one\ntwo\none\none".into())]
    #[case("gopher.repeatedLineCharacters", "a long line\na long line\nb".into())]
    #[case("gopher.repeatedParagraphs", "one\ntwo\n\none\ntwo\n\n\nthree".into())]
    #[case("gopher.repeatedParagraphCharacters", "one\n\none".into())]
    #[case("c4.shortLines", "Only two\nbut then there are more".into())]
    #[case("c4.longWords", "x".repeat(1001))]
    #[case("c4.javascript", "You have to enable Javascript here".into())]
    #[case("c4.policy", "Read our privacy policy first".into())]
    #[case("c4.citations", "It was so [3] and is".into())]
    #[case("c4.loremIpsum", "Lorem ipsum dolor sit".into())]
    #[case("c4.curlyBracket", "fn main() {}".into())]
    #[case("c4.sentences", "One is here. Two is there.".into())]
    #[case("fineweb.linePunctuation", "no end here\nand none here".into())]
    #[case("fineweb.shortLines", "short\nlines\nonly".into())]
    #[case("fineweb.repeatedLineCharacters", "one and two\none and two".into())]
    #[case("fineweb.newlines", "one\ntwo\nthree".into())]
    fn each_rule_is_told_by_name(#[case] name: &str, #[case] text: String) {
        let found = flags_of(&text);
        assert!(found.contains(&name), "{found:?}");
    }

    #[test]
    fn chinese_prose_is_not_judged_by_its_words() {
        let text = "委员会将在春季再次开会，决定是否应该修复这座桥。没有人知道这要花多少钱。".repeat(3);
        let found = flags_of(&text);
        assert!(
            !found.contains(&"gopher.meanWordLength") && !found.contains(&"gopher.stopWords"),
            "{found:?}"
        );
    }
}
