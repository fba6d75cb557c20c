//! Figures and words of a status as people read them.

use crate::text::clean;

/// At most `width` characters of a line.
pub fn cut(line: &str, width: usize) -> String {
    match line.chars().count() > width {
        true => line.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
        false => line.into(),
    }
}

/// A text as lines of at most `width` characters, broken between words; the last of `most` lines tells that there is
/// more.
pub fn wrapped(text: &str, width: usize, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.into()),
        }
    }
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            last.push_str(" …");
        }
    }
    lines.iter().map(|line| cut(line, width)).collect()
}

/// A decimal string with four digits after the point.
pub fn loss(text: &str) -> String {
    text.parse::<f64>()
        .map_or_else(|_| clean(text), |value| format!("{value:.4}"))
}

/// A decimal string with a power of ten: `1.5e-4`.
pub fn rate(text: &str) -> String {
    let short = |value: f64| {
        let text = format!("{value:.2e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = match digits.contains('.') {
            true => digits.trim_end_matches('0').trim_end_matches('.'),
            false => digits,
        };
        format!("{digits}e{power}")
    };
    text.parse::<f64>().map_or_else(|_| clean(text), short)
}

/// A decimal string without digits after the point.
pub fn whole(text: &str) -> String {
    text.parse::<f64>()
        .map_or_else(|_| clean(text), |value| format!("{value:.0}"))
}

/// Bytes in the largest unit of which there is one.
pub fn bytes(count: i64) -> String {
    let units = [
        (1_i64 << 40, "TiB"),
        (1 << 30, "GiB"),
        (1 << 20, "MiB"),
        (1 << 10, "KiB"),
    ];
    let unit = units.into_iter().find(|(size, _)| count >= *size);
    unit.map_or_else(
        || format!("{count} B"),
        |(size, unit)| format!("{:.1} {unit}", count as f64 / size as f64),
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("0.00015", "1.5e-4")]
    #[case("0.0002", "2e-4")]
    #[case("1", "1e0")]
    #[case("10", "1e1")]
    #[case("x\u{1b}[2J", "x [2J")]
    fn learning_rates_are_short(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(rate(text), expected);
    }

    #[rstest]
    #[case(12, "12 B")]
    #[case(2048, "2.0 KiB")]
    #[case(2_254_857_830, "2.1 GiB")]
    fn bytes_have_a_unit(#[case] count: i64, #[case] expected: &str) {
        assert_eq!(bytes(count), expected);
    }

    #[test]
    fn texts_are_broken_between_words() {
        assert_eq!(wrapped("one two  three four", 9, 3), ["one two", "three", "four"]);
        assert_eq!(wrapped("one two three four", 9, 2), ["one two", "three …"]);
        assert_eq!(wrapped("a-word-that-is-too-long", 9, 2), ["a-word-t…"]);
        assert!(wrapped("", 9, 2).is_empty());
    }

    #[test]
    fn lines_end_where_the_terminal_does() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("äbcdef", 4), "äbc…");
    }
}
