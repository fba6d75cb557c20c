//! Numbers of a text, however they are written.
//!
//! `1,200`, `1.200`, `1 200` and `1.2 thousand` may be one number. Which separator means what is not known, so a number
//! that may be read in two ways has two values, and two numbers may be the same if any of their values are.

use super::{number_words, units, words::Word};

/// A decimal number in one form: digits without zeros at either end, and the power of ten of the last one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    is_negative: bool,
    digits: String,
    exponent: i32,
}

/// A number of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    /// As it is written.
    pub text: String,
    /// What it may be.
    pub values: Vec<Decimal>,
    /// What it counts, by the names of [`units`].
    pub unit: Option<&'static str>,
    /// Where it begins, in bytes.
    pub at: usize,
    /// Behind its last digit.
    pub end: usize,
}

impl Decimal {
    /// `whole`.`part` times ten to the power of `scale`.
    fn new(is_negative: bool, whole: &str, part: &str, scale: i32) -> Self {
        let digits = format!("{whole}{part}");
        let exponent = scale - i32::try_from(part.len()).unwrap_or(i32::MAX);
        let short = digits.trim_end_matches('0');
        let zeros = i32::try_from(digits.len() - short.len()).unwrap_or(0);
        let short = short.trim_start_matches('0');
        match short.is_empty() {
            true => Self {
                is_negative: false,
                digits: String::new(),
                exponent: 0,
            },
            false => Self {
                is_negative,
                digits: short.to_owned(),
                exponent: exponent + zeros,
            },
        }
    }

    /// A whole number.
    pub fn whole(number: u64) -> Self {
        Self::new(false, &number.to_string(), "", 0)
    }

    fn scaled(&self, scale: i32) -> Self {
        match self.digits.is_empty() {
            true => self.clone(),
            false => Self {
                exponent: self.exponent + scale,
                ..self.clone()
            },
        }
    }
}

impl Number {
    /// Whether both may be the same, by value.
    pub fn equals(&self, other: &Self) -> bool {
        self.values.iter().any(|value| other.values.contains(value))
    }

    /// Whether both are known to count different things.
    pub fn counts_another(&self, other: &Self) -> bool {
        matches!((self.unit, other.unit), (Some(one), Some(another)) if one != another)
    }
}

/// The numbers of `text`, whose words are `words`. Digits within names (`A4`, `v1.2`) are none.
pub fn numbers(text: &str, words: &[Word]) -> Vec<Number> {
    let mut found = digits(text);
    let is_known =
        |word: &Word, found: &[Number]| found.iter().any(|number| (number.at..number.end).contains(&word.at));
    let mut place = 0;
    while let Some(word) = words.get(place) {
        place += 1;
        let Some(mut value) = number_words::count(&word.folded) else {
            continue;
        };
        if is_known(word, &found) {
            continue;
        }
        let mut end = word.at + word.text.len();
        // `twenty-five`.
        if value >= 20
            && let Some(next) = words.get(place)
            && let Some(units) = number_words::count(&next.folded).filter(|units| *units < 10)
            && text
                .get(end..next.at)
                .is_some_and(|between| matches!(between, "-" | " "))
        {
            value += units;
            end = next.at + next.text.len();
            place += 1;
        }
        found.push(Number {
            text: text[word.at..end].to_owned(),
            values: vec![Decimal::whole(value)],
            unit: None,
            at: word.at,
            end,
        });
    }
    for number in &mut found {
        finish(number, text);
    }
    found.sort_by_key(|number| number.at);
    found
}

/// Adds what stands around a number: a scale and what it counts.
fn finish(number: &mut Number, text: &str) {
    let before = text[..number.at].trim_end().chars().next_back();
    number.unit = before
        .filter(|c| !c.is_alphabetic())
        .and_then(|sign| units::unit(&sign.to_string()));
    let mut rest = text[number.end..].trim_start_matches(GAPS);
    if let Some(scale) = number_words::scale(&word_of(rest)) {
        let length = letters_of(rest).len();
        let scaled: Vec<_> = number.values.iter().map(|value| value.scaled(scale)).collect();
        match length {
            // `5 m` may be metres.
            1 => number.values.extend(scaled),
            _ => number.values = scaled,
        }
        let behind = rest[length..].trim_start_matches(GAPS).trim_start_matches(['.', ' ']);
        // Otherwise it has to count as the unit below.
        rest = if length > 1 { behind } else { rest };
    }
    let is_percent = rest.starts_with("per cent") && !rest["per cent".len()..].starts_with(char::is_alphanumeric);
    let degrees = ["°C", "°F"].into_iter().find(|degrees| rest.starts_with(degrees));
    let sign = rest.chars().next().filter(|c| !c.is_alphabetic()).map(String::from);
    let after = match degrees {
        _ if is_percent => units::unit("%"),
        Some(degrees) => units::unit(&degrees.to_lowercase()),
        None => units::unit(&word_of(rest)).or(sign.and_then(|sign| units::unit(&sign))),
    };
    number.unit = after.or(number.unit);
}

/// What may be between a number and what it counts.
const GAPS: [char; 5] = [' ', '\u{a0}', '\u{202f}', '\u{2009}', '-'];

fn letters_of(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphabetic());
    &text[..end.unwrap_or(text.len())]
}

fn word_of(text: &str) -> String {
    letters_of(text).to_lowercase()
}

/// Numbers of digits.
fn digits(text: &str) -> Vec<Number> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let end = end_of(text, at);
        let before = text[..at].chars().next_back();
        // What is glued to letters is a part of a name; `5kg`, `3rd` and `10th` are not.
        let is_name = before.is_some_and(|c| c.is_alphabetic() || c == '_' || c == '#')
            || text[..at].ends_with('.') && text[..at - 1].ends_with(char::is_alphabetic)
            || text[..at].ends_with('-') && text[..at - 1].ends_with(char::is_uppercase);
        let glued = word_of(&text[end..]);
        let is_measure = glued.is_empty()
            || matches!(
                glued.as_str(),
                "st" | "nd" | "rd" | "th" | "er" | "e" | "am" | "pm" | "x"
            )
            || units::unit(&glued).is_some()
            || number_words::scale(&glued).is_some();
        if !is_name && is_measure {
            let sign = text[..at].trim_end_matches(['-', '−']);
            let is_negative = sign.len() < at && !sign.ends_with(|c: char| c.is_alphanumeric() || c == ')' || c == '%');
            found.push(Number {
                text: text[at..end].to_owned(),
                values: values(&text[at..end], is_negative),
                unit: None,
                at,
                end,
            });
        }
        at = end;
    }
    found
}

/// Where a number ends that begins at `start`: separators belong to it where digits follow, spaces where three do.
fn end_of(text: &str, start: usize) -> usize {
    let mut end = start;
    let count = |rest: &str| rest.bytes().take_while(u8::is_ascii_digit).count();
    end += count(&text[end..]);
    loop {
        let mut rest = text[end..].chars();
        let Some(separator) = rest.next() else { break };
        let following = count(rest.as_str());
        let is_part = match separator {
            '.' | ',' | ':' => following > 0,
            '\'' | '’' | ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}' => {
                following == 3 && (end - start <= 3 || text[start..end].contains(separator))
            }
            _ => false,
        };
        if !is_part {
            break;
        }
        end += separator.len_utf8() + following;
    }
    end
}

/// What digits with separators may mean.
fn values(text: &str, is_negative: bool) -> Vec<Decimal> {
    let new = |whole: &str, part: &str| Decimal::new(is_negative, whole, part, 0);
    if text.contains(':') {
        // A time, or a ratio: the same digits and nothing else.
        let mut value = new(&text.replace(':', ""), "");
        value.exponent = i32::MIN;
        return vec![value];
    }
    let plain: String = text
        .chars()
        .filter(|c| c.is_ascii_digit() || matches!(c, '.' | ','))
        .collect();
    let (dots, commas) = (plain.matches('.').count(), plain.matches(',').count());
    let all: String = plain.chars().filter(char::is_ascii_digit).collect();
    let last = plain.rfind(['.', ',']);
    let Some(last) = last else {
        return vec![new(&all, "")];
    };
    let part = &plain[last + 1..];
    let whole: String = plain[..last].chars().filter(char::is_ascii_digit).collect();
    match (dots + commas, dots > 0 && commas > 0) {
        // `1,234.56`.
        (_, true) => vec![new(&whole, part)],
        // `1.200` is either.
        (1, _) if part.len() == 3 && whole.len() <= 3 && whole != "0" => vec![new(&all, ""), new(&whole, part)],
        (1, _) => vec![new(&whole, part)],
        // `1.234.567`; and `1.2.3`, which is a version and equals none but itself.
        _ => vec![new(&all, "")],
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{super::words::words, *};

    fn of(text: &str) -> Vec<Number> {
        numbers(text, &words(text))
    }

    #[rstest]
    #[case("1,200 people", "1 200 people")]
    #[case("1.200 Personen", "1,200")]
    #[case("1.2 thousand", "1200")]
    #[case("3.50 EUR", "€3.5")]
    #[case("5 million", "5,000,000")]
    #[case("5 Mio. Euro", "5 000 000 €")]
    #[case("twenty-five", "25")]
    #[case("two hundred", "200")]
    #[case("zwölf", "12")]
    #[case("1’000 CHF", "1000")]
    #[case("05", "5")]
    #[case("-5 °C", "−5 °C")]
    #[case("10:30", "at 10:30")]
    #[case("3rd", "third")]
    #[case("25 per cent", "25%")]
    fn the_same_number(#[case] one: &str, #[case] other: &str) {
        let (one, other) = (of(one), of(other));
        assert!(one.len() == 1 && other.len() == 1, "{one:?} {other:?}");
        assert!(one[0].equals(&other[0]), "{one:?} {other:?}");
        assert!(!one[0].counts_another(&other[0]), "{one:?} {other:?}");
    }

    #[rstest]
    #[case("12", "21")]
    #[case("1.5", "15")]
    #[case("5 °C", "-5 °C")]
    #[case("10:30", "1030")]
    #[case("0.125", "125")]
    #[case("2", "20")]
    fn other_numbers(#[case] one: &str, #[case] other: &str) {
        assert!(!of(one)[0].equals(&of(other)[0]));
    }

    #[rstest]
    #[case("5 %", "5 EUR")]
    #[case("30 days", "30 hours")]
    #[case("€5", "$5")]
    #[case("20 km", "20 miles")]
    fn other_units(#[case] one: &str, #[case] other: &str) {
        assert!(of(one)[0].counts_another(&of(other)[0]));
    }

    #[test]
    fn digits_in_names_are_no_numbers() {
        assert_eq!(of("A4, ISO-9001, v1.2, x_3 and #7"), []);
        assert_eq!(of("between 3 and 5kg, 10-20 cm").len(), 4);
        assert_eq!(of("2024-05-03").len(), 3);
    }
}
