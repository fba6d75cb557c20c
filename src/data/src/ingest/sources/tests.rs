use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use protocol::ingest::{Column, IngestSourceKind, Limits, Table};
use protocol::quarantine::Reason;
use protocol::rooms::ingest::Recipe;
use store::testing::Postgres;

use super::*;
use crate::ingest::found::Content;
use crate::ingest::testing::{gateway, room::Room, source};

/// What a source lists.
async fn list(kind: IngestSourceKind) -> Result<Vec<Found>> {
    list_into(kind, tempfile::tempdir().unwrap().path()).await
}

async fn list_into(kind: IngestSourceKind, directory: &Path) -> Result<Vec<Found>> {
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
    let programs = Programs {
        git_protocols: "file".into(),
        ..Programs::default()
    };
    let listing = Listing {
        source: &source,
        limits: &limits,
        directory,
        programs: &programs,
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

#[tokio::test]
async fn rows_of_tables_are_documents() {
    let database = Postgres::shared().database().await;
    let mut connection = database.connection().await;
    for statement in [
        "CREATE TABLE \"Towns\" (name text, people int, secret text)",
        "INSERT INTO \"Towns\" VALUES ('Rome', NULL, 'hush'), ('Oslo', 7, 'hush')",
    ] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    let column = |name: &str, description: Option<&str>| Column {
        name: name.into(),
        description: description.map(str::to_owned),
    };
    let kind = |name: &str| IngestSourceKind::Sql {
        connection_file: database.url_file.path().to_owned(),
        tables: vec![Table {
            name: name.into(),
            description: Some("A town.".into()),
            columns: vec![column("name", Some("what it is called")), column("people", None)],
        }],
    };
    let scratch = tempfile::tempdir().unwrap();
    let found = list_into(kind("public.Towns"), scratch.path()).await.unwrap();
    assert_eq!(names(&found), ["public.Towns"]);
    let Content::File(path) = &found[0].content else {
        panic!()
    };
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(text, "name (what it is called),people\r\nOslo,7\r\nRome,\"\"\r\n");
    let failure = list_into(kind("public.nothing"), scratch.path()).await.unwrap_err();
    assert!(failure.message.contains("sql.tables[public.nothing]"), "{failure}");
}
