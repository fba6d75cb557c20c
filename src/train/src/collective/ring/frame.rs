//! How messages lie on the wire: their kind, their length, and their bytes.

use std::io::{self, Read, Write};

/// Longest message, in bytes.
const MAX: usize = 1 << 20;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something for the other's computation.
    Data = 1,
    /// A sign of life.
    Alive = 2,
}

/// Writes a message at once.
pub fn write(mut to: impl Write, kind: Kind, bytes: &[u8]) -> io::Result<()> {
    let mut message = Vec::with_capacity(bytes.len() + 5);
    message.push(kind as u8);
    message.extend((bytes.len() as u32).to_le_bytes());
    message.extend_from_slice(bytes);
    to.write_all(&message)
}

/// Reads a message into `bytes`, which it replaces.
pub fn read(mut from: impl Read, bytes: &mut Vec<u8>) -> io::Result<Kind> {
    let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut header = [0; 5];
    from.read_exact(&mut header)?;
    let [kind, length @ ..] = header;
    let kind = match kind {
        1 => Kind::Data,
        2 => Kind::Alive,
        other => return Err(invalid(format!("a message has the unknown kind {other}"))),
    };
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX {
        return Err(invalid(format!(
            "a message has {length} bytes, at most {MAX} are taken"
        )));
    }
    bytes.resize(length, 0);
    from.read_exact(bytes)?;
    Ok(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_as_they_went() {
        let mut wire = Vec::new();
        write(&mut wire, Kind::Alive, &[]).unwrap();
        write(&mut wire, Kind::Data, b"abc").unwrap();
        let (mut from, mut bytes) = (&wire[..], vec![9; 9]);
        assert_eq!((read(&mut from, &mut bytes).unwrap(), bytes.len()), (Kind::Alive, 0));
        assert_eq!(
            (read(&mut from, &mut bytes).unwrap(), &bytes[..]),
            (Kind::Data, &b"abc"[..])
        );
        assert!(read(&mut from, &mut bytes).is_err());
    }

    #[test]
    fn other_bytes_are_no_message() {
        for wire in [
            &b"GET / HTTP/1.1\r\n"[..],
            &[1, 0xff, 0xff, 0xff, 0x7f],
            &[1, 4, 0, 0, 0, 1],
        ] {
            assert!(read(wire, &mut Vec::new()).is_err(), "{wire:?}");
        }
    }
}
