//! Names of adapters.

use crate::lora::RegistryError;

/// Names are DNS labels (RFC 1123), so that anything may be called after an adapter.
pub(super) fn check_name(name: &str) -> Result<(), RegistryError> {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    let good = (1..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| letter(*byte) || *byte == b'-')
        && [bytes.first(), bytes.last()]
            .into_iter()
            .flatten()
            .all(|byte| letter(*byte));
    match good {
        true => Ok(()),
        false => Err(RegistryError::Name { name: name.into() }),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a", true)]
    #[case("7-b", true)]
    #[case(&"x".repeat(63), true)]
    #[case(&"x".repeat(64), false)]
    #[case("", false)]
    #[case("-a", false)]
    #[case("a-", false)]
    #[case("A", false)]
    #[case("a.b", false)]
    #[case("a/b", false)]
    #[case("ä", false)]
    fn names_are_dns_labels(#[case] name: &str, #[case] good: bool) {
        assert_eq!(check_name(name).is_ok(), good);
    }
}
