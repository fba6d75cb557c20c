//! Vectors as they travel: base64 of their components, 32 bits each, the lowest byte first.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// As base64.
pub fn encode(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|component| component.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

/// From base64; none where it is none, or no whole number of components.
pub fn decode(text: &str) -> Option<Vec<f32>> {
    let bytes = STANDARD.decode(text).ok()?;
    let (components, rest) = bytes.as_chunks();
    let components = components.iter().map(|bytes| f32::from_le_bytes(*bytes));
    rest.is_empty().then(|| components.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_come_back() {
        let vector = [0.0, -1.5, f32::MIN_POSITIVE, f32::MAX];
        assert_eq!(decode(&encode(&vector)).as_deref(), Some(&vector[..]));
        assert_eq!(encode(&[1.0]), "AACAPw==");
        assert_eq!(decode(""), Some(Vec::new()));
        assert_eq!(decode("AAA="), None);
        assert_eq!(decode("?"), None);
    }
}
