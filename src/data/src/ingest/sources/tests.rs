use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use protocol::ingest::{IngestSourceKind, Limits};
use protocol::quarantine::Reason;
use protocol::rooms::ingest::Recipe;

use super::*;
use crate::ingest::found::Content;
use crate::ingest::testing::{gateway, room::Room, source};

/// What a source lists.
async fn list(kind: IngestSourceKind) -> Result<Vec<Found>> {
    list_into(kind, tempfile::tempdir().unwrap().path()).await
}

async fn list_into(kind: IngestSourceKind, directory: &Path) -> Result<Vec<Found>> {
    let programs = Programs {
        git_protocols: "file".into(),
        ..Programs::default()
    };
    list_by(kind, directory, &programs).await
}

async fn list_by(kind: IngestSourceKind, directory: &Path, programs: &Programs) -> Result<Vec<Found>> {
    let room = Room::start();
    let (gateway, _dir) = gateway(&room);
    let recipe = Recipe {
        model: "m".into(),
        digest: "d".into(),
        dimension: 8,
        settings: String::new(),
    };
    let filling = Filling::begin(&gateway, "team", "handbook", recipe).await.unwrap();
    let source = source("docs", kind);
    let limits = Limits {
        bytes: 1 << 16,
        ..Limits::default()
    };
    let listing = Listing {
        source: &source,
        limits: &limits,
        directory,
        programs,
        filling: &filling,
    };
    listing.documents().await
}

fn names(found: &[Found]) -> Vec<&str> {
    found.iter().map(|found| found.name.as_str()).collect()
}

fn git(directory: &Path, arguments: &[&str]) {
    let settings = [
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@example.org",
        "-c",
        "init.defaultBranch=main",
        "-c",
        "commit.gpgSign=false",
    ];
    let status = Command::new("git")
        .args(settings)
        .args(arguments)
        .current_dir(directory)
        .status();
    assert!(status.expect("git is installed: see TEST_PACKAGES of xtask").success());
}

/// A repository with two commits, and a tag on the first one.
fn repository() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    git(dir.path(), &["init", "-q"]);
    write("README.md", "old");
    write("docs/a.md", "a");
    write("docs/.atelier-acl.json", r#"{"clearance": 9}"#);
    git(dir.path(), &["add", "."]);
    git(dir.path(), &["commit", "-q", "-m", "one"]);
    git(dir.path(), &["tag", "v1"]);
    write("README.md", "new");
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("docs/link")).unwrap();
    git(dir.path(), &["add", "."]);
    git(dir.path(), &["commit", "-q", "-m", "two"]);
    dir
}

#[tokio::test]
async fn files_of_a_repository_are_documents() {
    let dir = repository();
    let kind = |revision: Option<&str>, path: Option<&str>| IngestSourceKind::Git {
        url: format!("file://{}", dir.path().display()),
        revision: revision.map(str::to_owned),
        path: path.map(str::to_owned),
        credentials_dir: None,
    };
    let scratch = tempfile::tempdir().unwrap();
    let found = list_into(kind(None, None), scratch.path()).await.unwrap();
    assert_eq!(names(&found), ["README.md", "docs/a.md", "docs/link"]);
    assert_eq!(found[1].rights.clearance, 9);
    assert!(found[1].origin.as_deref().unwrap().ends_with("#docs/a.md"));
    // A link is what it says, and leads nowhere.
    let Content::File(link) = &found[2].content else {
        panic!()
    };
    assert_eq!(std::fs::read_to_string(link).unwrap(), "/etc/passwd");
    let old = list_into(kind(Some("v1"), None), scratch.path()).await.unwrap();
    assert_ne!(old[0].digest, found[0].digest);
    let below = list_into(kind(None, Some("docs/")), scratch.path()).await.unwrap();
    assert_eq!(names(&below), ["a.md", "link"]);
    assert_eq!(below[0].rights.clearance, 9);
    for bad in [
        kind(Some("nothing"), None),
        kind(None, Some("no/such")),
        kind(None, Some("../..")),
    ] {
        let failure = list_into(bad, scratch.path()).await.unwrap_err();
        assert!(
            failure.message.contains("spec.sources[docs]") && failure.message.contains("git.revision"),
            "{failure}"
        );
    }
}

fn git_at(url: &str) -> IngestSourceKind {
    IngestSourceKind::Git {
        url: url.into(),
        revision: None,
        path: None,
        credentials_dir: None,
    }
}

#[tokio::test]
async fn nothing_but_https_and_ssh_brings_a_repository() {
    let dir = repository();
    let scratch = tempfile::tempdir().unwrap();
    let marker = scratch.path().join("marker");
    for url in [
        format!("file://{}", dir.path().display()),
        dir.path().display().to_string(),
        "http://127.0.0.1:1/a".into(),
        "git://127.0.0.1:1/a".into(),
        format!("ext::touch {}", marker.display()),
        format!("--upload-pack=touch {}", marker.display()),
    ] {
        let failure = list_by(git_at(&url), scratch.path(), &Programs::default())
            .await
            .unwrap_err();
        assert!(failure.message.contains("failed to bring the repository"), "{failure}");
    }
    assert!(!marker.exists());
}

#[tokio::test]
async fn a_repository_that_is_too_large_is_not_written() {
    let small = Programs {
        git_protocols: "file".into(),
        git_bytes: 64 << 10,
        ..Programs::default()
    };
    // Of many zeros a pack is small; what has no order is large in it as well.
    let mut state = 1_u32;
    let noise = (0..200_000).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    for (content, says, retryable) in [
        (vec![0; 200_000], "files of 2", false),
        (noise.collect(), "failed to bring the repository", true),
    ] {
        let dir = tempfile::tempdir().unwrap();
        git(dir.path(), &["init", "-q"]);
        std::fs::write(dir.path().join("large.bin"), content).unwrap();
        git(dir.path(), &["add", "."]);
        git(dir.path(), &["commit", "-q", "-m", "one"]);
        let scratch = tempfile::tempdir().unwrap();
        let url = format!("file://{}", dir.path().display());
        let failure = list_by(git_at(&url), scratch.path(), &small).await.unwrap_err();
        assert!(
            failure.message.contains(says) && failure.retryable == retryable,
            "{failure}"
        );
        assert!(!scratch.path().join("tree/large.bin").exists());
        assert_eq!(list_into(git_at(&url), scratch.path()).await.unwrap().len(), 1);
    }
}

/// Whatever a repository says of itself, nothing of it is run, and no other repository comes with it.
#[tokio::test]
async fn a_repository_runs_nothing() {
    let (dir, other) = (repository(), repository());
    let marker = dir.path().join("marker");
    let touch = format!("touch {}", marker.display());
    std::fs::write(
        dir.path().join(".gitattributes"),
        "* filter=evil diff=evil merge=evil\n",
    )
    .unwrap();
    let modules = |update: &str| {
        let text = format!(
            "[submodule \"m\"]\n\tpath = m\n\turl = file://{}\n{update}",
            other.path().display()
        );
        std::fs::write(dir.path().join(".gitmodules"), text).unwrap();
    };
    modules("");
    let hook = dir.path().join(".git/hooks/post-checkout");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, format!("#!/bin/sh\n{touch}\n")).unwrap();
    git(dir.path(), &["add", "."]);
    let commit = Command::new("git")
        .args(["rev-parse", "HEAD"])
        .current_dir(other.path())
        .output()
        .unwrap();
    let commit = String::from_utf8(commit.stdout).unwrap();
    let entry = format!("160000,{},m", commit.trim());
    git(dir.path(), &["update-index", "--add", "--cacheinfo", &entry]);
    git(dir.path(), &["commit", "-q", "-m", "three"]);
    let scratch = tempfile::tempdir().unwrap();
    let url = format!("file://{}", dir.path().display());
    let found = list_into(git_at(&url), scratch.path()).await.unwrap();
    assert_eq!(names(&found), ["README.md", "docs/a.md", "docs/link"]);
    // Orders in what describes modules are reason enough to bring nothing.
    modules(&format!("\tupdate = !{touch}\n"));
    git(dir.path(), &["add", ".gitmodules"]);
    git(dir.path(), &["commit", "-q", "-m", "four"]);
    let failure = list_into(git_at(&url), scratch.path()).await.unwrap_err();
    assert!(failure.message.contains("fsck"), "{failure}");
    assert!(!marker.exists());
}

type Log = Arc<Mutex<Vec<String>>>;

async fn page(State(log): State<Log>, request: Request) -> Response {
    let secret = request
        .headers()
        .get("x-team")
        .map(|value| value.to_str().unwrap().to_owned());
    let path = request.uri().path().to_owned();
    log.lock()
        .unwrap()
        .push(format!("{path} {}", secret.unwrap_or_default()));
    let html = |body: &str| ([("content-type", "text/html; charset=utf-8")], body.to_owned()).into_response();
    match path.as_str() {
        "/" => html(
            "<a href='a.html#x'>a</a><a href='/b'>b</a><a href='http://other.example/'>o</a><a href='/gone'>g</a><a href='/s.css'>s</a><a href='/moved'>m</a><a href='/out'>out</a>",
        ),
        "/a.html" => html("<a href='/deep'>d</a><a href='/'>home</a>"),
        "/b" => ([("content-type", "application/pdf")], "%PDF-1.4").into_response(),
        "/deep" => html("<a href='/deeper'>d</a>"),
        "/moved" => (StatusCode::FOUND, [("location", "/a.html")]).into_response(),
        "/out" => (StatusCode::FOUND, [("location", "http://127.0.0.1:9/")]).into_response(),
        "/s.css" => ([("content-type", "text/css")], "a{}").into_response(),
        "/large" => ([("content-type", "text/plain")], "x".repeat(100_000)).into_response(),
        "/broken" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        "/links" => html("<a href='/broken'>b</a>"),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A web server, and what it was asked with which header.
async fn server() -> (String, Log) {
    let log = Log::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(page).with_state(log.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}"), log)
}

fn http(urls: &[String], depth: u32, headers_dir: Option<&Path>) -> IngestSourceKind {
    IngestSourceKind::Http {
        urls: urls.to_vec(),
        depth,
        headers_dir: headers_dir.map(Path::to_owned),
    }
}

#[tokio::test]
async fn pages_and_what_they_link_to_are_documents() {
    let (root, log) = server().await;
    let headers = tempfile::tempdir().unwrap();
    std::fs::write(headers.path().join("x-team"), "blue").unwrap();
    let found = list(http(&[format!("{root}/")], 1, Some(headers.path())))
        .await
        .unwrap();
    assert_eq!(
        names(&found),
        [format!("{root}/"), format!("{root}/a.html"), format!("{root}/b")]
    );
    assert_eq!(found[2].media_type.as_deref(), Some("application/pdf"));
    assert!(
        log.lock().unwrap().iter().all(|line| line.ends_with(" blue")),
        "{log:?}"
    );
    let deeper = list(http(&[format!("{root}/")], 2, None)).await.unwrap();
    assert_eq!(deeper.len(), 4);
    let alone = list(http(&[format!("{root}/#part"), format!("{root}/large")], 0, None))
        .await
        .unwrap();
    assert_eq!(alone.len(), 2);
    assert_eq!(
        alone[1].refused.as_ref().map(|refused| refused.reason),
        Some(Reason::TooLarge)
    );
}

#[tokio::test]
async fn a_server_that_fails_makes_the_source_fail() {
    let (root, _) = server().await;
    for (path, depth, retryable) in [("/gone", 0, false), ("/broken", 0, true), ("/links", 1, true)] {
        let failure = list(http(&[format!("{root}{path}")], depth, None)).await.unwrap_err();
        assert_eq!(failure.retryable, retryable, "{failure}");
        assert!(
            failure.message.contains("spec.sources[docs]") && failure.message.contains("the server answers"),
            "{failure}"
        );
    }
    let failure = list(http(&["ftp://h.example/".into()], 0, None)).await.unwrap_err();
    assert!(failure.message.contains("http.urls"), "{failure}");
}
