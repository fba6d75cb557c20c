//! Which language a text is in.

use whatlang::Lang;

/// ISO 639-1 codes of the languages that can be told. Norwegian is told as Bokmål.
const CODES: [(&str, Lang); 70] = [
    ("af", Lang::Afr),
    ("ak", Lang::Aka),
    ("am", Lang::Amh),
    ("ar", Lang::Ara),
    ("az", Lang::Aze),
    ("be", Lang::Bel),
    ("bg", Lang::Bul),
    ("bn", Lang::Ben),
    ("ca", Lang::Cat),
    ("cs", Lang::Ces),
    ("cy", Lang::Cym),
    ("da", Lang::Dan),
    ("de", Lang::Deu),
    ("el", Lang::Ell),
    ("en", Lang::Eng),
    ("eo", Lang::Epo),
    ("es", Lang::Spa),
    ("et", Lang::Est),
    ("fa", Lang::Pes),
    ("fi", Lang::Fin),
    ("fr", Lang::Fra),
    ("gu", Lang::Guj),
    ("he", Lang::Heb),
    ("hi", Lang::Hin),
    ("hr", Lang::Hrv),
    ("hu", Lang::Hun),
    ("hy", Lang::Hye),
    ("id", Lang::Ind),
    ("it", Lang::Ita),
    ("ja", Lang::Jpn),
    ("jv", Lang::Jav),
    ("ka", Lang::Kat),
    ("km", Lang::Khm),
    ("kn", Lang::Kan),
    ("ko", Lang::Kor),
    ("la", Lang::Lat),
    ("lt", Lang::Lit),
    ("lv", Lang::Lav),
    ("mk", Lang::Mkd),
    ("ml", Lang::Mal),
    ("mr", Lang::Mar),
    ("my", Lang::Mya),
    ("nb", Lang::Nob),
    ("ne", Lang::Nep),
    ("nl", Lang::Nld),
    ("no", Lang::Nob),
    ("or", Lang::Ori),
    ("pa", Lang::Pan),
    ("pl", Lang::Pol),
    ("pt", Lang::Por),
    ("ro", Lang::Ron),
    ("ru", Lang::Rus),
    ("si", Lang::Sin),
    ("sk", Lang::Slk),
    ("sl", Lang::Slv),
    ("sn", Lang::Sna),
    ("sr", Lang::Srp),
    ("sv", Lang::Swe),
    ("ta", Lang::Tam),
    ("te", Lang::Tel),
    ("th", Lang::Tha),
    ("tk", Lang::Tuk),
    ("tl", Lang::Tgl),
    ("tr", Lang::Tur),
    ("uk", Lang::Ukr),
    ("ur", Lang::Urd),
    ("uz", Lang::Uzb),
    ("vi", Lang::Vie),
    ("yi", Lang::Yid),
    ("zh", Lang::Cmn),
];

/// Letters below which nothing is said.
const FEWEST_LETTERS: usize = 40;
/// Bytes that are looked at: a text does not change its language often, and looking takes long.
const SAMPLE: usize = 640;

/// All codes, for messages.
pub fn codes() -> String {
    CODES.map(|(code, _)| code).join(", ")
}

/// The language with that code.
pub fn find(code: &str) -> Option<Lang> {
    let found = CODES.iter().find(|(known, _)| *known == code);
    found.map(|(_, language)| *language)
}

/// Whether `text` is certainly in none of `languages`.
pub fn is_other(text: &str, languages: &[Lang]) -> bool {
    let sample = sample(text);
    if sample
        .chars()
        .filter(|c| c.is_alphabetic())
        .take(FEWEST_LETTERS)
        .count()
        < FEWEST_LETTERS
    {
        return false;
    }
    let found = whatlang::detect(sample);
    found.is_some_and(|info| info.is_reliable() && !languages.contains(&info.lang()))
}

/// A part from the middle of `text`: at its beginning are titles and greetings.
fn sample(text: &str) -> &str {
    if text.len() <= SAMPLE {
        return text;
    }
    let start = text.floor_char_boundary((text.len() - SAMPLE) / 2);
    &text[start..text.floor_char_boundary(start + SAMPLE)]
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const ENGLISH: &str =
        "The committee will meet again in the spring to decide whether the bridge should be repaired.";
    const GERMAN: &str =
        "Der Ausschuss wird im Frühjahr wieder zusammenkommen und über die Reparatur der Brücke entscheiden.";
    const JAPANESE: &str = "委員会は春に再び会合を開き、その橋を修理すべきかどうかを決定する予定です。そのほかの議題についても話し合います。";

    #[rstest]
    #[case(ENGLISH, "en", false)]
    #[case(ENGLISH, "de", true)]
    #[case(GERMAN, "de", false)]
    #[case(GERMAN, "en", true)]
    #[case(JAPANESE, "ja", false)]
    #[case(JAPANESE, "en", true)]
    #[case::too_short("Das ist gut.", "en", false)]
    #[case::no_letters("1 + 1 = 2; 2 + 2 = 4; 3 + 3 = 6; 4 + 4 = 8; 5 + 5 = 10", "en", false)]
    #[case::empty("", "en", false)]
    fn texts_of_other_languages_are_told(#[case] text: &str, #[case] code: &str, #[case] expected: bool) {
        assert_eq!(is_other(text, &[find(code).unwrap()]), expected);
    }

    #[test]
    fn a_sample_of_a_long_text_is_enough() {
        let text = GERMAN.repeat(10_000);
        assert!(is_other(&text, &[Lang::Eng]));
        assert!(sample(&"ü".repeat(5000)).len() <= SAMPLE);
    }

    #[test]
    fn each_code_is_known_once() {
        let distinct: std::collections::BTreeSet<_> = CODES.iter().map(|(code, _)| code).collect();
        assert_eq!(distinct.len(), CODES.len());
        assert_eq!(find("tlh"), None);
    }
}
