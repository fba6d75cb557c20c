//! Parquet: a row is a record, its columns are fields; lists of structures make conversations.
//!
//! What a file says of itself is what its reader believes: how deep its columns are nested, how large its pages are, how
//! many values they have. A process of its own reads it, and prints each row as a line of JSON.

mod rows;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use protocol::PrepareFailure;
use protocol::report::reasons;

use super::jsonl::item;
use super::lines::{Line, Lines};
use super::process::{Limits, Refused, start};
use super::{Item, Settings, Sink};
use crate::failure::{Result, disk};
use crate::record::Bad;

/// KiB of memory of the process that reads.
const MEMORY: u64 = 512 << 10;
/// Seconds of the processor that it has for any file, and for each MiB of it.
const SECONDS: (u64, u64) = (60, 10);
/// Escaped, a text is longer; and a row may have columns that nobody asked for.
const LONGER: usize = 4;

pub(super) fn read(path: &Path, settings: &Settings, sink: &mut Sink<'_>) -> Result<()> {
    let Some(program) = &settings.programs.rows else {
        return rows::read(path, sink);
    };
    // It runs elsewhere, and no name must look like an option.
    let path = path.canonicalize().map_err(disk("find", path))?;
    let bytes = File::open(&path).and_then(|file| file.metadata());
    let bytes = bytes.map_err(disk("open", &path))?.len();
    let limits = Limits {
        time: Duration::from_secs(SECONDS.0 + SECONDS.1 * (bytes >> 20)),
        memory: MEMORY,
        ..Limits::text(0)
    };
    let running = start(program, &["rows".into(), path.into()], &settings.scratch, &limits);
    let mut running = running.map_err(|refused| match refused {
        Refused::Because(why) => internal(&why),
        Refused::TooLong => internal("it says too much"),
    })?;
    let Some(output) = running.output() else {
        return Err(internal("it has no output"));
    };
    let mut lines = Lines::new(BufReader::new(output), settings.max_bytes.saturating_mul(LONGER));
    // Where the output breaks off, how the process ends tells why.
    while let Ok(Some((line, row))) = lines.next() {
        sink(match row {
            Line::Whole(bytes) => item(line, bytes, "write the file again"),
            Line::TooLong => Item::Bad {
                line,
                bad: Bad::too_long(settings.max_bytes),
            },
        })?;
    }
    drop(lines);
    match running.succeeds().map_err(|error| internal(&error.to_string()))? {
        true => Ok(()),
        false => sink(Item::Broken(why(&running.complaint()))),
    }
}

fn internal(why: &str) -> PrepareFailure {
    PrepareFailure::new(reasons::INTERNAL, format!("failed to read Parquet: {why}"), true)
}

/// What is wrong with the file, by what the process said last.
fn why(complaint: &str) -> String {
    if complaint.contains("memory allocation") {
        let most = MEMORY >> 10;
        return format!("takes more than {most} MiB of memory to read; write it with smaller pages and row groups");
    }
    let said = complaint.lines().map(str::trim).rfind(|line| !line.is_empty());
    match said {
        Some(said) if said.starts_with(rows::NO_PARQUET) => said.to_owned(),
        _ => format!("{}: reading it ends the process that does", rows::NO_PARQUET),
    }
}

/// Prints the rows of a file, one a line; what is wrong with it otherwise.
///
/// # Errors
/// When it is no good, or nobody wants to know more.
pub fn print(path: &Path, out: impl Write) -> std::result::Result<(), String> {
    let mut out = BufWriter::new(out);
    let mut broken = None;
    let printed = rows::read(path, &mut |item| {
        let mut line = |value: &serde_json::Value| -> io::Result<()> {
            serde_json::to_writer(&mut out, value)?;
            out.write_all(b"\n")
        };
        match item {
            Item::Value { value, .. } => line(&value).map_err(disk("print", path))?,
            Item::Broken(why) => broken = Some(why),
            _ => {}
        }
        Ok(())
    });
    printed.map_err(|failure| failure.message)?;
    out.flush().map_err(|error| error.to_string())?;
    broken.map_or(Ok(()), Err)
}
