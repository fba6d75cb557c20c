//! A program that reads a stranger's file.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(20);
/// Bytes of what a program complains about that are worth keeping.
const MAX_COMPLAINT: u64 = 2000;
/// Sets limits that hold from the program's first instruction on, and becomes the program.
const LIMITED: &str = r#"ulimit -v "$1" && ulimit -t "$2" && ulimit -f "$3" && ulimit -c 0 && shift 3 && exec "$@""#;

/// What a program may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes of its output.
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
    pub(super) fn text(output: usize) -> Self {
        Self {
            output,
            time: Duration::from_secs(120),
            memory: 2 << 20,
            file: 0,
        }
    }

    /// For a program that writes pictures.
    pub(super) fn pictures() -> Self {
        Self {
            file: (256 << 20) / 512,
            ..Self::text(1 << 16)
        }
    }
}

/// Why there is no output.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// There is more of it than there may be.
    TooLong,
    /// Another reason.
    Because(String),
}

/// Runs a program in a directory; what it prints.
pub(super) fn run(
    program: &str,
    arguments: &[OsString],
    directory: &Path,
    limits: &Limits,
) -> Result<Vec<u8>, Refused> {
    let failed = |error: io::Error| Refused::Because(format!("{program} cannot be run: {error}"));
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
        .env("LC_ALL", "C.UTF-8")
        // More threads are no faster on the pages of one document, and many documents come at a time.
        .env("OMP_THREAD_LIMIT", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    let mut child = command.spawn().map_err(failed)?;
    let output = reading(child.stdout.take(), limits.output as u64 + 1);
    let complaint = reading(child.stderr.take(), MAX_COMPLAINT);
    let status = wait(&mut child, limits.time).map_err(failed)?;
    let (output, complaint) = (output.join(), complaint.join());
    let output = output.unwrap_or_default();
    if output.len() > limits.output {
        return Err(Refused::TooLong);
    }
    match status {
        Some(status) if status.success() => Ok(output),
        Some(_) => {
            let complaint = complaint.unwrap_or_default();
            let complaint = String::from_utf8_lossy(&complaint);
            let said = complaint.lines().rev().find(|line| !line.trim().is_empty());
            let said = said.unwrap_or("it says nothing");
            Err(Refused::Because(format!("{program} cannot read it: {}", said.trim())))
        }
        None => Err(Refused::Because(format!("{program} did not end within {seconds} s"))),
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

/// How it ended; None if it had to be ended.
fn wait(child: &mut Child, time: Duration) -> io::Result<Option<std::process::ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() >= time {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(POLL);
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
