//! Running other programs: quietly with the last line shown, for their output, or passed through.

use std::collections::VecDeque;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

use crate::ui::Stage;

/// Lines of a failed program's output that go into the error text.
const TAIL: usize = 40;

/// Where Debian keeps system programs; a plain user's `PATH` lacks them.
const SYSTEM_DIRS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// `PATH` with the system directories at its end.
fn search_path() -> OsString {
    let own = env::var_os("PATH").unwrap_or_default();
    let dirs = env::split_paths(&own).chain(SYSTEM_DIRS.iter().map(PathBuf::from));
    env::join_paths(dirs).unwrap_or(own)
}

/// The full path of a program, when it is installed.
pub fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&search_path())
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}

/// A command that finds system programs whatever the user's `PATH` is.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", search_path());
    command
}

/// The command as a person would type it.
fn describe(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Runs to the end and shows what it says on the stage's line; the error carries the last lines.
pub fn run(stage: &Stage, command: &mut Command) -> Result<()> {
    let name = describe(command);
    let (reader, writer) = std::io::pipe().context("failed to create a pipe")?;
    let error_writer = writer.try_clone().context("failed to copy a pipe")?;
    command.stdin(Stdio::null()).stdout(writer).stderr(error_writer);
    let mut child = command.spawn().with_context(|| format!("failed to start `{name}`"))?;
    // The command still owns the write ends; while it does, the reader below never sees the end.
    command.stdout(Stdio::null()).stderr(Stdio::null());

    let mut tail = VecDeque::with_capacity(TAIL);
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader
        .read_until(b'\n', &mut line)
        .with_context(|| format!("failed to read what `{name}` says"))?
        > 0
    {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        line.clear();
        stage.tick(&text);
        if tail.len() == TAIL {
            tail.pop_front();
        }
        tail.push_back(text);
    }
    let status = child.wait().with_context(|| format!("failed to wait for `{name}`"))?;
    if !status.success() {
        let tail = Vec::from(tail).join("\n    ");
        bail!("failed to run `{name}` ({status}); its last lines:\n    {tail}");
    }
    Ok(())
}

/// Runs to the end and returns what it wrote to standard output.
pub fn read(command: &mut Command) -> Result<String> {
    let name = describe(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("failed to start `{name}`"))?;
    text(&name, output)
}

/// Standard output of a success; the error of a failure carries standard error.
fn text(name: &str, output: Output) -> Result<String> {
    if !output.status.success() {
        bail!(
            "failed to run `{name}` ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("failed to read what `{name}` says: it is not UTF-8"))
}

/// Runs to the end with `input` on its standard input and returns what it wrote to standard output.
pub fn feed(command: &mut Command, input: &str) -> Result<String> {
    let name = describe(command);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("failed to start `{name}`"))?;
    let mut stdin = child.stdin.take().expect("standard input is piped");
    // A program that ends early breaks the pipe; its own error text says more than that.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child
        .wait_with_output()
        .with_context(|| format!("failed to wait for `{name}`"))?;
    text(&name, output)
}

/// Whether it runs and succeeds; what it says is dropped.
pub fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Runs with the user's own terminal.
pub fn pass(command: &mut Command) -> Result<()> {
    let name = describe(command);
    let status = command.status().with_context(|| format!("failed to start `{name}`"))?;
    if !status.success() {
        bail!("failed to run `{name}` ({status})");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_carries_the_last_lines_of_both_streams() {
        let stage = Stage::begin("test");
        let error = run(&stage, command("sh").args(["-c", "echo out; echo err >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("out") && text.contains("err") && text.contains("exit status: 3"),
            "{text}"
        );
    }

    #[test]
    fn output_is_returned_and_errors_are_told() {
        assert_eq!(read(command("echo").arg("hello")).unwrap(), "hello\n");
        assert_eq!(feed(&mut command("cat"), "hello").unwrap(), "hello");
        let error = read(command("sh").args(["-c", "echo no >&2; false"])).unwrap_err();
        assert!(error.to_string().ends_with("no"), "{error}");
    }
}
