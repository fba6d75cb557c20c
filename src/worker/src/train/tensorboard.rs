//! Files that TensorBoard shows: records of TFRecord, each an `Event` of protocol buffers.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
    time::SystemTime,
};

/// Writes scalars.
pub struct EventFile(BufWriter<File>);

impl EventFile {
    /// Begins a file in a directory. What an earlier attempt wrote of this step and later ones is not shown any more.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(directory: &Path, step: u64) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let now = now();
        // The name of the host would be another one for every pod.
        let name = format!("events.out.tfevents.{:.0}.atelier.{}", now.floor(), std::process::id());
        let mut file = Self(BufWriter::new(File::create(directory.join(name))?));
        let mut version = Vec::new();
        double(&mut version, 1, now);
        bytes(&mut version, 3, b"brain.Event:2");
        file.record(&version)?;
        if step > 0 {
            // A session that starts (SessionLog.status START) at a step takes the place of what was there.
            let mut event = Vec::new();
            double(&mut event, 1, now);
            number(&mut event, 2, step + 1);
            bytes(&mut event, 7, &[0x08, 0x01]);
            file.record(&event)?;
        }
        file.0.flush()?;
        Ok(file)
    }

    /// Adds values of a step.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn add<'a>(&mut self, step: u64, values: impl IntoIterator<Item = (&'a str, f64)>) -> io::Result<()> {
        let mut summary = Vec::new();
        for (tag, value) in values {
            let mut scalar = Vec::new();
            bytes(&mut scalar, 1, tag.as_bytes());
            scalar.push(2 << 3 | 5);
            scalar.extend((value as f32).to_le_bytes());
            bytes(&mut summary, 1, &scalar);
        }
        let mut event = Vec::new();
        double(&mut event, 1, now());
        number(&mut event, 2, step);
        bytes(&mut event, 5, &summary);
        self.record(&event)
    }

    /// Hands what was added to the system.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }

    fn record(&mut self, event: &[u8]) -> io::Result<()> {
        let length = (event.len() as u64).to_le_bytes();
        self.0.write_all(&length)?;
        self.0.write_all(&masked(&length).to_le_bytes())?;
        self.0.write_all(event)?;
        self.0.write_all(&masked(event).to_le_bytes())
    }
}

fn now() -> f64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0.0, |now| now.as_secs_f64())
}

/// A field of 8 bytes.
fn double(to: &mut Vec<u8>, field: u8, value: f64) {
    to.push(field << 3 | 1);
    to.extend(value.to_le_bytes());
}

/// A field of variable length: 7 bits a byte.
fn number(to: &mut Vec<u8>, field: u8, value: u64) {
    to.push(field << 3);
    varint(to, value);
}

/// A field of bytes.
fn bytes(to: &mut Vec<u8>, field: u8, value: &[u8]) {
    to.push(field << 3 | 2);
    varint(to, value.len() as u64);
    to.extend_from_slice(value);
}

fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

/// CRC-32C, turned and shifted as TFRecord has it, so that checksums of checksums tell something.
fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32 with the polynomial of Castagnoli.
fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut at = 0;
        while at < 256 {
            let mut bits = at as u32;
            let mut bit = 0;
            while bit < 8 {
                bits = bits >> 1 ^ if bits & 1 == 1 { 0x82f6_3b78 } else { 0 };
                bit += 1;
            }
            table[at] = bits;
            at += 1;
        }
        table
    };
    let step = |crc: u32, byte: &u8| crc >> 8 ^ TABLE[usize::from(crc as u8 ^ byte)];
    !bytes.iter().fold(u32::MAX, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn events_are_records() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = EventFile::create(dir.path(), 0).unwrap();
        file.add(300, [("loss", 1.5), ("rewards/margins", -2.0)]).unwrap();
        file.flush().unwrap();
        let path = fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
        let wire = fs::read(path).unwrap();
        let mut rest = &wire[..];
        let mut events = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let event = &rest[12..12 + length];
            assert_eq!(rest[8..12], masked(&rest[..8]).to_le_bytes());
            assert_eq!(rest[12 + length..16 + length], masked(event).to_le_bytes());
            events.push(event);
            rest = &rest[16 + length..];
        }
        assert!(events.len() == 2 && events[0].ends_with(b"\x1a\x0dbrain.Event:2"));
        // Time, step 300, and a summary of two values.
        let summary = b"\x0a\x0b\x0a\x04loss\x15\x00\x00\xc0\x3f\x0a\x16\x0a\x0frewards/margins\x15\x00\x00\x00\xc0";
        let expected = [&b"\x10\xac\x02\x2a\x25"[..], summary].concat();
        assert_eq!(&events[1][9..], &expected[..]);
    }
}
