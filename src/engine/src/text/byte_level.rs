//! The alphabet of byte-level BPE: a printable character for each byte, so that every vocabulary
//! entry is text. Printable Latin-1 stands for itself; the rest follows from U+0100 on.
//! <https://github.com/openai/gpt-2/blob/master/src/encoder.py>, `bytes_to_unicode`.

/// The byte that `character` stands for; `None` if it is not of the alphabet.
pub(super) fn byte_of(character: char) -> Option<u8> {
    match u32::from(character) {
        code @ (0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) => u8::try_from(code).ok(),
        code @ 0x100..=0x120 => u8::try_from(code - 0x100).ok(),
        code @ 0x121..=0x142 => u8::try_from(code - 0x121 + 0x7f).ok(),
        0x143 => Some(0xad),
        _ => None,
    }
}

/// The bytes that a name stands for. A character outside the alphabet stands for itself:
/// vocabularies have a few such words.
pub(super) fn bytes_of(name: &str) -> Vec<u8> {
    name.chars().fold(Vec::new(), |mut bytes, character| {
        match byte_of(character) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend(character.encode_utf8(&mut [0; 4]).bytes()),
        }
        bytes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_one_character() {
        let mut bytes: Vec<u8> = (0..=0x143).filter_map(char::from_u32).filter_map(byte_of).collect();
        bytes.sort_unstable();
        assert_eq!(bytes, (0..=255).collect::<Vec<u8>>());
        assert_eq!(
            (byte_of('Ġ'), byte_of('Ċ'), byte_of('é'), byte_of('ņ')),
            (Some(b' '), Some(b'\n'), Some(0xe9), None)
        );
    }
}
