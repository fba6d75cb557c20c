//! Files of a Git repository: one commit of it, without its history, modules and links, over HTTPS or SSH.
//!
//! Whoever writes the repository decides what comes, so nothing in it is run, hooks and filters included, its size is bound
//! before a file of it is written, and its password goes to its host and to no other that it may lead to.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use protocol::PrepareFailure;
use protocol::report::reasons;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::{Listing, files};
use crate::failure::{Result, disk};
use crate::ingest::found::Found;
use crate::sources::mounted as walk;

/// Longest that a call may take.
const PATIENCE: Duration = Duration::from_secs(30 * 60);
/// Longest complaint that is told.
const MAX_COMPLAINT: usize = 500;
/// Becomes the program, which writes no file of more blocks than the first argument says.
/// Where the limit is stricter already, that holds.
const LIMITED: &str = r#"{ ulimit -f "$1" 2>/dev/null || [ "$(ulimit -H -f)" -le "$1" ]; } && shift && exec "$@""#;
/// Bytes of such a block.
const BLOCK: u64 = 512;
/// Files of a repository: their names are in memory.
const MAX_FILES: u64 = 1_000_000;

/// What is brought.
#[derive(Debug)]
pub(super) struct Repository<'a> {
    pub url: &'a str,
    pub revision: Option<&'a str>,
    pub path: Option<&'a str>,
    pub credentials: Option<&'a Path>,
}

/// The files of a repository.
pub(super) async fn files(repository: &Repository<'_>, listing: &Listing<'_>) -> Result<Vec<Found>> {
    let to = listing.directory.join("tree");
    let _ = fs::remove_dir_all(&to);
    fs::create_dir_all(&to).map_err(disk("create", &to))?;
    let git = Git {
        url: repository.url,
        program: &listing.programs.git,
        settings: settings(repository, listing.directory)?,
        directory: to.clone(),
        protocols: &listing.programs.git_protocols,
        bytes: listing.programs.git_bytes,
    };
    let revision = repository.revision.unwrap_or("HEAD");
    let fetch = [
        "fetch",
        "-q",
        "--depth",
        "1",
        "--no-tags",
        "--no-recurse-submodules",
        "--",
        repository.url,
        revision,
    ];
    git.run(&["init", "-q", "--template="]).await?;
    git.run(&fetch).await?;
    // One that is not there is told by git.
    let path = repository
        .path
        .map(|path| path.trim_matches('/'))
        .filter(|path| !path.is_empty());
    git.measure(path.unwrap_or(".")).await?;
    git.run(&["checkout", "-q", "FETCH_HEAD", "--", path.unwrap_or(".")])
        .await?;
    let root = path.map_or(to.clone(), |path| to.join(path));
    let found = walk::files(&root)?;
    let base = redacted(repository.url);
    let below = path.map(|path| format!("{path}/")).unwrap_or_default();
    let origin = move |name: &str| Some(format!("{base}#{below}{name}"));
    files::files(&root, found, listing, origin).await
}

/// Scheme and host of an address, without a user.
fn host(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}")
}

/// Without user and password.
fn redacted(url: &str) -> String {
    match url
        .split_once("://")
        .map(|(scheme, rest)| (scheme, rest.split_once('/').unwrap_or((rest, ""))))
    {
        Some((scheme, (host, path))) => {
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            format!("{scheme}://{host}/{path}")
        }
        None => url.to_owned(),
    }
}

struct Git<'a> {
    url: &'a str,
    program: &'a str,
    settings: Vec<String>,
    directory: PathBuf,
    protocols: &'a str,
    bytes: u64,
}

impl Git<'_> {
    /// Runs it.
    async fn run(&self, arguments: &[&str]) -> Result<()> {
        let running = self.start(arguments, Stdio::null())?;
        let output = within(running.wait_with_output()).await?;
        match output.status.success() {
            true => Ok(()),
            false => Err(failed(self.complaint(&output.stderr), true)),
        }
    }

    /// Refuses files that take too much, before there are any.
    async fn measure(&self, path: &str) -> Result<()> {
        let arguments = ["ls-tree", "-r", "-l", "-z", "--full-tree", "FETCH_HEAD", "--", path];
        // Of the whole tree, no path is the way to say so.
        let arguments = if path == "." { &arguments[..6] } else { &arguments[..] };
        let mut running = self.start(arguments, Stdio::piped())?;
        let lines = running.stdout.take().map(BufReader::new);
        let measuring = async {
            let (mut files, mut bytes) = (0_u64, 0_u64);
            let (mut lines, mut line) = (lines, Vec::new());
            while let Some(lines) = &mut lines
                && lines.read_until(0, &mut line).await? > 0
            {
                files += 1;
                bytes = bytes.saturating_add(size(&line));
                if files > MAX_FILES || bytes > self.bytes {
                    return Ok(Err((files, bytes)));
                }
                line.clear();
            }
            Ok(Ok(running.wait_with_output().await?))
        };
        let output = match within(measuring).await? {
            Ok(output) => output,
            Err((files, bytes)) => {
                let why = format!(
                    "it has {files} files of {bytes} bytes or more, and may have {MAX_FILES} of {}",
                    self.bytes
                );
                return Err(failed(why, false));
            }
        };
        match output.status.success() {
            true => Ok(()),
            false => Err(failed(self.complaint(&output.stderr), true)),
        }
    }

    fn start(&self, arguments: &[&str], stdout: Stdio) -> Result<Child> {
        let settings = self
            .settings
            .iter()
            .flat_map(|setting| ["-c".to_owned(), setting.clone()]);
        let arguments: Vec<OsString> = settings
            .map(OsString::from)
            .chain(arguments.iter().map(Into::into))
            .collect();
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", LIMITED, "sh", &(self.bytes / BLOCK).to_string(), self.program])
            .args(arguments)
            .current_dir(&self.directory)
            // Nobody is asked, and nobody's own settings count.
            .env_clear()
            .env(
                "PATH",
                std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()),
            )
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_LFS_SKIP_SMUDGE", "1")
            .env("GIT_LITERAL_PATHSPECS", "1")
            .env("GIT_ALLOW_PROTOCOL", self.protocols)
            .env("HOME", &self.directory)
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
            .spawn()
            .map_err(|error| failed(format!("{} cannot be run: {error}", self.program), false))
    }

    /// What git says, without secrets.
    fn complaint(&self, said: &[u8]) -> String {
        let said = String::from_utf8_lossy(said).replace(self.url, &redacted(self.url));
        let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
        let said = lines.collect::<Vec<_>>().join("; ");
        let said = &said[..said.floor_char_boundary(MAX_COMPLAINT.min(said.len()))];
        match said.is_empty() {
            // A file that grew too large ends it without a word.
            true => format!("git ended without a word: it may be larger than {} bytes", self.bytes),
            false => said.to_owned(),
        }
    }
}

async fn within<T>(work: impl Future<Output = std::io::Result<T>>) -> Result<T> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done.map_err(|error| failed(error.to_string(), true)),
        Err(_) => Err(failed(
            format!("it takes more than {} minutes", PATIENCE.as_secs() / 60),
            true,
        )),
    }
}

fn failed(why: String, retryable: bool) -> PrepareFailure {
    let message = format!(
        "failed to bring the repository: {why}; check git.url, git.revision, git.path and git.credentialsSecretRef"
    );
    PrepareFailure::new(reasons::DOWNLOAD_FAILED, message, retryable)
}

/// The size of a file: `MODE blob ID SIZE<TAB>NAME`. What is no file has none.
fn size(line: &[u8]) -> u64 {
    let line = String::from_utf8_lossy(line);
    let size = line
        .split('\t')
        .next()
        .and_then(|facts| facts.split_whitespace().nth(3));
    size.and_then(|size| size.parse().ok()).unwrap_or_default()
}

/// What keeps a repository from doing anything here, and what opens it.
fn settings(repository: &Repository<'_>, directory: &Path) -> Result<Vec<String>> {
    let mut settings: Vec<String> = [
        "core.hooksPath=/dev/null",
        "core.symlinks=false",
        "core.fsmonitor=false",
        "core.protectHFS=true",
        "core.protectNTFS=true",
        "fetch.fsckObjects=true",
        "core.askPass=true",
        "submodule.recurse=false",
        // All of it comes as one file, whose size is bound.
        "fetch.unpackLimit=1",
        "gc.auto=0",
        "advice.detachedHead=false",
    ]
    .map(str::to_owned)
    .into();
    let Some(credentials) = repository.credentials else {
        return Ok(settings);
    };
    if credentials.join("password").exists() {
        let file = |name: &str| quoted(&credentials.join(name));
        // The secret itself stands neither in an argument nor in the environment.
        // Where the repository leads on to another host, that is not told.
        let host = host(repository.url);
        settings.push(format!(
            "credential.{host}.helper=!f() {{ echo \"username=$(cat {} 2>/dev/null || echo git)\"; echo \"password=$(cat {})\"; }}; f",
            file("username"),
            file("password")
        ));
    }
    let key = credentials.join("ssh-privatekey");
    if key.exists() {
        // Those that are mounted may be read by too many for ssh.
        let own = directory.join("ssh-key");
        let content = fs::read(&key).map_err(disk("read", &key))?;
        let _ = fs::remove_file(&own);
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&own)
            .map_err(disk("create", &own))?;
        std::io::Write::write_all(&mut file, &content).map_err(disk("write", &own))?;
        settings.push(format!(
            "core.sshCommand=ssh -i {} -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile={}",
            quoted(&own),
            quoted(&credentials.join("known_hosts"))
        ));
    }
    Ok(settings)
}

/// As the shell reads it.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_without_secrets() {
        assert_eq!(redacted("https://u:p@h.example/a/b.git"), "https://h.example/a/b.git");
        assert_eq!(redacted("ssh://git@h.example:22/a"), "ssh://h.example:22/a");
        assert_eq!(host("https://u:p@h.example:8443/a/b.git"), "https://h.example:8443");
    }

    #[test]
    fn secrets_stand_in_no_setting() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["username", "password", "ssh-privatekey", "known_hosts"] {
            fs::write(dir.path().join(name), "hush").unwrap();
        }
        let repository = Repository {
            url: "https://h.example/a",
            revision: None,
            path: None,
            credentials: Some(dir.path()),
        };
        let scratch = tempfile::tempdir().unwrap();
        let settings = settings(&repository, scratch.path()).unwrap().join("\n");
        assert!(
            settings.contains("credential.https://h.example.helper=")
                && settings.contains("sshCommand")
                && !settings.contains("hush")
        );
        let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(scratch.path().join("ssh-key")).unwrap());
        assert_eq!(mode & 0o777, 0o600);
    }
}
