//! A process for each document: what a document makes it do ends with it.
//!
//! It has no environment, little memory, little time of the processor and on the clock, and writes files of so many bytes
//! at most, into a directory of its own. It gives up what it does not need before it looks at the document: see
//! [`confine`]. What a document starts is ended with it.

mod confine;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use protocol::quarantine::Reason;
use serde::{Deserialize, Serialize};

use super::{Document, PagePicture, Refused, Request, Result, pictures};
use crate::readers::Programs;
use crate::readers::process::{self, Limits, run};

pub use confine::Confined;

/// Bytes that a byte of text takes in what the process prints: places, and escapes.
const LONGER: u64 = 8;
/// Bytes of that for a document of little text.
const LEAST_OUTPUT: u64 = 64 << 20;
/// Blocks of 512 bytes of a file that it writes.
const FILE: u64 = (256 << 20) / 512;

/// What is asked of the process.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Asked {
    /// To read a document.
    Read(Request),
    /// To draw its first pages.
    Draw(Request, u32),
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    confined: Confined,
    outcome: Outcome,
}

#[derive(Debug, Serialize, Deserialize)]
enum Outcome {
    Document(Document),
    Pictures(Vec<PagePicture>),
    Refused(Refused),
}

/// A document that was read, and from what it was kept while that was done.
#[derive(Debug)]
pub struct Extracted {
    /// The document.
    pub document: Document,
    /// From what it was kept; nothing, where this process read it.
    pub confined: Confined,
}

/// Reads a document in a process of its own with so many bytes of memory. Pictures of its pages are left in `directory`,
/// which must be there, and nobody else's.
///
/// # Errors
/// With why it is set aside.
pub fn read(request: &Request, programs: &Programs, memory: u64, directory: &Path) -> Result<Extracted> {
    let Some(program) = &programs.documents else {
        let document = super::read(request, programs, directory)?;
        let confined = Confined::default();
        return Ok(Extracted { document, confined });
    };
    if let Ok(size) = std::fs::metadata(&request.path).map(|file| file.len())
        && size > request.limits.bytes
    {
        return Err(super::too_large(size, request.limits.bytes));
    }
    let answer = ask(&Asked::Read(request.clone()), program, memory, directory)?;
    match answer.outcome {
        Outcome::Document(document) => Ok(Extracted {
            document,
            confined: answer.confined,
        }),
        Outcome::Refused(refused) => Err(refused),
        Outcome::Pictures(_) => Err(nonsense()),
    }
}

/// Draws the first of a PDF's pages into `directory`; as many as can be drawn.
///
/// # Errors
/// When the process fails.
pub fn draw(
    request: &Request,
    pages: u32,
    programs: &Programs,
    memory: u64,
    directory: &Path,
) -> Result<Vec<PagePicture>> {
    let Some(program) = &programs.documents else {
        return Ok(pictures::pages(
            &request.path,
            pages,
            &request.limits,
            programs,
            directory,
        ));
    };
    match ask(&Asked::Draw(request.clone(), pages), program, memory, directory)?.outcome {
        Outcome::Pictures(pictures) => Ok(pictures),
        Outcome::Refused(refused) => Err(refused),
        Outcome::Document(_) => Err(nonsense()),
    }
}

fn ask(asked: &Asked, program: &str, memory: u64, directory: &Path) -> Result<Answer> {
    let (Asked::Read(request) | Asked::Draw(request, _)) = asked;
    let most = &request.limits;
    let ocr = request
        .ocr
        .as_ref()
        .map_or(0, |_| u64::from(most.ocr_pages) * u64::from(most.ocr_page_seconds));
    let limits = Limits {
        output: most.text_bytes.saturating_mul(LONGER).max(LEAST_OUTPUT) as usize,
        time: Duration::from_secs(u64::from(most.seconds) + ocr),
        memory: memory >> 10,
        file: FILE,
    };
    let json = serde_json::to_string(asked)
        .map_err(|error| Refused::new(Reason::InvalidName, format!("cannot be named: {error}")))?;
    let printed =
        run(program, &["extract".into(), json.into()], directory, &limits).map_err(|refused| ended(refused, most))?;
    serde_json::from_slice(&printed).map_err(|_| nonsense())
}

fn nonsense() -> Refused {
    Refused::new(Reason::ReaderFailed, "makes the process that reads it answer nonsense")
}

/// Why the process did not answer.
fn ended(refused: process::Refused, most: &protocol::ingest::Limits) -> Refused {
    let why = match refused {
        process::Refused::TooLong => return super::build::too_much_text(most.text_bytes),
        process::Refused::Because(why) => why,
    };
    let has = |words: &[&str]| words.iter().any(|word| why.contains(word));
    // SIGXCPU; SIGXFSZ; what the kernel does where memory is short.
    let (reason, what) = if has(&["did not end", "(signal 24)"]) {
        (Reason::TooSlow, format!("is not read within {} s", most.seconds))
    } else if has(&["memory allocation", "(signal 9)"]) {
        (
            Reason::TooMuchMemory,
            "needs more memory to be read than a document may".to_owned(),
        )
    } else if has(&["(signal 25)"]) {
        (
            Reason::UnpacksTooLarge,
            "becomes larger files than a document may".to_owned(),
        )
    } else {
        (Reason::ReaderFailed, format!("ends the process that reads it: {why}"))
    };
    Refused::new(reason, what)
}

/// The other side: carries out what `asked` says, in this process, and prints the answer.
///
/// # Errors
/// When nobody understands what is asked, or the answer cannot be printed.
pub fn answer(asked: &str, out: &mut dyn Write) -> std::result::Result<(), String> {
    let asked: Asked = serde_json::from_str(asked).map_err(|error| format!("what is asked makes no sense: {error}"))?;
    let (Asked::Read(request) | Asked::Draw(request, _)) = &asked;
    let scratch = std::env::current_dir().map_err(|error| error.to_string())?;
    process::join_group();
    let confined = confine::confine(&request.path, &scratch);
    let programs = Programs::default();
    let outcome = match &asked {
        Asked::Read(request) => match super::read(request, &programs, &scratch) {
            Ok(document) => Outcome::Document(document),
            Err(refused) => Outcome::Refused(refused),
        },
        Asked::Draw(request, pages) => Outcome::Pictures(pictures::pages(
            &request.path,
            *pages,
            &request.limits,
            &programs,
            &scratch,
        )),
    };
    let mut out = std::io::BufWriter::new(out);
    serde_json::to_writer(&mut out, &Answer { confined, outcome }).map_err(|error| error.to_string())?;
    out.flush().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("x did not end within 3 s", Reason::TooSlow)]
    #[case("x cannot read it: it says nothing (signal 24)", Reason::TooSlow)]
    #[case(
        "x cannot read it: memory allocation of 9 bytes failed (signal 6)",
        Reason::TooMuchMemory
    )]
    #[case("x cannot read it: it says nothing (signal 9)", Reason::TooMuchMemory)]
    #[case("x cannot read it: it says nothing (signal 25)", Reason::UnpacksTooLarge)]
    #[case("x cannot read it: it says nothing (signal 11)", Reason::ReaderFailed)]
    fn how_it_ended_tells_why(#[case] why: &str, #[case] reason: Reason) {
        let refused = ended(
            process::Refused::Because(why.into()),
            &protocol::ingest::Limits::default(),
        );
        assert_eq!(refused.reason, reason);
    }
}
