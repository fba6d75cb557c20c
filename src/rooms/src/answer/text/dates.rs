//! Dates of a text.

use super::{months::month, words::Word};

/// A date, or a part of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Date {
    pub year: Option<u16>,
    pub month: Option<u8>,
    pub day: Option<u8>,
}

/// A date of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dated {
    /// As it is written.
    pub text: String,
    /// What it may be: of `3/5/2024` nobody knows.
    pub dates: Vec<Date>,
    /// Where it begins, in bytes.
    pub at: usize,
    /// Where it ends.
    pub end: usize,
}

impl Date {
    fn new(year: Option<u16>, month: u8, day: Option<u8>) -> Option<Self> {
        let is_date = (1..=12).contains(&month)
            && day.is_none_or(|day| (1..=31).contains(&day))
            && year.is_none_or(|year| (1000..3000).contains(&year));
        is_date.then_some(Self {
            year,
            month: Some(month),
            day,
        })
    }

    /// Whether `other` says all that this one says.
    pub fn is_in(&self, other: &Self) -> bool {
        fn part<T: PartialEq>(wanted: Option<T>, there: Option<T>) -> bool {
            wanted.is_none() || wanted == there
        }
        part(self.year, other.year) && part(self.month, other.month) && part(self.day, other.day)
    }

    /// The date without its year.
    pub fn without_year(&self) -> Self {
        Self { year: None, ..*self }
    }
}

/// The dates of `text`, whose words are `words`. A year or a month alone is none.
pub fn dates(text: &str, words: &[Word]) -> Vec<Dated> {
    let mut found: Vec<Dated> = written(text, words);
    for dated in numeric(text) {
        if !found.iter().any(|other| other.at < dated.end && dated.at < other.end) {
            found.push(dated);
        }
    }
    found.sort_by_key(|dated| dated.at);
    found
}

/// `2024-05-03`, `3.5.2024`, `5/3/24`.
fn numeric(text: &str) -> Vec<Dated> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(|c: char| c.is_ascii_digit()).map(|place| at + place) {
        let run = text[start..].find(|c: char| !c.is_ascii_digit() && !matches!(c, '-' | '/' | '.'));
        let end = run.map_or(text.len(), |place| start + place);
        at = end.max(start + 1);
        let run = text[start..end].trim_end_matches(['-', '/', '.']);
        for separator in ['-', '/', '.'] {
            let parts: Vec<&str> = run.split(separator).collect();
            let dates = match parts.as_slice() {
                [a, b, c] => three(a, b, c),
                _ => Vec::new(),
            };
            if !dates.is_empty() {
                found.push(Dated {
                    text: run.to_owned(),
                    dates,
                    at: start,
                    end: start + run.len(),
                });
                break;
            }
        }
    }
    found
}

fn three(a: &str, b: &str, c: &str) -> Vec<Date> {
    let small = |text: &str| text.parse::<u8>().ok().filter(|_| text.len() <= 2);
    let year = |text: &str| match (text.len(), text.parse::<u16>().ok()) {
        (4, year) => year,
        (2, year) => year.map(|year| 2000 + year),
        _ => None,
    };
    let candidates = match (a.len(), small(a), small(b), small(c)) {
        (4, _, Some(month), Some(day)) => vec![(year(a), month, day)],
        (1 | 2, Some(one), Some(two), _) if year(c).is_some() => vec![(year(c), two, one), (year(c), one, two)],
        _ => Vec::new(),
    };
    let mut dates: Vec<Date> = candidates
        .into_iter()
        .filter_map(|(year, month, day)| Date::new(year, month, Some(day)))
        .collect();
    dates.dedup();
    dates
}

/// `3 May 2024`, `May 3, 2024`, `3. Mai`, `3 de mayo de 2024`, `May 2024`.
fn written(text: &str, words: &[Word]) -> Vec<Dated> {
    let mut found: Vec<Dated> = Vec::new();
    let end_of = |place: usize| words[place].at + words[place].text.len();
    for (place, word) in words.iter().enumerate() {
        let Some(month) = month(&word.folded) else { continue };
        let is_joint = |word: &&Word| matches!(word.folded.as_str(), "of" | "de" | "the");
        let is_near = |from: usize, to: usize| text.get(from..to).is_some_and(|gap| gap.chars().all(is_gap));
        // Before the month there may be a day.
        let mut before = place;
        while before > 0 && is_joint(&&words[before - 1]) {
            before -= 1;
        }
        let day_before = before
            .checked_sub(1)
            .filter(|&at| is_near(end_of(at), words[before].at));
        let day_before = day_before.and_then(|at| day(&words[at]).map(|day| (at, day)));
        // Behind it a day, a year, or both.
        let mut last = place;
        let mut day_behind = None;
        let mut its_year = None;
        let mut next = place + 1;
        while let Some(word) = words.get(next) {
            if !is_near(end_of(next - 1), word.at) {
                break;
            }
            if is_joint(&word) {
                next += 1;
                continue;
            }
            if its_year.is_none()
                && let Some(year) = year(word)
            {
                (its_year, last) = (Some(year), next);
                break;
            }
            match day(word) {
                Some(day) if day_before.is_none() && day_behind.is_none() => (day_behind, last) = (Some(day), next),
                _ => break,
            }
            next += 1;
        }
        let its_day = day_before.map(|(_, day)| day).or(day_behind);
        if its_day.is_none() && its_year.is_none() {
            continue;
        }
        let (at, end) = (words[day_before.map_or(place, |(at, _)| at)].at, end_of(last));
        if let Some(date) = Date::new(its_year, month, its_day) {
            found.push(Dated {
                text: text[at..end].to_owned(),
                dates: vec![date],
                at,
                end,
            });
        }
    }
    found
}

fn is_gap(c: char) -> bool {
    c.is_whitespace() || matches!(c, '.' | ',' | '-')
}

fn day(word: &Word) -> Option<u8> {
    let digits = word.folded.trim_end_matches(|c: char| c.is_alphabetic());
    let ending = &word.folded[digits.len()..];
    let is_day = matches!(ending, "" | "st" | "nd" | "rd" | "th" | "er") && digits.len() <= 2;
    digits.parse().ok().filter(|day| is_day && (1..=31).contains(day))
}

fn year(word: &Word) -> Option<u16> {
    word.folded
        .parse()
        .ok()
        .filter(|year| word.folded.len() == 4 && (1000..3000).contains(year))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{super::words::words, *};

    #[rstest]
    #[case("on 2024-05-03.")]
    #[case("3 May 2024")]
    #[case("May 3, 2024")]
    #[case("the 3rd of May 2024")]
    #[case("am 3. Mai 2024")]
    #[case("3 maja 2024 r.")]
    #[case("le 3 mai 2024")]
    #[case("el 3 de mayo de 2024")]
    #[case("03.05.2024")]
    #[case("3.5.24")]
    fn the_same_day(#[case] text: &str) {
        let found = dates(text, &words(text));
        let expected = Date {
            year: Some(2024),
            month: Some(5),
            day: Some(3),
        };
        assert!(found.len() == 1 && found[0].dates.contains(&expected), "{found:?}");
    }

    #[rstest]
    #[case("You may take 5 days")]
    #[case("version 1.2.3")]
    #[case("192.168.10.1")]
    #[case("pages 3-5")]
    #[case("since March")]
    fn no_date(#[case] text: &str) {
        assert_eq!(dates(text, &words(text)), []);
    }

    #[test]
    fn what_a_date_does_not_say_may_be_anything() {
        let text = "May 2024, 3 May, 3 May 2024, 4 May 2024";
        let found: Vec<Date> = dates(text, &words(text))
            .into_iter()
            .map(|dated| dated.dates[0])
            .collect();
        assert!(found[0].is_in(&found[2]) && found[1].is_in(&found[2]));
        assert!(!found[2].is_in(&found[1]) && !found[2].is_in(&found[3]));
    }
}
