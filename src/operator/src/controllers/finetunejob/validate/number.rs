//! Numbers as specs write them. The schema has looked at their form already.

/// The value of a decimal string.
pub fn decimal(field: &str, text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().ok().filter(|value| value.is_finite());
    value.ok_or_else(|| format!("{field} {text:?} is no decimal number"))
}

/// That of one that must not be zero.
pub fn positive(field: &str, text: &str) -> Result<f64, String> {
    match decimal(field, text)? {
        value if value > 0.0 => Ok(value),
        _ => Err(format!("{field} must be greater than 0")),
    }
}

/// The share that a percentage means.
pub fn percent(field: &str, text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text);
    Ok(decimal(field, number)? / 100.0)
}

/// A number that the schema keeps from being negative.
pub fn natural(number: impl Into<i64>) -> u64 {
    u64::try_from(number.into()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_numbers() {
        assert_eq!(decimal("f", "2e-4"), Ok(0.0002));
        assert_eq!(percent("f", "12.5%"), Ok(0.125));
        assert_eq!(natural(7_i32), 7);
        assert!(positive("f", "0").unwrap_err().contains("greater than 0"));
        assert!(decimal("f", "1e999").unwrap_err().starts_with("f "));
    }
}
