//! Whether there is enough to answer from.

/// How well something was found, among what the asker may see.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Found {
    /// Chunks that the model would be given.
    pub hits: usize,
    /// The best score: a cosine, or whatever [`Limits::top`] is on the scale of.
    pub top: f32,
    /// By how much the best stands out of the rest, in standard deviations.
    pub margin: f32,
    /// How much of the question's words occurs in the hits, weighed by rarity, from 0 to 1. None where it has no words.
    pub coverage: Option<f32>,
}

impl Found {
    /// From what a search says of itself.
    pub fn of(hits: usize, evidence: &crate::search::Evidence) -> Self {
        Self {
            hits,
            top: evidence.top,
            margin: evidence.margin,
            coverage: evidence.coverage,
        }
    }
}

/// What is enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Least best score. It depends on the model: calibrate it on questions of which the answers are known.
    pub top: f32,
    /// Least margin.
    pub margin: f32,
    /// Least coverage.
    pub coverage: f32,
}

impl Default for Limits {
    /// Whatever the model of the vectors is: either some of the question's words are there, or one chunk stands out.
    fn default() -> Self {
        Self {
            top: 0.0,
            margin: 2.0,
            coverage: 0.3,
        }
    }
}

/// Why nothing is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weakness {
    /// Nothing was found.
    Nothing,
    /// The best is not good.
    LowScore,
    /// Nothing stands out, and the question's words are not there either.
    Indistinct,
}

/// What is answered then.
pub const UNKNOWN: &str = "I do not know. The documents do not say.";

/// Refuses to answer from nothing. A score below its limit is enough to refuse; a margin and a coverage have to be
/// missed both, for a question in other words, or in another language, covers nothing, and among few chunks none stands
/// out.
///
/// # Errors
/// With what is missing.
pub fn gate(found: &Found, limits: &Limits) -> Result<(), Weakness> {
    // What is not a number is no evidence.
    let reaches = |value: f32, limit: f32| value >= limit;
    if found.hits == 0 {
        return Err(Weakness::Nothing);
    }
    if !reaches(found.top, limits.top) {
        return Err(Weakness::LowScore);
    }
    let is_covered = found
        .coverage
        .is_some_and(|coverage| reaches(coverage, limits.coverage));
    match is_covered || reaches(found.margin, limits.margin) {
        true => Ok(()),
        false => Err(Weakness::Indistinct),
    }
}

/// Whether a sentence says that the answer is not known, in one of a few languages, and nothing else: what follows a
/// comma or a "but" may be anything.
pub fn says_unknown(sentence: &str) -> bool {
    const PHRASES: &[&str] = &[
        "i do not know",
        "i don't know",
        "i cannot answer",
        "the documents do not",
        "the documents don't",
        "not in the documents",
        "no information about this",
        "ich weiß es nicht",
        "ich weiß nicht",
        "die dokumente sagen es nicht",
        "die dokumente enthalten keine",
        "nie wiem",
        "dokumenty nie zawierają",
        "dokumenty tego nie",
        "je ne sais pas",
        "les documents ne",
        "no lo sé",
        "los documentos no",
    ];
    const TURNS: &[&str] = &[
        "but", "however", "yet", "aber", "jedoch", "ale", "lecz", "mais", "pero", "because", "and", "und", "et",
    ];
    let folded = sentence.to_lowercase().replace('’', "'");
    let is_turned = TURNS
        .iter()
        .any(|turn| folded.split_whitespace().any(|word| word == *turn))
        || folded.contains([',', ';', ':', '(', '–', '—'])
        || folded.contains(|c: char| c.is_ascii_digit());
    let is_short = folded.split_whitespace().count() <= 12;
    is_short && !is_turned && PHRASES.iter().any(|phrase| folded.contains(phrase))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn found(hits: usize, top: f32, margin: f32, coverage: Option<f32>) -> Found {
        Found {
            hits,
            top,
            margin,
            coverage,
        }
    }

    #[rstest]
    #[case::nothing(found(0, 0.9, 9.0, Some(1.0)), Err(Weakness::Nothing))]
    #[case::low(found(3, 0.1, 9.0, Some(1.0)), Err(Weakness::LowScore))]
    #[case::indistinct(found(3, 0.6, 1.0, Some(0.1)), Err(Weakness::Indistinct))]
    #[case::no_words(found(3, 0.6, 1.0, None), Err(Weakness::Indistinct))]
    #[case::covered(found(3, 0.6, 1.0, Some(0.8)), Ok(()))]
    #[case::outstanding(found(3, 0.6, 4.0, None), Ok(()))]
    #[case::no_number(found(3, f32::NAN, 4.0, None), Err(Weakness::LowScore))]
    fn gates(#[case] found: Found, #[case] expected: Result<(), Weakness>) {
        let limits = Limits {
            top: 0.3,
            ..Limits::default()
        };
        assert_eq!(gate(&found, &limits), expected);
    }

    #[rstest]
    #[case(UNKNOWN, true)]
    #[case("Ich weiß es nicht.", true)]
    #[case("The documents do not say who did it but Bob did.", false)]
    #[case("I do not know, Bob did it.", false)]
    #[case("I do not know, but it is 5 EUR.", false)]
    #[case("The notice period is a month.", false)]
    fn unknown(#[case] sentence: &str, #[case] expected: bool) {
        assert_eq!(says_unknown(sentence), expected);
    }
}
