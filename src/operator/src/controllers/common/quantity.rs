//! Kubernetes quantities, as far as they are compared and rounded here.

const NANO: i128 = 1_000_000_000;

/// The value in billionths; `None` when it is not a quantity or too large to be one.
pub fn nanos(text: &str) -> Option<i128> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let factor = match suffix {
        "n" => 1,
        "u" => 1_000,
        "m" => 1_000_000,
        "" => NANO,
        "k" => NANO * 1_000,
        "M" => NANO * 1_000_000,
        "G" => NANO * 1_000_000_000,
        "T" => NANO * 1_000_000_000_000,
        "P" => NANO * 1_000_000_000_000_000,
        "E" => NANO * 1_000_000_000_000_000_000,
        "Ki" => NANO << 10,
        "Mi" => NANO << 20,
        "Gi" => NANO << 30,
        "Ti" => NANO << 40,
        "Pi" => NANO << 50,
        "Ei" => NANO << 60,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole = whole.parse::<i128>().ok()?.checked_mul(factor)?;
    if fraction.is_empty() {
        return Some(whole);
    }
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let fraction = fraction.parse::<i128>().ok()?.checked_mul(factor)? / scale;
    whole.checked_add(fraction)
}

/// Whole units, rounded up: the threads that make use of so many cores.
pub fn ceiling(text: &str) -> Option<u64> {
    let nanos = nanos(text)?;
    u64::try_from((nanos + NANO - 1) / NANO).ok()
}

/// A positive whole number.
pub fn whole(text: &str) -> Option<i32> {
    let nanos = nanos(text).filter(|nanos| *nanos > 0 && nanos % NANO == 0)?;
    i32::try_from(nanos / NANO).ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1024Mi", "1Gi")]
    #[case("1.5Gi", "1536Mi")]
    #[case("1000m", "1")]
    #[case("0.5", "500m")]
    #[case("2k", "2000")]
    fn spellings_of_one_value_are_equal(#[case] left: &str, #[case] right: &str) {
        assert_eq!(nanos(left), nanos(right));
        assert!(nanos(left).is_some());
    }

    #[rstest]
    #[case("100m", Some(1))]
    #[case("1", Some(1))]
    #[case("1500m", Some(2))]
    #[case("lots", None)]
    fn cores_become_threads(#[case] text: &str, #[case] threads: Option<u64>) {
        assert_eq!(ceiling(text), threads);
    }
}
