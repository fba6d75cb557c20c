//! Files of a Git repository: one commit of it, without its history, modules and links.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use protocol::PrepareFailure;
use protocol::report::reasons;
use tokio::process::Command;

use super::{Listing, files};
use crate::failure::{Result, disk};
use crate::ingest::found::Found;
use crate::sources::mounted as walk;

/// Longest that a call may take.
const PATIENCE: Duration = Duration::from_secs(30 * 60);
/// Longest complaint that is told.
const MAX_COMPLAINT: usize = 500;

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
    git.run(&["init", "-q"]).await?;
    git.run(&fetch).await?;
    // One that is not there is told by git.
    let path = repository
        .path
        .map(|path| path.trim_matches('/'))
        .filter(|path| !path.is_empty());
    git.run(&["checkout", "-q", "FETCH_HEAD", "--", path.unwrap_or(".")])
        .await?;
    let root = path.map_or(to.clone(), |path| to.join(path));
    let found = walk::files(&root)?;
    let base = redacted(repository.url);
    let below = path.map(|path| format!("{path}/")).unwrap_or_default();
    let origin = move |name: &str| Some(format!("{base}#{below}{name}"));
    files::files(&root, found, listing, origin).await
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
}

impl Git<'_> {
    async fn run(&self, arguments: &[&str]) -> Result<()> {
        let settings = self
            .settings
            .iter()
            .flat_map(|setting| ["-c".to_owned(), setting.clone()]);
        let arguments: Vec<OsString> = settings
            .map(OsString::from)
            .chain(arguments.iter().map(Into::into))
            .collect();
        let failed = |why: String, retryable| {
            let message = format!(
                "failed to bring the repository: {why}; check git.url, git.revision, git.path and git.credentialsSecretRef"
            );
            PrepareFailure::new(reasons::DOWNLOAD_FAILED, message, retryable)
        };
        let mut command = Command::new(self.program);
        command
            .args(arguments)
            .current_dir(&self.directory)
            // Nobody is asked, and nobody's own settings count.
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_LFS_SKIP_SMUDGE", "1")
            .env("GIT_ALLOW_PROTOCOL", self.protocols)
            .env("HOME", &self.directory)
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        for inherited in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            command.env_remove(inherited);
        }
        let running = command
            .spawn()
            .map_err(|error| failed(format!("{} cannot be run: {error}", self.program), false))?;
        let output = match tokio::time::timeout(PATIENCE, running.wait_with_output()).await {
            Ok(output) => output.map_err(|error| failed(error.to_string(), true))?,
            Err(_) => {
                return Err(failed(
                    format!("it takes more than {} minutes", PATIENCE.as_secs() / 60),
                    true,
                ));
            }
        };
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).replace(self.url, &redacted(self.url));
        let said = said
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect::<Vec<_>>()
            .join("; ");
        Err(failed(
            said[..said.floor_char_boundary(MAX_COMPLAINT.min(said.len()))].to_owned(),
            true,
        ))
    }
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
        settings.push(format!(
            "credential.helper=!f() {{ echo \"username=$(cat {} 2>/dev/null || echo git)\"; echo \"password=$(cat {})\"; }}; f",
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
            settings.contains("credential.helper") && settings.contains("sshCommand") && !settings.contains("hush")
        );
        let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(scratch.path().join("ssh-key")).unwrap());
        assert_eq!(mode & 0o777, 0o600);
    }
}
