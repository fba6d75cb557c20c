//! A program that reads a stranger's file, in a process of its own with little memory, little time and no environment:
//! what the file makes it do ends with it.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::memory;

/// Whether this process was itself started so, and belongs to a group that is ended as a whole.
static IS_MEMBER: AtomicBool = AtomicBool::new(false);

/// Time between two looks at whether it has ended; the first ones come sooner.
const POLL: Duration = Duration::from_millis(20);
const FIRST_POLL: Duration = Duration::from_millis(1);
/// Bytes of what a program complains about that are worth keeping.
const MAX_COMPLAINT: u64 = 2000;
/// Sets limits that hold from the program's first instruction on, and becomes the program.
/// Where a limit is stricter already, that holds: a program that is limited starts others.
const LIMITED: &str = r#"l() { ulimit "$1" "$2" 2>/dev/null || [ "$(ulimit -H "$1")" -le "$2" ]; }
l -v "$1" && l -t "$2" && l -f "$3" && l -c 0 && shift 3 && exec "$@""#;

/// Those that read, by name or path.
#[derive(Clone, Debug)]
pub struct Programs {
    /// Prints the rows of a Parquet file: this program itself. Without one they are read by this process.
    pub rows: Option<String>,
    /// Reads documents: this program itself. Without one they are read by this process.
    pub documents: Option<String>,
    /// Gives the text layer (poppler-utils).
    pub pdftotext: String,
    /// Gives the text layer with places and fonts (poppler-utils).
    pub pdftohtml: String,
    /// Gives pictures of pages (poppler-utils).
    pub pdftoppm: String,
    /// Tells what pictures a page has (poppler-utils).
    pub pdfimages: String,
    /// Recognizes text (tesseract-ocr).
    pub tesseract: String,
    /// Brings repositories (git).
    pub git: String,
    /// How it may fetch, as `GIT_ALLOW_PROTOCOL` has it. Nothing but a test says something else.
    pub git_protocols: String,
    /// Bytes of a repository at one revision, packed, and of its files.
    pub git_bytes: u64,
}

impl Default for Programs {
    fn default() -> Self {
        Self {
            rows: None,
            documents: None,
            pdftotext: "pdftotext".into(),
            pdftohtml: "pdftohtml".into(),
            pdftoppm: "pdftoppm".into(),
            pdfimages: "pdfimages".into(),
            tesseract: "tesseract".into(),
            git: "git".into(),
            git_protocols: "https:ssh".into(),
            git_bytes: 4 << 30,
        }
    }
}

/// What a program may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of its output, where that is kept.
    pub output: usize,
    /// Time on the clock; time of the processor is half as much again, should it have several threads.
    pub time: Duration,
    /// KiB of memory.
    pub memory: u64,
    /// Blocks of 512 bytes in a file that it writes.
    pub file: u64,
}

impl Limits {
    /// For a program that gives text.
    pub(crate) fn text(output: usize) -> Self {
        Self {
            output,
            time: Duration::from_secs(120),
            memory: memory::of_program() >> 10,
            file: 0,
        }
    }

    /// For a program that writes pictures.
    pub(crate) fn pictures() -> Self {
        Self {
            file: (256 << 20) / 512,
            ..Self::text(1 << 16)
        }
    }
}

/// Why there is no output.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is more of it than there may be.
    TooLong,
    /// Another reason.
    Because(String),
}

/// A program that runs, and ends with this.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    complaint: Option<thread::JoinHandle<Vec<u8>>>,
}

/// Starts a program in a directory.
pub(crate) fn start(
    program: &str,
    arguments: &[OsString],
    directory: &Path,
    limits: &Limits,
) -> Result<Running, Refused> {
    if !is_there(program) {
        return Err(Refused::Because(format!("{program} is not installed here")));
    }
    let seconds = limits.time.as_secs();
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", LIMITED, "sh"])
        .args([limits.memory, seconds + seconds / 2 + 1, limits.file].map(|limit| limit.to_string()))
        .arg(program)
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("TMPDIR", directory)
        .env("LC_ALL", "C.UTF-8")
        // More threads are no faster on the pages of one document, and many documents come at a time.
        .env("OMP_THREAD_LIMIT", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    if !IS_MEMBER.load(Ordering::Relaxed) {
        // What it starts ends with it.
        command.process_group(0);
    }
    let mut child = command.spawn().map_err(|error| failed(program, &error))?;
    let complaint = Some(reading(child.stderr.take(), MAX_COMPLAINT));
    Ok(Running { child, complaint })
}

/// Runs a program in a directory; what it prints.
pub(crate) fn run(
    program: &str,
    arguments: &[OsString],
    directory: &Path,
    limits: &Limits,
) -> Result<Vec<u8>, Refused> {
    let mut running = start(program, arguments, directory, limits)?;
    let output = reading(running.output(), limits.output as u64 + 1);
    let status = wait(&mut running.child, limits.time).map_err(|error| failed(program, &error))?;
    let output = output.join().unwrap_or_default();
    if output.len() > limits.output {
        return Err(Refused::TooLong);
    }
    match status {
        Some(status) if status.success() => Ok(output),
        Some(status) => {
            let said = running.complaint();
            let said = said.lines().rev().find(|line| !line.trim().is_empty());
            let said = said.unwrap_or("it says nothing").trim();
            let signal = status.signal().map(|signal| format!(" (signal {signal})"));
            let signal = signal.unwrap_or_default();
            Err(Refused::Because(format!("{program} cannot read it: {said}{signal}")))
        }
        None => {
            let seconds = limits.time.as_secs();
            Err(Refused::Because(format!("{program} did not end within {seconds} s")))
        }
    }
}

fn failed(program: &str, error: &io::Error) -> Refused {
    Refused::Because(format!("{program} cannot be run: {error}"))
}

impl Running {
    /// What it prints, once.
    pub(crate) fn output(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits for it to end by itself, as its limits make it; whether it did what it should.
    pub(crate) fn succeeds(&mut self) -> io::Result<bool> {
        Ok(self.child.wait()?.success())
    }

    /// What it complained about, after its end, once.
    pub(crate) fn complaint(&mut self) -> String {
        let bytes = self.complaint.take().map(thread::JoinHandle::join);
        String::from_utf8_lossy(&bytes.and_then(Result::ok).unwrap_or_default()).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, mostly; and so have those that it started.
        kill(&mut self.child);
        let _ = self.child.wait();
    }
}

/// Whether there is such a program, looked for as the shell does.
fn is_there(program: &str) -> bool {
    if program.contains('/') {
        return Path::new(program).is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// Reads up to a limit and then closes, which ends a program that goes on writing.
fn reading(pipe: Option<impl Read + Send + 'static>, limit: u64) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            // What came before an error is there.
            let _ = pipe.take(limit).read_to_end(&mut bytes);
        }
        bytes
    })
}

/// From now on, programs belong to the group of this process: whoever has started it ends them together.
pub(crate) fn join_group() {
    IS_MEMBER.store(true, Ordering::Relaxed);
}

/// Whether it has ended, without asking how: so long its number, and its group's, is nobody else's. An error for one that
/// was asked already.
fn has_ended(child: &Child) -> io::Result<bool> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("it has no number"))?;
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    Ok(waitid(WaitId::Pid(pid), options)?.is_some())
}

/// Ends it and what it has started, also where it has ended itself already.
fn kill(child: &mut Child) {
    if has_ended(child).is_err() {
        return;
    }
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let (Some(group), false) = (group, IS_MEMBER.load(Ordering::Relaxed)) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.kill();
}

/// How it ended; None if it had to be ended.
fn wait(child: &mut Child, time: Duration) -> io::Result<Option<std::process::ExitStatus>> {
    let start = Instant::now();
    let mut poll = FIRST_POLL;
    loop {
        if has_ended(child)? {
            kill(child);
            return child.wait().map(Some);
        }
        if start.elapsed() >= time {
            kill(child);
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(poll);
        poll = (poll * 2).min(POLL);
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn sh(script: &str, limits: &Limits) -> Result<Vec<u8>, Refused> {
        run("sh", &["-c".into(), script.into()], &std::env::temp_dir(), limits)
    }

    fn because(result: Result<Vec<u8>, Refused>) -> String {
        match result {
            Err(Refused::Because(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_a_program_prints_comes_back() {
        assert_eq!(sh("echo hi; echo no >&2", &Limits::text(100)), Ok(b"hi\n".to_vec()));
        assert_eq!(
            sh("pwd; echo ${HOME-none}", &Limits::text(1000))
                .unwrap()
                .split(|byte| *byte == b'\n')
                .nth(1)
                .unwrap(),
            b"none"
        );
    }

    #[rstest]
    #[case("echo first >&2; echo broken pipe of tears >&2; exit 3", "broken pipe of tears")]
    #[case("exit 3", "says nothing")]
    #[case("echo x > written-by-a-test", "cannot read it")]
    fn what_fails_says_why(#[case] script: &str, #[case] says: &str) {
        let why = because(sh(script, &Limits::text(100)));
        assert!(why.contains(says), "{why}");
    }

    #[test]
    fn a_program_without_end_is_ended() {
        assert_eq!(
            sh("while :; do echo xxxxxxxxxxxxxxxx; done", &Limits::text(1000)),
            Err(Refused::TooLong)
        );
        let limits = Limits {
            time: Duration::from_millis(100),
            ..Limits::text(100)
        };
        assert!(because(sh("exec sleep 1000", &limits)).contains("did not end"));
    }

    #[test]
    fn a_missing_program_is_named() {
        let why = because(run("no-such-program", &[], Path::new("/"), &Limits::text(1)));
        assert_eq!(why, "no-such-program is not installed here");
    }
}
